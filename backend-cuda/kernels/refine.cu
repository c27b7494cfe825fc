// The critic's choice among actions near the policy's: core/src/reference/learn.rs's `refine`, a candidate a turn.
#include "explore.cuh"

namespace recsim {

size_t constexpr STATE = K + D, INPUT = K + D + D;

}  // namespace recsim

// What the critic is asked, [count, K + D + D]: of a user's action at turn 0, and then of one that aims at a candidate of
// `near`, [count, CHOSEN]. A thread a user.
extern "C" __global__ void __launch_bounds__(256)
consider(
    unsigned count, unsigned turn, float const* state, float const* action, unsigned const* near, float const* rows,
    float max_action, float* input
) {
    using namespace recsim;
    size_t const n = blockIdx.x * blockDim.x + threadIdx.x;
    if (n >= count) return;
    float* const to = input + n * INPUT;
    if (turn > 0) {
        aim(rows + static_cast<size_t>(near[n * CHOSEN + turn - 1]) * D, max_action, to + STATE);
        return;
    }
    for (unsigned i = 0; i < STATE; ++i) to[i] = state[n * STATE + i];
    for (unsigned d = 0; d < D; ++d) to[STATE + d] = action[n * D + d];
}

// Takes over the actions that were considered and found better than `best`, [count], which is set at turn 0. A value is
// `raw` and `bias`. A thread a user.
extern "C" __global__ void __launch_bounds__(256)
prefer(unsigned count, unsigned turn, float const* raw, float const* bias, float const* input, float* best, float* action) {
    using namespace recsim;
    size_t const n = blockIdx.x * blockDim.x + threadIdx.x;
    if (n >= count) return;
    float const value = raw[n] + bias[0];
    if (turn > 0 && !(value > best[n])) return;
    best[n] = value;
    for (unsigned d = 0; d < D; ++d) action[n * D + d] = input[n * INPUT + STATE + d];
}

HOST_KERNEL(consider)
HOST_KERNEL(prefer)
