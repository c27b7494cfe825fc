// Kernels before and after the actor: the states of users, and the actions of users that explore an item.
#include "explore.cuh"

// The states of a batch's users, [count, K + D]: scaled beliefs, then the user's embedding. One thread for each
// element.
extern "C" __global__ void __launch_bounds__(256)
observe(
    unsigned first, unsigned count, float const* belief, float const* scale, float const* embedding, float* state
) {
    size_t const index = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    size_t const n = index / (K + D), feature = index % (K + D);
    if (n >= count) return;
    state[index] = feature < K ? belief[n * K + feature] * scale[feature] : embedding[(first + n) * D + feature - K];
}

// Replaces the actions of users that explore an item. One thread for each user.
extern "C" __global__ void __launch_bounds__(256)
explore_items(
    unsigned first, unsigned count, unsigned long long key, float probability, float max_action,
    unsigned long long num_items, float const* rows, float* action
) {
    using namespace recsim;
    unsigned const n = blockIdx.x * blockDim.x + threadIdx.x;
    if (n >= count) return;
    unsigned long long item;
    if (!explored_item(Key{key}.fold_in(first + n), probability, num_items, item)) return;
    action_toward(rows + item * D, max_action, action + static_cast<size_t>(n) * D);
}

HOST_KERNEL(observe)
HOST_KERNEL(explore_items)
