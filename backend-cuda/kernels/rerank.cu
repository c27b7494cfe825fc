// Critic re-ranking of actions, as in core/src/backend/reference/learn.rs, `rerank`: one launch of each kernel for
// each candidate. Candidate 0 is the policy's action; candidate i is the action toward the (i - 1)-th of the user's
// items.
#include "explore.cuh"

namespace recsim {

size_t constexpr STATE = K + D, INPUT = K + D + D;

}  // namespace recsim

// Lays out the critic's input, [count, K + D + D], for candidate `candidate` of each user. `candidate_items` is
// [count, RL_SLOTS]. One thread for each user.
extern "C" __global__ void __launch_bounds__(256)
gather_candidates(
    unsigned count, unsigned candidate, float const* state, float const* action, unsigned const* candidate_items,
    float const* rows, float max_action, float* input
) {
    using namespace recsim;
    size_t const n = blockIdx.x * blockDim.x + threadIdx.x;
    if (n >= count) return;
    float* const to = input + n * INPUT;
    if (candidate > 0) {
        size_t const item = candidate_items[n * RL_SLOTS + candidate - 1];
        action_toward(rows + item * D, max_action, to + STATE);
        return;
    }
    for (unsigned i = 0; i < STATE; ++i) to[i] = state[n * STATE + i];
    for (unsigned d = 0; d < D; ++d) to[STATE + d] = action[n * D + d];
}

// Copies the candidate's action of each user for whom its value exceeds `best`, [count], which candidate 0
// initializes. The value is `pre_bias` plus `bias`. One thread for each user.
extern "C" __global__ void __launch_bounds__(256)
select_candidate(
    unsigned count, unsigned candidate, float const* pre_bias, float const* bias, float const* input, float* best,
    float* action
) {
    using namespace recsim;
    size_t const n = blockIdx.x * blockDim.x + threadIdx.x;
    if (n >= count) return;
    float const value = pre_bias[n] + bias[0];
    if (candidate > 0 && !(value > best[n])) return;
    best[n] = value;
    for (unsigned d = 0; d < D; ++d) action[n * D + d] = input[n * INPUT + STATE + d];
}

HOST_KERNEL(gather_candidates)
HOST_KERNEL(select_candidate)
