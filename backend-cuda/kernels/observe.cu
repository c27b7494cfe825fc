// What comes before and after the actor: states, and the users that explore an item in its place.
#include "explore.cuh"

// The states of a batch's users, [count, K + D]: beliefs as networks see them, then the user's embedding. A thread a number.
extern "C" __global__ void __launch_bounds__(256)
observe(
    unsigned first, unsigned count, float const* belief, float const* scale, float const* embedding, float* state
) {
    size_t const place = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    size_t const n = place / (K + D), feature = place % (K + D);
    if (n >= count) return;
    state[place] = feature < K ? belief[n * K + feature] * scale[feature] : embedding[(first + n) * D + feature - K];
}

// The actions of users that explore an item. A thread a user.
extern "C" __global__ void __launch_bounds__(256)
explore_items(
    unsigned first, unsigned count, unsigned long long key, float share, float max_action, unsigned long long items,
    float const* rows, float* action
) {
    using namespace recsim;
    unsigned const n = blockIdx.x * blockDim.x + threadIdx.x;
    if (n >= count) return;
    unsigned long long chosen;
    if (!item(Key{key}.with(first + n), share, items, chosen)) return;
    aim(rows + chosen * D, max_action, action + static_cast<size_t>(n) * D);
}

HOST_KERNEL(observe)
HOST_KERNEL(explore_items)
