// core/src/adam.rs: the optimizer.
#pragma once
#include "math.cuh"

namespace recsim {

// What one step does to every parameter.
struct Step {
    float beta_1, beta_2, rest_1, rest_2, epsilon;

    // Moves one parameter and its two moments along its gradient, clipped.
    __device__ void apply(
        float size, float root_of_correction_2, float& parameter, float& first, float& second, float gradient
    ) const {
        first = beta_1 * first + rest_1 * gradient;
        second = beta_2 * second + rest_2 * gradient * gradient;
        parameter -= size * first / (sqrtf(second) / root_of_correction_2 + epsilon);
    }
};

// What gradients of global norm `norm` are multiplied by so that it is at most about `most`.
__device__ inline float clip(float norm, float most) { return minimum(most / (norm + 1e-6f), 1.0f); }

}  // namespace recsim
