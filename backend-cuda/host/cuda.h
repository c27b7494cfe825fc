// CUDA's words for a C++ compiler: the kernels run on the host, a block after the other, its threads in lockstep.
//
// A thread is a fiber. It runs until it ends or waits at a barrier, a shuffle or a ballot, and then another of its warp
// does; who waits goes on once all have come that are waited for. A warp runs as far as it can before the next one does:
// to its end, or to a barrier of the whole block. If nobody can go on, a barrier was missed, and the program ends with a
// message. The order of warps and threads can be turned round, which must change no result. Shared memory holds garbage
// when a block begins.
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
// A static variable of an inline function lies elsewhere than that of another: all of them are inline.
#define __global__ inline
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
// Blocks run one after the other in one thread of the host.
#define __shared__ static __attribute__((section("shared_memory")))
extern char __start_shared_memory[] __attribute__((weak)), __stop_shared_memory[] __attribute__((weak));
#define __restrict__

namespace host {

struct Coordinates {
    unsigned x = 0, y = 0, z = 0;
};

enum class Wait { No, Warp, Block };

struct Fiber {
    ucontext_t context;  // to begin with; then `jmp_buf`s, which unlike contexts cost no call of the system
    jmp_buf here;
    bool begun = false;
    static std::size_t constexpr STACK = 128 * 1024;
    std::unique_ptr<char[]> stack{new char[STACK]};  // untouched until used
    Coordinates thread;
    Wait wait = Wait::No;
    unsigned mask = 0;
    bool released = false;
    bool ended = true;
    // What the other lanes of the warp may see, in turn: who writes the second has seen everybody come for the first.
    alignas(16) unsigned char exchanged[2][24] = {};
    unsigned turn = 0;
};

inline jmp_buf scheduler;
inline std::vector<std::unique_ptr<Fiber>> fibers;
inline Fiber* current = nullptr;
inline Coordinates block, block_size, grid_size;
inline void (*body)(void**) = nullptr;
inline void** arguments = nullptr;
inline bool backwards = false;

[[noreturn]] inline void fail(char const* why) {
    std::fprintf(stderr, "%s\n", why);
    std::abort();
}

// A fiber's life: a thread of a kernel, and then one of another, as a context is dear to make.
inline void run_bodies() {
    for (;;) {
        body(arguments);
        current->ended = true;
        if (_setjmp(current->here) == 0) _longjmp(scheduler, 1);
    }
}

// Lets a fiber run until it waits or ends.
inline void resume(Fiber& fiber) {
    current = &fiber;
    if (_setjmp(scheduler) != 0) return;
    if (fiber.begun) _longjmp(fiber.here, 1);
    fiber.begun = true;
    setcontext(&fiber.context);
}

inline void wait(Wait what, unsigned mask = 0) {
    current->wait = what;
    current->mask = mask;
    if (_setjmp(current->here) == 0) _longjmp(scheduler, 1);
}

// Runs a warp until each of its threads ends or waits for the block.
inline void run_warp(std::size_t first, std::size_t last) {
    for (bool going = true; going;) {
        going = false;
        bool all_wait = true;
        unsigned come = 0;
        for (std::size_t n = first; n < last; ++n) {
            Fiber& fiber = *fibers[backwards ? last - 1 - (n - first) : n];
            if (!fiber.ended && fiber.wait == Wait::No) {
                resume(fiber);
                going = true;
            }
        }
        for (std::size_t n = first; n < last; ++n) {
            all_wait = all_wait && (fibers[n]->ended || fibers[n]->wait == Wait::Block);
            if (fibers[n]->ended || fibers[n]->wait == Wait::Warp) come |= 1u << (n - first);
        }
        if (all_wait) return;
        unsigned const there = last - first == 32 ? ~0u : (1u << (last - first)) - 1;
        for (std::size_t n = first; n < last; ++n) {
            Fiber& fiber = *fibers[n];
            if (fiber.ended || fiber.wait != Wait::Warp || (fiber.mask & there & ~come) != 0) continue;
            fiber.released = going = true;
        }
        for (std::size_t n = first; n < last; ++n) {
            if (std::exchange(fibers[n]->released, false)) fibers[n]->wait = Wait::No;
        }
    }
    fail("a warp's threads wait for each other for ever");
}

inline void run_block(std::size_t threads) {
    while (fibers.size() < threads) fibers.push_back(std::make_unique<Fiber>());
    for (std::size_t n = 0; n < threads; ++n) {
        Fiber& fiber = *fibers[n];
        fiber.thread.x = static_cast<unsigned>(n);
        fiber.wait = Wait::No;
        fiber.ended = false;
        fiber.turn = 0;
        if (fiber.begun) continue;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = Fiber::STACK;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, run_bodies, 0);
    }
    std::memset(__start_shared_memory, 0xa5, static_cast<std::size_t>(__stop_shared_memory - __start_shared_memory));
    std::size_t const warps = (threads + 31) / 32;
    for (;;) {
        bool left = false;
        for (std::size_t n = 0; n < warps; ++n) {
            std::size_t const first = (backwards ? warps - 1 - n : n) * 32;
            run_warp(first, std::min(first + 32, threads));
        }
        // Whoever has not ended waits at the barrier.
        for (std::size_t n = 0; n < threads; ++n) {
            left = left || !fibers[n]->ended;
            fibers[n]->wait = Wait::No;
        }
        if (!left) return;
    }
}

