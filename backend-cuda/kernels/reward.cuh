// Twin of core/src/model/reward.rs: the reward of a step.
#pragma once
#include "belief.cuh"
#include "math.cuh"

namespace recsim {

__device__ inline float sum(float const* values) {
    float sum = 0.0f;
    for (int c = 0; c < K; ++c) sum += values[c];
    return sum;
}

// The sum of the beliefs relative to the target's, in [0, 1].
__device__ inline float engagement(float const* beliefs, float const* target) {
    return minimum(sum(beliefs) / sum(target), 1.0f);
}

// The cosine of beliefs and target, in [0, 1]; 0 if one of them is 0.
__device__ inline float alignment(float const* beliefs, float const* target) {
    float dot = 0.0f, bb = 0.0f, tt = 0.0f;
    for (int c = 0; c < K; ++c) {
        dot += beliefs[c] * target[c];
        bb += beliefs[c] * beliefs[c];
        tt += target[c] * target[c];
    }
    float const norms = sqrtf(bb) * sqrtf(tt);
    return norms > 0.0f ? clamp(dot / norms, 0.0f, 1.0f) : 0.0f;
}

struct Reward {
    enum RewardForm : int { Strict, Hybrid, Potential };
    enum BeliefScore : int { Combined, Distance };

    int kind;
    int score;
    float scale;
    float max;
    float improvement_threshold;
    float maintenance_factor;
    float exploration_bonus;

    // The score of `beliefs`, at most 1: core's `BeliefScore::of`.
    __device__ float score_of(float const* beliefs, float const* target) const {
        if (score == Combined) return engagement(beliefs, target) * alignment(beliefs, target);
        return 1.0f - distance(beliefs, target) / sum(target);
    }

    // The reward of moving a user from `before` to `after`.
    __device__ float of(float const* before, float const* after, float const* target) const {
        float gained = 0.0f, distance_before = 0.0f, distance_after = 0.0f;
        bool any_fell = false;
        for (int c = 0; c < K; ++c) {
            float const d_before = fabsf(target[c] - before[c]), d_after = fabsf(target[c] - after[c]);
            distance_before += d_before;
            distance_after += d_after;
            any_fell = any_fell || d_after < d_before;
            gained += maximum(d_before - d_after, 0.0f);
        }
        float reward;
        if (kind == Potential) {
            reward = scale * (distance_before - distance_after);
        } else {
            float const score_after = score_of(after, target);
            float const delta = score_after - score_of(before, target);
            bool const is_rise = delta >= improvement_threshold;
            if (kind == Strict) {
                reward = is_rise ? scale * gained : 0.0f;
            } else if (any_fell) {
                reward = scale * gained + (is_rise ? exploration_bonus : 0.0f);
            } else if (delta > -improvement_threshold) {
                reward = maintenance_factor * score_after;
            } else {
                reward = scale * delta;
            }
        }
        return clamp(reward, -max, max);
    }
};

}  // namespace recsim
