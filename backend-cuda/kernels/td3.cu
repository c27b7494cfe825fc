// TD3's steps between the networks' passes: core/src/reference/learn.rs. A row of a critic's input is a state and an
// action, K + D + D numbers; `raw` is what a network's last Linear layer gives without its bias.
#include "reduce.cuh"
#include "td3.cuh"
#include "update.cuh"

namespace recsim {

size_t constexpr STATE = K + D, INPUT = K + D + D, PAIRS = (D + 1) / 2;

// The ring's columns, row-major.
struct Transitions {
    unsigned const* user;        // [capacity]
    float const* belief_before;  // [capacity, K]
    float const* belief;         // [capacity, K]
    float const* action;         // [capacity, D]
    float const* reward;         // [capacity]
};

// What two networks say of each row, `[2, rows]`.
struct Values {
    float const* raw;
    float const* bias;         // of the first
    unsigned long long apart;  // from its bias to the second's

    __device__ float of(unsigned critic, size_t row, size_t rows) const {
        return raw[critic * rows + row] + bias[critic * apart];
    }
};

// How a batch's users act in a round, kept on the device, so that the actor's way can be recorded once and repeated.
struct Acting {
    Key exploration;
    float deviation;  // of the noise on actions; below 0: none
    unsigned unused;
    // Components of the policy's actions that are saturated, and those that are no numbers.
    unsigned long long saturated, spoilt;
};

}  // namespace recsim

// What a round says of its actions.
extern "C" __global__ void __launch_bounds__(32)
explore(recsim::Key exploration, float deviation, recsim::Acting* acting) {
    if (threadIdx.x == 0) *acting = {exploration, deviation, 0, 0, 0};
}

// The actions of a batch's users from the actor's raw output, [count, D], with their noise; counts the components before
// it. A thread a pair of dimensions.
extern "C" __global__ void __launch_bounds__(256)
act(
    unsigned long long first, unsigned long long count, float const* raw, float const* bias, float max_action,
    float* action, recsim::Acting* acting
) {
    using namespace recsim;
    Key const exploration = acting->exploration;
    float const deviation = acting->deviation;
    unsigned beyond = 0, spoilt = 0;
    for (size_t place = thread_of_all(); place < count * PAIRS; place += threads_of_all()) {
        size_t const n = place / PAIRS, pair = place % PAIRS;
        float normal[2] = {0.0f, 0.0f};
        if (deviation >= 0.0f) normal_pair(exploration.with(first + n).with(pair), normal);
        for (size_t column = 2 * pair; column < 2 * pair + 2 && column < D; ++column) {
            float component = tanhf(raw[n * D + column] + bias[column]) * max_action;
            beyond += saturated(component, max_action);
            if (deviation >= 0.0f) component = perturb(component, normal[column - 2 * pair] * deviation, max_action);
            // What is not a number would lead the search for items astray.
            bool const finite = fabsf(component) <= max_action;
            spoilt += !finite;
            action[n * D + column] = finite ? component : 0.0f;
        }
    }
    beyond = block_sum(beyond);
    spoilt = block_sum(spoilt);
    if (threadIdx.x != 0) return;
    atomicAdd(&acting->saturated, static_cast<unsigned long long>(beyond));
    atomicAdd(&acting->spoilt, static_cast<unsigned long long>(spoilt));
}

// The transitions of an update: states and actions, the states they led to, and rewards.
extern "C" __global__ void __launch_bounds__(256)
sample(
    unsigned long long rows, recsim::Transitions held, float const* scale, float const* embedding,
    recsim::Update const* update, float* input, float* next, float* reward
) {
    using namespace recsim;
    for (size_t row = blockIdx.x; row < rows; row += gridDim.x) {
        size_t const place = index(Key{update->sample}.with(row), update->held);
        size_t const user = held.user[place];
        for (size_t feature = threadIdx.x; feature < INPUT; feature += blockDim.x) {
            float& is = input[row * INPUT + feature];
            float& becomes = next[row * INPUT + feature];
            if (feature < K) {
                is = held.belief_before[place * K + feature] * scale[feature];
                becomes = held.belief[place * K + feature] * scale[feature];
            } else if (feature < STATE) {
                is = becomes = embedding[user * D + feature - K];
            } else {
                is = held.action[place * D + feature - STATE];
            }
        }
        if (threadIdx.x == 0) reward[row] = held.reward[place];
    }
}

