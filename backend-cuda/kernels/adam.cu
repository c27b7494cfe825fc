// Whole buffers of numbers: the norm of a gradient, Adam's step, targets that follow.
#include "adam.cuh"
#include "reduce.cuh"
#include "td3.cuh"
#include "update.cuh"

// What the next kernels are to know of this update.
extern "C" __global__ void __launch_bounds__(32)
tell(recsim::Update update, recsim::Update* place) {
    if (threadIdx.x == 0) *place = update;
}

// The norm of a gradient of `count` numbers, added to a sum over updates, and what it is clipped by. `partial` has room
// for a number a block.
extern "C" __global__ void __launch_bounds__(256)
measure(
    float const* gradient, unsigned long long count, float most, double* partial, unsigned* done,
    recsim::Report* report, unsigned of_actor
) {
    using namespace recsim;
    double square = 0.0;
    for (size_t n = thread_of_all(); n < count; n += threads_of_all()) {
        square += static_cast<double>(gradient[n]) * gradient[n];
    }
    square = block_sum(square);
    if (threadIdx.x == 0) partial[blockIdx.x] = square;
    if (!last_block(done, gridDim.x)) return;
    double sum = 0.0;
    for (unsigned block = threadIdx.x; block < gridDim.x; block += blockDim.x) sum += partial[block];
    sum = block_sum(sum);
    if (threadIdx.x != 0) return;
    double const norm = sqrt(sum);
    (of_actor ? report->actor_gradient_norm : report->critic_gradient_norm) += norm;
    report->clip = clip(static_cast<float>(norm), most);
}

// Adam's step on `count` parameters.
extern "C" __global__ void __launch_bounds__(256)
descend(
    recsim::Step step, recsim::Update const* update, recsim::Report const* report, unsigned long long count,
    float const* gradient, float* parameter, float* first, float* second
) {
    using namespace recsim;
    float const size = update->size, root = update->root_of_correction_2, clip = report->clip;
    for (size_t n = thread_of_all(); n < count; n += threads_of_all()) {
        step.apply(size, root, parameter[n], first[n], second[n], gradient[n] * clip);
    }
}

// `count` numbers follow others.
extern "C" __global__ void __launch_bounds__(256)
follow(unsigned long long count, float tau, float const* online, float* target) {
    using namespace recsim;
    for (size_t n = thread_of_all(); n < count; n += threads_of_all()) {
        target[n] = soft_update(target[n], online[n], tau);
    }
}

HOST_KERNEL(tell)
HOST_KERNEL(measure)
HOST_KERNEL(descend)
HOST_KERNEL(follow)
