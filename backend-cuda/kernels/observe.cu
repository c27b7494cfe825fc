// What comes before and after the actor: states, and the users that explore an item in its place.
#include "math.cuh"
#include "rng.cuh"
#include "slate.cuh"

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

// core/src/explore.rs: the actions of users that explore an item. A thread a user.
extern "C" __global__ void __launch_bounds__(256)
explore_items(
    unsigned first, unsigned count, unsigned long long key, float share, float max_action, unsigned long long items,
    float const* rows, float* action
) {
    using namespace recsim;
    unsigned const n = blockIdx.x * blockDim.x + threadIdx.x;
    if (n >= count) return;
    Key const user = Key{key}.with(first + n);
    if (!(uniform(user) < share)) return;
    float const* row = rows + index(user.with(1), items) * D;
    float const length = sqrtf(score(row, row));
    float const reach = max_action * 0.5f * sqrtf(static_cast<float>(D));
    float const factor = length > 0.0f ? reach / length : 0.0f;
    for (unsigned d = 0; d < D; ++d) {
        action[static_cast<size_t>(n) * D + d] = clamp(row[d] * factor, -max_action, max_action);
    }
}

HOST_KERNEL(observe)
HOST_KERNEL(explore_items)
