// Normal noise on the actions of a batch's users, [count, D]. A thread a pair of dimensions.
#include "rng.cuh"
#include "td3.cuh"

extern "C" __global__ void __launch_bounds__(256)
explore(unsigned first, unsigned count, recsim::Key exploration, float deviation, float max_action, float* action) {
    using namespace recsim;
    unsigned constexpr PAIRS = (D + 1) / 2;
    size_t const place = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    size_t const n = place / PAIRS;
    unsigned const pair = static_cast<unsigned>(place % PAIRS);
    if (n >= count) return;
    float normal[2];
    normal_pair(exploration.with(first + n).with(pair), normal);
    for (unsigned i = 0; i < 2 && 2 * pair + i < D; ++i) {
        float& component = action[n * D + 2 * pair + i];
        component = perturb(component, normal[i] * deviation, max_action);
    }
}

HOST_KERNEL(explore)
