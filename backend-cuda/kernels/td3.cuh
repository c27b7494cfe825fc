// core/src/td3.rs: what is a formula of one number.
#pragma once
#include "math.cuh"
#include "rng.cuh"

namespace recsim {

// An action with noise on it, in plus or minus `max_action`.
__device__ inline float perturb(float action, float noise, float max_action) {
    return clamp(action + noise, -max_action, max_action);
}

// Target policy smoothing: the target actor's action under clipped noise.
__device__ inline float smooth(float action, float normal, float deviation, float limit, float max_action) {
    return perturb(action, clamp(normal * deviation, -limit, limit), max_action);
}

// Clipped double Q-learning: what a critic should have said.
__device__ inline float target_value(float reward, float discount, float not_done, float value_1, float value_2) {
    return reward + discount * not_done * minimum(value_1, value_2);
}

// A target's parameter or statistic follows its online network's.
__device__ inline float soft_update(float target, float online, float tau) { return target + tau * (online - target); }

// Whether a component of an action counts as saturated.
__device__ inline bool saturated(float component, float max_action) { return fabsf(component) > 0.99f * max_action; }

// Four neighbouring units' fates at once: bit `i` is set if unit `4 * column_of_four + i` of `row` is kept.
__device__ inline unsigned kept(Key layer, unsigned long long row, unsigned long long column_of_four, unsigned threshold) {
    unsigned long long const bits = layer.with(row).with(column_of_four).bits;
    unsigned kept = 0;
    for (unsigned unit = 0; unit < 4; ++unit) {
        kept |= (static_cast<unsigned>(bits >> (16 * unit) & 0xffff) >= threshold ? 1u : 0u) << unit;
    }
    return kept;
}

}  // namespace recsim
