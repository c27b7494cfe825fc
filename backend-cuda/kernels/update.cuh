// What changes from update to update, kept on the device: all else that an update's kernels are given stays the same, so
// that they can be recorded once and repeated.
#pragma once

namespace recsim {

struct Update {
    // Keys of the draws: core/src/td3.rs, UpdateKeys.
    unsigned long long sample, noise, dropout;
    // Transitions in the ring.
    unsigned long long held;
    // Adam's step: core/src/adam.rs, Step.
    float size, root_of_correction_2;
};

// Sums over updates, and what the gradient of this one is multiplied by.
struct Report {
    double critic_loss, actor_loss, q_value, target_value, critic_gradient_norm, actor_gradient_norm;
    float clip;
    unsigned unused;
};

}  // namespace recsim
