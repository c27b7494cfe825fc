// Twin of core/src/td3/adam.rs: Adam and gradient clipping.
#pragma once
#include "math.cuh"

namespace recsim {

// The constants of an Adam step.
struct AdamStep {
    float beta1, beta2, one_minus_beta1, one_minus_beta2, epsilon;

    // Updates one parameter and its two moments by its clipped gradient.
    __device__ void apply(
        float step_size, float sqrt_bias_correction2, float& parameter, float& first_moment, float& second_moment,
        float grad
    ) const {
        first_moment = beta1 * first_moment + one_minus_beta1 * grad;
        second_moment = beta2 * second_moment + one_minus_beta2 * grad * grad;
        parameter -= step_size * first_moment / (sqrtf(second_moment) / sqrt_bias_correction2 + epsilon);
    }
};

// The factor that clips gradients of global norm `norm` to about `max_norm`: min(1, max_norm / (norm + 1e-6)).
__device__ inline float clip_coefficient(float norm, float max_norm) {
    return minimum(max_norm / (norm + 1e-6f), 1.0f);
}

}  // namespace recsim
