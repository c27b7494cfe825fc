// Twin of core/src/model/belief.rs: how acceptances move a user's beliefs. K is the number of clusters.
#pragma once
#include "math.cuh"

namespace recsim {

// Updates `beliefs`, [K], by the number of accepted items in each cluster.
__device__ inline void update(float* beliefs, unsigned const* accepted, float const* target, float increment) {
    bool is_unchanged = true;
    for (int c = 0; c < K; ++c) is_unchanged = is_unchanged && accepted[c] == 0;
    if (is_unchanged) return;
    float sum = 0.0f;
    for (int c = 0; c < K; ++c) {
        beliefs[c] = maximum(beliefs[c] + static_cast<float>(accepted[c]) * increment, 0.0f);
        sum += beliefs[c];
    }
    for (int c = 0; c < K; ++c) {
        if (sum > 1.0f) beliefs[c] /= sum;
        beliefs[c] = minimum(beliefs[c], target[c]);
    }
}

// The summed distance to the target, in cluster order.
__device__ inline float distance(float const* beliefs, float const* target) {
    float sum = 0.0f;
    for (int c = 0; c < K; ++c) sum += fabsf(target[c] - beliefs[c]);
    return sum;
}

}  // namespace recsim
