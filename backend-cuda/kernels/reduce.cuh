// How threads share work. Sums over a block, and over blocks, are always made in the same order: no atomic addition of
// floats.
#pragma once

namespace recsim {

// This thread's number among all blocks' threads, and how many they are.
__device__ inline size_t thread_of_all() { return static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline size_t threads_of_all() { return static_cast<size_t>(gridDim.x) * blockDim.x; }

// The sum of a block's threads' numbers. All of them call it.
template <class T>
__device__ inline T block_sum(T number) {
    __shared__ T of_warp[32];
    for (int distance = 16; distance > 0; distance /= 2) number += __shfl_xor_sync(0xffffffffu, number, distance);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = number;
    __syncthreads();
    T sum = 0;
    for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) sum += of_warp[warp];
    __syncthreads();  // the next sum writes there again
    return sum;
}

// The sum of the numbers that the 32 warps of a block have for a column, which is the lane's. All threads call it.
__device__ inline float column_sum(float number) {
    __shared__ float of_warp[32][33];
    unsigned const lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    of_warp[warp][lane] = number;
    __syncthreads();
    for (unsigned half = 16; half > 0; half /= 2) {
        if (warp < half) of_warp[warp][lane] += of_warp[warp + half][lane];
        __syncthreads();
    }
    float const sum = of_warp[0][lane];
    __syncthreads();
    return sum;
}

// Whether this block is the last of `blocks` to come here: it then sees what the others wrote before. `done` begins at 0
// and ends there. All threads of a block call it.
__device__ inline bool last_block(unsigned* done, unsigned blocks) {
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomicAdd(done, 1u) + 1 == blocks;
        if (last) *done = 0;
    }
    __syncthreads();
    __threadfence();
    return last;
}

}  // namespace recsim
