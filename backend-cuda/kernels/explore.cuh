// Twin of core/src/td3/explore.rs: item exploration.
#pragma once
#include "math.cuh"
#include "rng.cuh"
#include "slate.cuh"

namespace recsim {

// Whether a user explores an item, with probability `probability`. Sets `item` to a uniform index below `num_items`.
__device__ inline bool explored_item(
    Key user, float probability, unsigned long long num_items, unsigned long long& item
) {
    item = index(user.fold_in(1), num_items);
    return uniform(user) < probability;
}

// Writes the action, [D], in the direction of an item's row. Its root mean square is max_action / 2 before it is
// clipped.
__device__ inline void action_toward(float const* row, float max_action, float* action) {
    float const norm = sqrtf(score(row, row));
    float const action_norm = max_action * 0.5f * sqrtf(static_cast<float>(D));
    float const factor = norm > 0.0f ? action_norm / norm : 0.0f;
    for (unsigned d = 0; d < D; ++d) action[d] = clamp(row[d] * factor, -max_action, max_action);
}

}  // namespace recsim
