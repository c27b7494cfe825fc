// TD3's steps between the networks' passes, as in core/src/backend/reference/learn.rs. A row of a critic's input is a
// state and an action, K + D + D elements. `pre_bias` is a network's last product without the bias.
#include "reduce.cuh"
#include "td3.cuh"
#include "update.cuh"

namespace recsim {

size_t constexpr STATE = K + D, INPUT = K + D + D, PAIRS = (D + 1) / 2;

// The columns of the replay buffer, row-major.
struct ReplayColumns {
    unsigned const* user;        // [capacity]
    float const* belief_before;  // [capacity, K]
    float const* belief;         // [capacity, K]
    float const* action;         // [capacity, D]
    float const* reward;         // [capacity]
};

// The two critics' values.
struct CriticValues {
    float const* pre_bias;           // [2, rows]
    float const* bias;               // of the first critic
    unsigned long long bias_stride;  // from the first critic's bias to the second's

    __device__ float of(unsigned critic, size_t row, size_t rows) const {
        return pre_bias[critic * rows + row] + bias[critic * bias_stride];
    }
};

// How a batch acts in a round, in device memory, so that the launches of inference can be captured as a graph.
struct ActionRound {
    Key exploration;
    float noise_std;  // of the noise on actions; below 0: no noise
    unsigned unused;
    // Components of the policy's actions that are saturated, and those that are not finite.
    unsigned long long saturated, non_finite;
};

}  // namespace recsim

// Sets a round's action noise, and its counts to 0.
extern "C" __global__ void __launch_bounds__(32)
set_action_noise(recsim::Key exploration, float noise_std, recsim::ActionRound* round) {
    if (threadIdx.x == 0) *round = {exploration, noise_std, 0, 0, 0};
}

// The actions of a batch's users from the actor's `pre_bias`, [count, D], with noise. Counts the saturated components
// before the noise. One thread for each pair of dimensions.
extern "C" __global__ void __launch_bounds__(256)
act(
    unsigned long long first, unsigned long long count, float const* pre_bias, float const* bias, float max_action,
    float* action, recsim::ActionRound* round
) {
    using namespace recsim;
    Key const exploration = round->exploration;
    float const noise_std = round->noise_std;
    unsigned saturated = 0, non_finite = 0;
    for (size_t index = grid_thread(); index < count * PAIRS; index += grid_threads()) {
        size_t const n = index / PAIRS, pair = index % PAIRS;
        float normal[2] = {0.0f, 0.0f};
        if (noise_std >= 0.0f) normal_pair(exploration.fold_in(first + n).fold_in(pair), normal);
        for (size_t column = 2 * pair; column < 2 * pair + 2 && column < D; ++column) {
            float component = tanhf(pre_bias[n * D + column] + bias[column]) * max_action;
            saturated += is_saturated(component, max_action);
            if (noise_std >= 0.0f) component = perturb(component, normal[column - 2 * pair] * noise_std, max_action);
            // A component that is not finite becomes 0: the search for items assumes finite actions.
            bool const is_finite = fabsf(component) <= max_action;
            non_finite += !is_finite;
            action[n * D + column] = is_finite ? component : 0.0f;
        }
    }
    saturated = block_sum(saturated);
    non_finite = block_sum(non_finite);
    if (threadIdx.x != 0) return;
    atomicAdd(&round->saturated, static_cast<unsigned long long>(saturated));
    atomicAdd(&round->non_finite, static_cast<unsigned long long>(non_finite));
}

// Samples the minibatch of an update: states and actions into `input`, next states into `next`, and rewards.
extern "C" __global__ void __launch_bounds__(256)
sample_minibatch(
    unsigned long long rows, recsim::ReplayColumns replay, float const* scale, float const* embedding,
    recsim::UpdateParams const* params, float* input, float* next, float* reward
) {
    using namespace recsim;
    for (size_t row = blockIdx.x; row < rows; row += gridDim.x) {
        size_t const offset = index(Key{params->sample}.fold_in(row), params->replay_len);
        size_t const user = replay.user[offset];
        for (size_t feature = threadIdx.x; feature < INPUT; feature += blockDim.x) {
            float& now = input[row * INPUT + feature];
            float& then = next[row * INPUT + feature];
            if (feature < K) {
                now = replay.belief_before[offset * K + feature] * scale[feature];
                then = replay.belief[offset * K + feature] * scale[feature];
            } else if (feature < STATE) {
                now = then = embedding[user * D + feature - K];
            } else {
                now = replay.action[offset * D + feature - STATE];
            }
        }
        if (threadIdx.x == 0) reward[row] = replay.reward[offset];
    }
}

