// The parts of CUDA C++ that the kernels use, for a C++ compiler: the kernels run on the host, one block after
// another, with its threads in lockstep.
//
// A thread is a fiber. It runs until it ends or waits at a barrier, a shuffle or a ballot. Then another thread of its
// warp runs. Waiting threads resume when all threads that they wait for have arrived. A warp runs as far as it can
// before the next warp runs: to its end, or to a barrier of the whole block. If no thread can run, a barrier was
// missed, and the program aborts with a message. The order of blocks, warps and threads can be reversed, which must
// not change any result. Shared memory contains garbage when a block starts.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#define __device__
// Kernels are inline too: static variables of inline and of other functions cannot share a section.
#define __global__ inline
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
// Static storage suffices: blocks run one after another on one thread of the host.
#define __shared__ static __attribute__((section("shared_memory")))
extern char __start_shared_memory[] __attribute__((weak)), __stop_shared_memory[] __attribute__((weak));
#define __restrict__

namespace host {

struct Coordinates {
    unsigned x = 0, y = 0, z = 0;
};

enum class Wait { No, Warp, Block };

struct Fiber {
    ucontext_t context;  // for the start; later switches use `resume_point`, which needs no system call
    jmp_buf resume_point;
    bool has_started = false;
    static std::size_t constexpr STACK = 128 * 1024;
    std::unique_ptr<char[]> stack{new char[STACK]};  // untouched until used
    Coordinates thread;
    Wait wait = Wait::No;
    unsigned mask = 0;
    bool is_released = false;
    bool has_ended = true;
    // The values that the other lanes of the warp read, in two alternating slots: when a lane writes one slot, all
    // lanes have arrived at the exchange of the other.
    alignas(16) unsigned char exchanged[2][24] = {};
    unsigned slot = 0;
};

inline jmp_buf scheduler;
inline std::vector<std::unique_ptr<Fiber>> fibers;
inline Fiber* current = nullptr;
inline Coordinates block, block_size, grid_size;
inline void (*body)(void**) = nullptr;
inline void** arguments = nullptr;
inline bool is_reversed = false;

[[noreturn]] inline void fail(char const* message) {
    std::fprintf(stderr, "%s\n", message);
    std::abort();
}

// The function of a fiber: it runs one thread of a kernel after another, because a context is expensive to create.
inline void run_bodies() {
    for (;;) {
        body(arguments);
        current->has_ended = true;
        if (_setjmp(current->resume_point) == 0) _longjmp(scheduler, 1);
    }
}

// Runs a fiber until it waits or ends.
inline void resume(Fiber& fiber) {
    current = &fiber;
    if (_setjmp(scheduler) != 0) return;
    if (fiber.has_started) _longjmp(fiber.resume_point, 1);
    fiber.has_started = true;
    setcontext(&fiber.context);
}

inline void wait(Wait reason, unsigned mask = 0) {
    current->wait = reason;
    current->mask = mask;
    if (_setjmp(current->resume_point) == 0) _longjmp(scheduler, 1);
}

// Runs a warp until each of its threads ends or waits for the block.
inline void run_warp(std::size_t first, std::size_t last) {
    for (bool has_progress = true; has_progress;) {
        has_progress = false;
        bool all_wait_for_block = true;
        unsigned arrived = 0;
        for (std::size_t n = first; n < last; ++n) {
            Fiber& fiber = *fibers[is_reversed ? last - 1 - (n - first) : n];
            if (!fiber.has_ended && fiber.wait == Wait::No) {
                resume(fiber);
                has_progress = true;
            }
        }
        for (std::size_t n = first; n < last; ++n) {
            all_wait_for_block = all_wait_for_block && (fibers[n]->has_ended || fibers[n]->wait == Wait::Block);
            if (fibers[n]->has_ended || fibers[n]->wait == Wait::Warp) arrived |= 1u << (n - first);
        }
        if (all_wait_for_block) return;
        unsigned const lanes = last - first == 32 ? ~0u : (1u << (last - first)) - 1;
        for (std::size_t n = first; n < last; ++n) {
            Fiber& fiber = *fibers[n];
            if (fiber.has_ended || fiber.wait != Wait::Warp || (fiber.mask & lanes & ~arrived) != 0) continue;
            fiber.is_released = has_progress = true;
        }
        for (std::size_t n = first; n < last; ++n) {
            if (std::exchange(fibers[n]->is_released, false)) fibers[n]->wait = Wait::No;
        }
    }
    fail("deadlock: the threads of a warp wait for each other");
}

inline void run_block(std::size_t threads) {
    while (fibers.size() < threads) fibers.push_back(std::make_unique<Fiber>());
    for (std::size_t n = 0; n < threads; ++n) {
        Fiber& fiber = *fibers[n];
        fiber.thread.x = static_cast<unsigned>(n);
        fiber.wait = Wait::No;
        fiber.has_ended = false;
        fiber.slot = 0;
        if (fiber.has_started) continue;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = Fiber::STACK;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, run_bodies, 0);
    }
    std::memset(__start_shared_memory, 0xa5, static_cast<std::size_t>(__stop_shared_memory - __start_shared_memory));
    std::size_t const warps = (threads + 31) / 32;
    for (;;) {
        bool has_unfinished = false;
        for (std::size_t n = 0; n < warps; ++n) {
            std::size_t const first = (is_reversed ? warps - 1 - n : n) * 32;
            run_warp(first, std::min(first + 32, threads));
        }
        // All threads that have not ended wait at the barrier.
        for (std::size_t n = 0; n < threads; ++n) {
            has_unfinished = has_unfinished || !fibers[n]->has_ended;
            fibers[n]->wait = Wait::No;
        }
        if (!has_unfinished) return;
    }
}

