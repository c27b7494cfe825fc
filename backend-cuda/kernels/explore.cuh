// core/src/explore.rs: exploration by items.
#pragma once
#include "math.cuh"
#include "rng.cuh"
#include "slate.cuh"

namespace recsim {

// Whether a user is to explore an item, and which.
__device__ inline bool item(Key user, float share, unsigned long long items, unsigned long long& item) {
    item = index(user.with(1), items);
    return uniform(user) < share;
}

// The action that points where an item's row does, of a root mean square of half of `max_action` before it is clipped.
__device__ inline void aim(float const* row, float max_action, float* action) {
    float const length = sqrtf(score(row, row));
    float const reach = max_action * 0.5f * sqrtf(static_cast<float>(D));
    float const factor = length > 0.0f ? reach / length : 0.0f;
    for (unsigned d = 0; d < D; ++d) action[d] = clamp(row[d] * factor, -max_action, max_action);
}

}  // namespace recsim