// The target policy's actions with clipped noise, into `next`. One thread for each pair of dimensions.
extern "C" __global__ void __launch_bounds__(256)
smooth_target_actions(
    unsigned long long rows, float const* pre_bias, float const* bias, float max_action, float noise_std,
    float noise_clip, recsim::UpdateParams const* params, float* next
) {
    using namespace recsim;
    for (size_t index = grid_thread(); index < rows * PAIRS; index += grid_threads()) {
        size_t const row = index / PAIRS, pair = index % PAIRS;
        float normal[2];
        normal_pair(Key{params->noise}.fold_in(row).fold_in(pair), normal);
        for (size_t column = 2 * pair; column < 2 * pair + 2 && column < D; ++column) {
            float const action = tanhf(pre_bias[row * D + column] + bias[column]) * max_action;
            next[row * INPUT + STATE + column] =
                smooth_target_action(action, normal[column - 2 * pair], noise_std, noise_clip, max_action);
        }
    }
}

// Adds the critics' loss to the report, and computes its gradient by each of their values, [2, rows]. One block.
extern "C" __global__ void __launch_bounds__(1024)
critic_loss(
    unsigned long long rows, recsim::CriticValues target, recsim::CriticValues value, float const* reward,
    float discount, float* value_grad, recsim::UpdateReport* report
) {
    using namespace recsim;
    double loss = 0.0, values = 0.0, targets = 0.0;
    for (size_t row = threadIdx.x; row < rows; row += blockDim.x) {
        float const y = target_value(reward[row], discount, 1.0f, target.of(0, row, rows), target.of(1, row, rows));
        targets += y;
        values += value.of(0, row, rows);
        for (unsigned critic = 0; critic < 2; ++critic) {
            float const td_error = value.of(critic, row, rows) - y;
            loss += td_error * td_error;
            value_grad[critic * rows + row] = 2.0f * td_error / static_cast<float>(rows);
        }
    }
    loss = block_sum(loss);
    values = block_sum(values);
    targets = block_sum(targets);
    if (threadIdx.x != 0) return;
    report->critic_loss += loss / static_cast<double>(rows);
    report->q_value += values / static_cast<double>(rows);
    report->target_value += targets / static_cast<double>(rows);
}

// Replaces the sampled actions in `input` by the policy's actions.
extern "C" __global__ void __launch_bounds__(256)
policy_forward(unsigned long long rows, float const* pre_bias, float const* bias, float max_action, float* input) {
    using namespace recsim;
    for (size_t index = grid_thread(); index < rows * D; index += grid_threads()) {
        input[index / D * INPUT + STATE + index % D] = tanhf(pre_bias[index] + bias[index % D]) * max_action;
    }
}

// Adds the actor's loss to the report, and computes its gradient by the first critic's values, [rows]. `partial` has
// two elements for each block.
extern "C" __global__ void __launch_bounds__(256)
policy_value(
    unsigned long long rows, float const* pre_bias, float const* bias, float const* input, double action_l2,
    float* value_grad, double* partial, unsigned* blocks_done, recsim::UpdateReport* report
) {
    using namespace recsim;
    double values = 0.0, squares = 0.0;
    for (size_t row = blockIdx.x; row < rows; row += gridDim.x) {
        for (size_t column = threadIdx.x; column < D; column += blockDim.x) {
            float const action = input[row * INPUT + STATE + column];
            squares += action * action;
        }
        if (threadIdx.x != 0) continue;
        values += pre_bias[row] + bias[0];
        value_grad[row] = -1.0f / static_cast<float>(rows);
    }
    values = block_sum(values);
    squares = block_sum(squares);
    if (threadIdx.x == 0) {
        partial[2 * blockIdx.x] = values;
        partial[2 * blockIdx.x + 1] = squares;
    }
    if (!is_last_block(blocks_done, gridDim.x)) return;
    values = squares = 0.0;
    for (unsigned block = threadIdx.x; block < gridDim.x; block += blockDim.x) {
        values += partial[2 * block];
        squares += partial[2 * block + 1];
    }
    values = block_sum(values);
    squares = block_sum(squares);
    if (threadIdx.x != 0) return;
    report->actor_loss += action_l2 * squares / static_cast<double>(rows * D) - values / static_cast<double>(rows);
}

// The gradient of the actor's loss by the actor's `pre_bias`, [rows, D], from the gradient by the critic's input,
// [rows, K + D + D]. `l2_grad_scale` times an action is the gradient of the penalty on actions.
extern "C" __global__ void __launch_bounds__(256)
policy_backward(
    unsigned long long rows, float const* pre_bias, float const* bias, float max_action, float l2_grad_scale,
    float const* input_grad, float* output_grad
) {
    using namespace recsim;
    for (size_t index = grid_thread(); index < rows * D; index += grid_threads()) {
        float const squashed = tanhf(pre_bias[index] + bias[index % D]);
        float const action_grad = input_grad[index / D * INPUT + STATE + index % D];
        output_grad[index] =
            (action_grad + l2_grad_scale * (squashed * max_action)) * max_action * (1.0f - squashed * squashed);
    }
}

HOST_KERNEL(set_action_noise)
HOST_KERNEL(act)
HOST_KERNEL(sample_minibatch)
HOST_KERNEL(smooth_target_actions)
HOST_KERNEL(critic_loss)
HOST_KERNEL(policy_forward)
HOST_KERNEL(policy_value)
HOST_KERNEL(policy_backward)
