// The states of a batch's users, [count, K + D]: beliefs, then the user's embedding. A thread a number.
extern "C" __global__ void __launch_bounds__(256)
observe(unsigned first, unsigned count, float const* belief, float const* embedding, float* state) {
    size_t const place = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    size_t const n = place / (K + D), feature = place % (K + D);
    if (n >= count) return;
    state[place] = feature < K ? belief[n * K + feature] : embedding[(first + n) * D + feature - K];
}

HOST_KERNEL(observe)
