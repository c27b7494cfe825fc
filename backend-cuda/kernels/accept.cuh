// core/src/accept.rs: whether a user takes an item.
#pragma once
#include "math.cuh"

namespace recsim {

struct Acceptance {
    // 1: the same probability, `baseline`, for every item.
    int fixed;
    float max_cluster_distance;
    float sigmoid_scale;
    float baseline;

    // The probability for a belief in the item's cluster and the item's distance from the cluster's centre.
    __device__ float probability(float belief, float distance) const {
        if (fixed) return baseline;
        float const nearness = maximum(1.0f - distance / max_cluster_distance, 0.0f);
        return clamp(nearness * sigmoid(belief * sigmoid_scale) + baseline, 0.0f, 1.0f);
    }
};

}  // namespace recsim
