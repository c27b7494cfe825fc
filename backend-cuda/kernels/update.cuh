// The values that change from update to update, in device memory. All arguments of an update's kernels stay the same,
// so that the launches can be captured once as a graph and launched again.
#pragma once

namespace recsim {

struct UpdateParams {
    // Keys of the draws: core/src/td3/mod.rs, UpdateKeys.
    unsigned long long sample, noise, dropout;
    // Transitions in the replay buffer.
    unsigned long long replay_len;
    // Of Adam's step: core/src/td3/adam.rs, AdamStep.
    float step_size, sqrt_bias_correction2;
};

// Sums over updates, and the clip coefficient of the current gradient.
struct UpdateReport {
    double critic_loss, actor_loss, q_value, target_value, critic_gradient_norm, actor_gradient_norm;
    float clip_coefficient;
    unsigned unused;
};

}  // namespace recsim
