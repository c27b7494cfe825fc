// Work distribution and reductions. Sums over a block and over blocks have a fixed order: floats are never added
// atomically.
#pragma once

namespace recsim {

// This thread's index in the grid, and the number of threads in the grid.
__device__ inline size_t grid_thread() { return static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline size_t grid_threads() { return static_cast<size_t>(gridDim.x) * blockDim.x; }

// The sum of `value` over a block. All threads of the block call it, and all receive the sum.
template <class T>
__device__ inline T block_sum(T value) {
    __shared__ T warp_sums[32];
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffffu, value, distance);
    if (threadIdx.x % 32 == 0) warp_sums[threadIdx.x / 32] = value;
    __syncthreads();
    T sum = 0;
    for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) sum += warp_sums[warp];
    __syncthreads();  // the next sum overwrites `warp_sums`
    return sum;
}

// The sum of a lane's `value` over the 32 warps of a block: a lane is a column. All threads of the block call it.
__device__ inline float column_sum(float value) {
    __shared__ float warp_values[32][33];
    unsigned const lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    warp_values[warp][lane] = value;
    __syncthreads();
    for (unsigned half = 16; half > 0; half /= 2) {
        if (warp < half) warp_values[warp][lane] += warp_values[warp + half][lane];
        __syncthreads();
    }
    float const sum = warp_values[0][lane];
    __syncthreads();
    return sum;
}

// Whether this block is the last of `blocks` to call it: it then sees what the others wrote before their calls.
// `blocks_done` is 0 before the first call and after the last. All threads of the block call it.
__device__ inline bool is_last_block(unsigned* blocks_done, unsigned blocks) {
    __shared__ bool is_last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        is_last = atomicAdd(blocks_done, 1u) + 1 == blocks;
        if (is_last) *blocks_done = 0;
    }
    __syncthreads();
    __threadfence();
    return is_last;
}

}  // namespace recsim
