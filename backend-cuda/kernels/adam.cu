// Kernels over whole parameter buffers: gradient norm, Adam step, soft update of the targets.
#include "adam.cuh"
#include "reduce.cuh"
#include "td3.cuh"
#include "update.cuh"

// Stores the parameters of this update on the device, where the following kernels read them.
extern "C" __global__ void __launch_bounds__(32)
set_update_params(recsim::UpdateParams values, recsim::UpdateParams* params) {
    if (threadIdx.x == 0) *params = values;
}

// Adds the norm of a gradient of `count` elements to the report's sum, and sets the report's clip coefficient.
// `partial` has one element for each block.
extern "C" __global__ void __launch_bounds__(256)
grad_norm(
    float const* grad, unsigned long long count, float max_grad_norm, double* partial, unsigned* blocks_done,
    recsim::UpdateReport* report, unsigned is_actor
) {
    using namespace recsim;
    double square = 0.0;
    for (size_t i = grid_thread(); i < count; i += grid_threads()) {
        square += static_cast<double>(grad[i]) * grad[i];
    }
    square = block_sum(square);
    if (threadIdx.x == 0) partial[blockIdx.x] = square;
    if (!is_last_block(blocks_done, gridDim.x)) return;
    double sum = 0.0;
    for (unsigned block = threadIdx.x; block < gridDim.x; block += blockDim.x) sum += partial[block];
    sum = block_sum(sum);
    if (threadIdx.x != 0) return;
    double const norm = sqrt(sum);
    (is_actor ? report->actor_gradient_norm : report->critic_gradient_norm) += norm;
    report->clip_coefficient = clip_coefficient(static_cast<float>(norm), max_grad_norm);
}

// Adam's step on `count` parameters.
extern "C" __global__ void __launch_bounds__(256)
adam_step(
    recsim::AdamStep step, recsim::UpdateParams const* params, recsim::UpdateReport const* report,
    unsigned long long count, float const* grad, float* parameter, float* first_moment, float* second_moment
) {
    using namespace recsim;
    float const step_size = params->step_size, sqrt_bias_correction2 = params->sqrt_bias_correction2;
    float const clip_coefficient = report->clip_coefficient;
    for (size_t i = grid_thread(); i < count; i += grid_threads()) {
        step.apply(
            step_size, sqrt_bias_correction2, parameter[i], first_moment[i], second_moment[i],
            grad[i] * clip_coefficient
        );
    }
}

// Soft-updates the first `count` elements of `target` toward those of `online`.
extern "C" __global__ void __launch_bounds__(256)
soft_update_targets(unsigned long long count, float tau, float const* online, float* target) {
    using namespace recsim;
    for (size_t i = grid_thread(); i < count; i += grid_threads()) {
        target[i] = soft_update(target[i], online[i], tau);
    }
}

HOST_KERNEL(set_update_params)
HOST_KERNEL(grad_norm)
HOST_KERNEL(adam_step)
HOST_KERNEL(soft_update_targets)