// Calls a kernel with pointers to its arguments.
using Kernel = void (*)(void**);
inline std::map<std::string, Kernel>& kernels() {
    static std::map<std::string, Kernel> by_name;
    return by_name;
}

template <auto function, class... A, std::size_t... N>
void unpack(void (*)(A...), void** arguments, std::index_sequence<N...>) {
    function(*static_cast<std::remove_reference_t<A>*>(arguments[N])...);
}

template <class... A>
constexpr std::size_t count_of(void (*)(A...)) {
    return sizeof...(A);
}

template <auto function>
void call(void** arguments) {
    unpack<function>(function, arguments, std::make_index_sequence<count_of(function)>());
}

struct Registration {
    Registration(char const* name, Kernel kernel) { kernels()[name] = kernel; }
};

// Publishes `value` to the other lanes of the warp and waits for them. Then calls `read` with a function from a lane
// to that lane's value.
template <class T, class Read>
auto exchange(unsigned mask, T value, Read read) {
    static_assert(sizeof(T) <= sizeof(current->exchanged[0]));
    // The slots of lanes that do not take part would get out of step.
    if (mask != 0xffffffffu) fail("shuffles and ballots of a part of a warp are not supported on the host");
    Fiber* const self = current;
    unsigned const first = self->thread.x / 32 * 32, slot = self->slot;
    self->slot = 1 - slot;
    std::memcpy(self->exchanged[slot], &value, sizeof(T));
    wait(Wait::Warp, mask);
    return read([&](unsigned lane) {
        bool const exists = first + lane < block_size.x && (mask >> lane & 1);
        T other = value;
        if (exists) std::memcpy(&other, fibers[first + lane]->exchanged[slot], sizeof(T));
        return other;
    });
}

// Runs a kernel. Returns false if no kernel has this name.
inline bool launch(char const* name, unsigned grid, unsigned threads, void** kernel_arguments, bool reversed) {
    auto const kernel = kernels().find(name);
    if (kernel == kernels().end()) return false;
    body = kernel->second;
    arguments = kernel_arguments;
    is_reversed = reversed;
    grid_size = {grid, 1, 1};
    block_size = {threads, 1, 1};
    for (unsigned n = 0; n < grid; ++n) {
        block = {reversed ? grid - 1 - n : n, 0, 0};
        run_block(threads);
    }
    return true;
}

}  // namespace host

#define threadIdx (host::current->thread)
#define blockIdx (host::block)
#define blockDim (host::block_size)
#define gridDim (host::grid_size)

