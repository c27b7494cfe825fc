// All users of a batch respond to their slates, and their transitions are inserted into the replay buffer.
#include "user.cuh"

namespace recsim {

// Users of a block: as many as a warp has threads, or as many as have their counts in shared memory.
unsigned constexpr MAX_CLUSTER_COUNTS = 12288;
unsigned constexpr BLOCK_USERS = MAX_CLUSTER_COUNTS / K < 32 ? MAX_CLUSTER_COUNTS / K : 32;
unsigned constexpr WARPS = 8;

// Copies the actions of users `first` to `end` into the replay buffer. `threads` threads call it, each with its
// index.
__device__ inline void store_actions(
    UserBatch const& users, InsertSpan const& replay, unsigned first, unsigned end, unsigned thread, unsigned threads
) {
    for (unsigned i = thread; i < (end - first) * D; i += threads) {
        unsigned const n = first + i / D, column = i % D;
        size_t offset;
        if (replay.has_offset(n, offset)) {
            replay.action[offset * D + column] = users.action[static_cast<size_t>(n) * D + column];
        }
    }
}

}  // namespace recsim

// Blocks of 256 threads, one for every BLOCK_USERS users. Each warp draws the acceptances of one user at a time. Then
// the first warp updates the users, one thread each, while the others store actions.
extern "C" __global__ void __launch_bounds__(256)
respond(recsim::UserModel model, recsim::UserBatch users, recsim::InsertSpan replay, recsim::Key round) {
    using namespace recsim;
    __shared__ unsigned counts[BLOCK_USERS * K];
    for (unsigned i = threadIdx.x; i < BLOCK_USERS * K; i += blockDim.x) counts[i] = 0;
    __syncthreads();
    unsigned const first = blockIdx.x * BLOCK_USERS;
    unsigned const end = users.count - first < BLOCK_USERS ? users.count : first + BLOCK_USERS;
    for (unsigned n = first + threadIdx.x / 32; n < end; n += WARPS) {
        show_slate(model, users, round, n, counts + (n - first) * K);
    }
    __syncthreads();
    if (threadIdx.x >= 32) {
        store_actions(users, replay, first, end, threadIdx.x - 32, blockDim.x - 32);
        return;
    }
    // All lanes of the warp take part in the sum.
    unsigned const n = first + threadIdx.x;
    Tally const tally = n < end ? finish_step(model, users, replay, n, counts + threadIdx.x * K) : Tally::zero();
    tally.add_to(users.tally);
}

HOST_KERNEL(respond)