// The target policy's actions under clipped noise, into `next`. A thread a pair of dimensions.
extern "C" __global__ void __launch_bounds__(256)
smooth_targets(
    unsigned long long rows, float const* raw, float const* bias, float max_action, float deviation, float limit,
    recsim::Update const* update, float* next
) {
    using namespace recsim;
    for (size_t place = thread_of_all(); place < rows * PAIRS; place += threads_of_all()) {
        size_t const row = place / PAIRS, pair = place % PAIRS;
        float normal[2];
        normal_pair(Key{update->noise}.with(row).with(pair), normal);
        for (size_t column = 2 * pair; column < 2 * pair + 2 && column < D; ++column) {
            float const action = tanhf(raw[row * D + column] + bias[column]) * max_action;
            next[row * INPUT + STATE + column] =
                smooth(action, normal[column - 2 * pair], deviation, limit, max_action);
        }
    }
}

// The critics' loss, and its slope by each of their values, `[2, rows]`. One block.
extern "C" __global__ void __launch_bounds__(1024)
criticise(
    unsigned long long rows, recsim::Values target, recsim::Values value, float const* reward, float discount,
    float* slope, recsim::Report* report
) {
    using namespace recsim;
    double loss = 0.0, values = 0.0, targets = 0.0;
    for (size_t row = threadIdx.x; row < rows; row += blockDim.x) {
        float const due = target_value(reward[row], discount, 1.0f, target.of(0, row, rows), target.of(1, row, rows));
        targets += due;
        values += value.of(0, row, rows);
        for (unsigned critic = 0; critic < 2; ++critic) {
            float const off = value.of(critic, row, rows) - due;
            loss += off * off;
            slope[critic * rows + row] = 2.0f * off / static_cast<float>(rows);
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

// The policy's actions in the sampled states, in place of those that were sampled.
extern "C" __global__ void __launch_bounds__(256)
propose(unsigned long long rows, float const* raw, float const* bias, float max_action, float* input) {
    using namespace recsim;
    for (size_t place = thread_of_all(); place < rows * D; place += threads_of_all()) {
        input[place / D * INPUT + STATE + place % D] = tanhf(raw[place] + bias[place % D]) * max_action;
    }
}

// The actor's loss, and its slope by the first critic's values, `[rows]`. `partial` has room for two numbers a block.
extern "C" __global__ void __launch_bounds__(256)
appraise(
    unsigned long long rows, float const* raw, float const* bias, float const* input, double action_l2, float* slope,
    double* partial, unsigned* done, recsim::Report* report
) {
    using namespace recsim;
    double values = 0.0, squares = 0.0;
    for (size_t row = blockIdx.x; row < rows; row += gridDim.x) {
        for (size_t column = threadIdx.x; column < D; column += blockDim.x) {
            float const action = input[row * INPUT + STATE + column];
            squares += action * action;
        }
        if (threadIdx.x != 0) continue;
        values += raw[row] + bias[0];
        slope[row] = -1.0f / static_cast<float>(rows);
    }
    values = block_sum(values);
    squares = block_sum(squares);
    if (threadIdx.x == 0) {
        partial[2 * blockIdx.x] = values;
        partial[2 * blockIdx.x + 1] = squares;
    }
    if (!last_block(done, gridDim.x)) return;
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

// The slope of the actor's loss by its raw output, `[rows, D]`, from that by the critic's input and the pull on the
// action's size.
extern "C" __global__ void __launch_bounds__(256)
back_to_policy(
    unsigned long long rows, float const* raw, float const* bias, float max_action, float pull, float const* by_input,
    float* slope
) {
    using namespace recsim;
    for (size_t place = thread_of_all(); place < rows * D; place += threads_of_all()) {
        float const squashed = tanhf(raw[place] + bias[place % D]);
        float const by_action = by_input[place / D * INPUT + STATE + place % D];
        slope[place] = (by_action + pull * (squashed * max_action)) * max_action * (1.0f - squashed * squashed);
    }
}

HOST_KERNEL(explore)
HOST_KERNEL(act)
HOST_KERNEL(sample)
HOST_KERNEL(smooth_targets)
HOST_KERNEL(criticise)
HOST_KERNEL(propose)
HOST_KERNEL(appraise)
HOST_KERNEL(back_to_policy)
