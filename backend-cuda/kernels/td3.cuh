// Twin of core/src/td3/mod.rs: TD3's scalar formulas.
#pragma once
#include "math.cuh"
#include "rng.cuh"

namespace recsim {

// An action plus noise, clipped to plus or minus `max_action`.
__device__ inline float perturb(float action, float noise, float max_action) {
    return clamp(action + noise, -max_action, max_action);
}

// Target policy smoothing: the target actor's action with clipped noise. `normal` is a standard normal draw.
__device__ inline float smooth_target_action(
    float action, float normal, float noise_std, float noise_clip, float max_action
) {
    return perturb(action, clamp(normal * noise_std, -noise_clip, noise_clip), max_action);
}

// Clipped double Q-learning: the critics' target.
__device__ inline float target_value(float reward, float discount, float not_done, float value_1, float value_2) {
    return reward + discount * not_done * minimum(value_1, value_2);
}

// The soft update of a target's parameter or running statistic.
__device__ inline float soft_update(float target, float online, float tau) { return target + tau * (online - target); }

// Whether a component of an action is saturated: beyond 0.99 of `max_action`.
__device__ inline bool is_saturated(float component, float max_action) { return fabsf(component) > 0.99f * max_action; }

// The dropout mask of four neighboring units: bit i is set if unit 4 * column_of_four + i is kept. `row` is the row's
// key.
__device__ inline unsigned keep_mask(Key row, unsigned long long column_of_four, unsigned threshold) {
    unsigned long long const bits = row.fold_in(column_of_four).bits;
    unsigned mask = 0;
    for (unsigned unit = 0; unit < 4; ++unit) {
        mask |= (static_cast<unsigned>(bits >> (16 * unit) & 0xffff) >= threshold ? 1u : 0u) << unit;
    }
    return mask;
}

}  // namespace recsim