inline void __syncthreads() { host::wait(host::Wait::Block); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { host::wait(host::Wait::Warp, mask); }
template <class T>
T __shfl_sync(unsigned mask, T value, unsigned source) {
    return host::exchange(mask, value, [=](auto of) { return of(source % 32); });
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, unsigned lane_mask) {
    return __shfl_sync(mask, value, (threadIdx.x % 32) ^ lane_mask);
}
inline unsigned __ballot_sync(unsigned mask, bool predicate) {
    return host::exchange(mask, predicate, [=](auto of) {
        unsigned ballot = 0;
        for (unsigned lane = 0; lane < 32; ++lane) ballot |= (mask >> lane & 1 && of(lane) ? 1u : 0u) << lane;
        return ballot;
    });
}
inline void __threadfence() {}
inline bool __any_sync(unsigned mask, bool predicate) { return __ballot_sync(mask, predicate) != 0; }
inline bool __syncthreads_or(bool predicate) {
    static bool any;
    __syncthreads();
    any = false;
    __syncthreads();
    any = any || predicate;
    __syncthreads();
    bool const result = any;
    __syncthreads();
    return result;
}

// Threads run one at a time, so that all work between two waits is atomic.
template <class T>
T atomicAdd(T* target, T value) {
    T const old = *target;
    *target = static_cast<T>(old + value);
    return old;
}

inline unsigned __float_as_uint(float x) {
    unsigned bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}
inline float __uint_as_float(unsigned bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}
inline double __hiloint2double(int high, int low) {
    std::uint64_t const high_bits = static_cast<unsigned>(high);
    std::uint64_t const bits = high_bits << 32 | static_cast<unsigned>(low);
    double x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}
inline float __double2float_rd(double x) {
    float const nearest = static_cast<float>(x);
    return nearest > x ? std::nextafterf(nearest, -INFINITY) : nearest;
}
inline int __clz(unsigned bits) { return bits == 0 ? 32 : __builtin_clz(bits); }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __popcll(unsigned long long bits) { return __builtin_popcountll(bits); }
inline int __ffsll(long long bits) { return __builtin_ffsll(bits); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return static_cast<unsigned long long>((static_cast<unsigned __int128>(a) * b) >> 64);
}
inline long long __double2ll_rn(double x) { return std::llrint(x); }
inline float __fmaf_rn(float a, float b, float c) { return std::fmaf(a, b, c); }

// The functions of kernels/tensor.cuh.
#define HOST_RUN
namespace recsim {

inline unsigned fp16_bits(float x) {
    unsigned const sign = __float_as_uint(x) >> 31 << 15;
    if (x == 0.0f) return sign;
    if (!std::isfinite(x)) return std::isnan(x) ? 0x7fffu : sign | 0x7c00u;
    // fp16 has 11 significant bits, and none below 2^-24.
    int const lowest = std::max(std::ilogb(x) - 10, -24);
    unsigned const digits = static_cast<unsigned>(std::rint(std::ldexp(std::fabs(x), -lowest)));
    // The leading bit of a normal value's digits adds 1 to the exponent.
    return sign | ((static_cast<unsigned>(lowest + 24) << 10) + digits);
}

// The value of each fp16 bit pattern.
inline std::vector<float> const fp16_values = [] {
    std::vector<float> values(1 << 16);
    for (unsigned bits = 0; bits < values.size(); ++bits) {
        int const exponent = static_cast<int>(bits >> 10 & 31), digits = static_cast<int>(bits & 1023);
        double const finite = exponent == 0 ? std::ldexp(digits, -24) : std::ldexp(1024 + digits, exponent - 25);
        float magnitude = static_cast<float>(finite);
        if (exponent == 31) magnitude = digits == 0 ? INFINITY : NAN;
        values[bits] = bits >> 15 ? -magnitude : magnitude;
    }
    return values;
}();

// A sum as inexact as that of the worst tensor core: bits more than 23 below the largest value's leading bit are
// truncated.
inline float truncated_sum(double const (&values)[17]) {
    double max_abs = 0.0, sum = 0.0;
    for (double value : values) max_abs = std::max(max_abs, std::fabs(value));
    if (max_abs == 0.0 || !std::isfinite(max_abs)) {
        for (double value : values) sum += value;
        return static_cast<float>(sum);
    }
    double const unit = std::ldexp(1.0, std::ilogb(max_abs) - 23);
    for (double value : values) sum += std::trunc(value / unit) * unit;
    float const nearest = static_cast<float>(sum);
    return std::fabs(nearest) > std::fabs(sum) ? std::nextafterf(nearest, 0.0f) : nearest;
}

inline void multiply_add(float (&sum)[4], unsigned const (&a)[4], unsigned const (&b)[2]) {
    struct Lane {
        unsigned a[4], b[2];
    };
    unsigned const lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    host::exchange(0xffffffffu, Lane{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}}, [&](auto of) {
        auto const value = [](unsigned word, unsigned high) { return fp16_values[high ? word >> 16 : word & 0xffffu]; };
        double terms[4][17];
        for (unsigned n = 0; n < 4; ++n) terms[n][16] = sum[n];
        for (unsigned other = 0; other < 4; ++other) {
            Lane const row = of(g * 4 + other), left = of(2 * t * 4 + other), right = of((2 * t + 1) * 4 + other);
            for (unsigned k = 0; k < 4; ++k) {
                unsigned const part = k / 2, high = k % 2;
                double const upper = value(row.a[2 * part], high), lower = value(row.a[2 * part + 1], high);
                double const first = value(left.b[part], high), second = value(right.b[part], high);
                terms[0][4 * other + k] = upper * first;
                terms[1][4 * other + k] = upper * second;
                terms[2][4 * other + k] = lower * first;
                terms[3][4 * other + k] = lower * second;
            }
        }
        for (unsigned n = 0; n < 4; ++n) sum[n] = truncated_sum(terms[n]);
        return true;
    });
}

}  // namespace recsim

#define HOST_KERNEL(name) static host::Registration const registered_##name(#name, host::call<name>);

// The only visible symbol: otherwise libraries compiled with other constants would use the symbols of this one.
extern "C" __attribute__((visibility("default"))) int recsim_launch(
    char const* name, unsigned grid, unsigned threads, void** arguments, int reversed
) {
    return host::launch(name, grid, threads, arguments, reversed != 0);
}
