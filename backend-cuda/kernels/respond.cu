// Users respond to their slates, all of a batch at once, and their transitions go into the ring.
#include "user.cuh"

namespace recsim {

// Users that a block serves: as many as a warp has threads, where shared memory holds their counts.
unsigned constexpr MOST_COUNTS = 12288;
unsigned constexpr USERS_OF_A_BLOCK = MOST_COUNTS / K < 32 ? MOST_COUNTS / K : 32;
unsigned constexpr WARPS = 8;

// Remembers the actions of the users from `first` to `last`, a thread a number, `threads` threads.
__device__ inline void remember_actions(
    Users const& users, Span const& replay, unsigned first, unsigned last, unsigned thread, unsigned threads
) {
    for (unsigned i = thread; i < (last - first) * D; i += threads) {
        unsigned const n = first + i / D, column = i % D;
        size_t place;
        if (replay.finds(n, place)) replay.action[place * D + column] = users.action[static_cast<size_t>(n) * D + column];
    }
}

}  // namespace recsim

// Blocks of 256 threads, one for every 32 users: warps show, then the first warp moves, a thread a user, while the others
// remember actions.
extern "C" __global__ void __launch_bounds__(256)
respond(recsim::Rules rules, recsim::Users users, recsim::Span replay, recsim::Key round) {
    using namespace recsim;
    __shared__ unsigned counts[USERS_OF_A_BLOCK * K];
    for (unsigned i = threadIdx.x; i < USERS_OF_A_BLOCK * K; i += blockDim.x) counts[i] = 0;
    __syncthreads();
    unsigned const first = blockIdx.x * USERS_OF_A_BLOCK;
    unsigned const last = users.count - first < USERS_OF_A_BLOCK ? users.count : first + USERS_OF_A_BLOCK;
    for (unsigned n = first + threadIdx.x / 32; n < last; n += WARPS) {
        show(rules, users, round, n, counts + (n - first) * K);
    }
    __syncthreads();
    if (threadIdx.x >= 32) {
        remember_actions(users, replay, first, last, threadIdx.x - 32, blockDim.x - 32);
        return;
    }
    // All of the warp, as all its lanes add up.
    unsigned const n = first + threadIdx.x;
    Tally const tally = n < last ? move(rules, users, replay, n, counts + threadIdx.x * K) : Tally::nobody();
    tally.add_to(users.tally);
}

HOST_KERNEL(respond)
