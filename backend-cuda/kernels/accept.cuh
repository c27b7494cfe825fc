// Twin of core/src/model/accept.rs: the probability that a user accepts an item.
#pragma once
#include "math.cuh"

namespace recsim {

struct Acceptance {
    int is_fixed;  // 1: every item has the probability `baseline`
    float max_cluster_distance;
    float sigmoid_scale;
    float baseline;

    // The probability of accepting an item, given the belief in its cluster and its distance from the cluster's
    // center.
    __device__ float probability(float belief, float distance) const {
        if (is_fixed) return baseline;
        float const nearness = maximum(1.0f - distance / max_cluster_distance, 0.0f);
        return clamp(nearness * sigmoid(belief * sigmoid_scale) + baseline, 0.0f, 1.0f);
    }
};

}  // namespace recsim
