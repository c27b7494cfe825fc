// core/src/td3.rs: what is a formula of one number.
#pragma once
#include "math.cuh"

namespace recsim {

// An action with noise on it, in plus or minus `max_action`.
__device__ inline float perturb(float action, float noise, float max_action) {
    return clamp(action + noise, -max_action, max_action);
}

}  // namespace recsim