// A kernel by its name, its arguments still pointers to them.
using Kernel = void (*)(void**);
inline std::map<std::string, Kernel>& kernels() {
    static std::map<std::string, Kernel> all;
    return all;
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

// Lets the other lanes of the warp see `value`, and calls `look` with a function that shows theirs, all having come.
template <class T, class Look>
auto exchange(unsigned mask, T value, Look look) {
    static_assert(sizeof(T) <= sizeof(current->exchanged[0]));
    // Of a lane that stays away nobody would know whose turn it is.
    if (mask != 0xffffffffu) fail("a shuffle or a ballot of a part of a warp is not supported here");
    Fiber* const self = current;
    unsigned const warp = self->thread.x / 32 * 32, turn = self->turn;
    self->turn = 1 - turn;
    std::memcpy(self->exchanged[turn], &value, sizeof(T));
    wait(Wait::Warp, mask);
    return look([&](unsigned lane) {
        bool const there = warp + lane < block_size.x && (mask >> lane & 1);
        T other = value;
        if (there) std::memcpy(&other, fibers[warp + lane]->exchanged[turn], sizeof(T));
        return other;
    });
}

inline bool launch(char const* name, unsigned grid, unsigned threads, void** given, bool turned_round) {
    auto const found = kernels().find(name);
    if (found == kernels().end()) return false;
    body = found->second;
    arguments = given;
    backwards = turned_round;
    grid_size = {grid, 1, 1};
    block_size = {threads, 1, 1};
    for (unsigned n = 0; n < grid; ++n) {
        block = {turned_round ? grid - 1 - n : n, 0, 0};
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
T __shfl_sync(unsigned mask, T value, unsigned from) {
    return host::exchange(mask, value, [=](auto of) { return of(from % 32); });
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, unsigned by) {
    return __shfl_sync(mask, value, (threadIdx.x % 32) ^ by);
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
    bool const seen = any;
    __syncthreads();
    return seen;
}

// Threads run one at a time, so what they do between two waits is whole.
template <class T>
T atomicAdd(T* place, T value) {
    T const old = *place;
    *place = static_cast<T>(old + value);
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
    std::uint64_t const bits = static_cast<std::uint64_t>(static_cast<unsigned>(high)) << 32 | static_cast<unsigned>(low);
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

// kernels/tensor.cuh's words.
#define HOST_RUN
namespace recsim {

inline unsigned half_of(float x) {
    unsigned const sign = __float_as_uint(x) >> 31 << 15;
    if (x == 0.0f) return sign;
    if (!std::isfinite(x)) return std::isnan(x) ? 0x7fffu : sign | 0x7c00u;
    // A half has 11 bits, and none below 2^-24.
    int const lowest = std::max(std::ilogb(x) - 10, -24);
    unsigned const digits = static_cast<unsigned>(std::rint(std::ldexp(std::fabs(x), -lowest)));
    // The digits' leading bit, where there is one, counts the exponent on.
    return sign | ((static_cast<unsigned>(lowest + 24) << 10) + digits);
}

// Every half's number.
inline std::vector<float> const numbers_of_halves = [] {
    std::vector<float> numbers(1 << 16);
    for (unsigned half = 0; half < numbers.size(); ++half) {
        int const exponent = static_cast<int>(half >> 10 & 31), digits = static_cast<int>(half & 1023);
        float size = static_cast<float>(exponent == 0 ? std::ldexp(digits, -24) : std::ldexp(1024 + digits, exponent - 25));
        if (exponent == 31) size = digits == 0 ? INFINITY : NAN;
        numbers[half] = half >> 15 ? -size : size;
    }
    return numbers;
}();

// A sum as carelessly made as by the worst tensor core: what lies more than 23 bits below the largest number is cut off.
inline float cut_sum(double const (&numbers)[17]) {
    double largest = 0.0, sum = 0.0;
    for (double number : numbers) largest = std::max(largest, std::fabs(number));
    if (largest == 0.0 || !std::isfinite(largest)) {
        for (double number : numbers) sum += number;
        return static_cast<float>(sum);
    }
    double const least = std::ldexp(1.0, std::ilogb(largest) - 23);
    for (double number : numbers) sum += std::trunc(number / least) * least;
    float const nearest = static_cast<float>(sum);
    return std::fabs(nearest) > std::fabs(sum) ? std::nextafterf(nearest, 0.0f) : nearest;
}

inline void multiply_add(float (&sum)[4], unsigned const (&a)[4], unsigned const (&b)[2]) {
    struct Lane {
        unsigned a[4], b[2];
    };
    unsigned const lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    host::exchange(0xffffffffu, Lane{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}}, [&](auto of) {
        auto const number = [](unsigned word, unsigned high) { return numbers_of_halves[high ? word >> 16 : word & 0xffffu]; };
        double added[4][17];
        for (unsigned n = 0; n < 4; ++n) added[n][16] = sum[n];
        for (unsigned there = 0; there < 4; ++there) {
            Lane const row = of(g * 4 + there), left = of(2 * t * 4 + there), right = of((2 * t + 1) * 4 + there);
            for (unsigned k = 0; k < 4; ++k) {
                unsigned const part = k / 2, high = k % 2;
                double const upper = number(row.a[2 * part], high), lower = number(row.a[2 * part + 1], high);
                double const first = number(left.b[part], high), second = number(right.b[part], high);
                added[0][4 * there + k] = upper * first;
                added[1][4 * there + k] = upper * second;
                added[2][4 * there + k] = lower * first;
                added[3][4 * there + k] = lower * second;
            }
        }
        for (unsigned n = 0; n < 4; ++n) sum[n] = cut_sum(added[n]);
        return true;
    });
}

}  // namespace recsim

#define HOST_KERNEL(name) static host::Registration const registered_##name(#name, host::call<name>);

// All else is hidden, or libraries of other constants would take it for their own.
extern "C" __attribute__((visibility("default"))) int recsim_launch(char const* name, unsigned grid, unsigned threads, void** arguments, int turned_round) {
    return host::launch(name, grid, threads, arguments, turned_round != 0);
}
