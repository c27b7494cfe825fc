// The transitions of a batch's last round, written into the ring of transitions. A thread a number.
namespace recsim {

// A ring of `capacity` transitions; `start` is where the batch's first goes.
struct Replay {
    unsigned long long capacity;
    unsigned long long start;
    unsigned* user;          // [capacity]
    float* belief_before;    // [capacity, K]
    float* belief;           // [capacity, K]
    float* action;           // [capacity, D]
    float* reward;           // [capacity]
};

}  // namespace recsim

// Of more users than the ring holds only the last leave a transition.
extern "C" __global__ void __launch_bounds__(256)
remember(
    unsigned first, unsigned count, float const* belief_before, float const* belief, float const* action,
    float const* reward, recsim::Replay replay
) {
    unsigned constexpr NUMBERS = D + 2 * K + 2;
    size_t const thread = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    size_t const n = thread / NUMBERS;
    unsigned const number = static_cast<unsigned>(thread % NUMBERS);
    if (n >= count || count - n > replay.capacity) return;
    size_t const place = (replay.start + n) % replay.capacity;
    if (number < D) {
        replay.action[place * D + number] = action[n * D + number];
    } else if (number < D + K) {
        replay.belief_before[place * K + number - D] = belief_before[n * K + number - D];
    } else if (number < D + 2 * K) {
        replay.belief[place * K + number - D - K] = belief[n * K + number - D - K];
    } else if (number == D + 2 * K) {
        replay.user[place] = first + static_cast<unsigned>(n);
    } else {
        replay.reward[place] = reward[n];
    }
}

HOST_KERNEL(remember)
