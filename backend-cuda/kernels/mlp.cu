// The kernels of a network between its matrix products, as in core/src/backend/reference/mlp.rs. A launch handles
// `num_nets` networks of one layout: both critics, or one network. Matrices are row-major, one row for each
// transition, and network after network. `pre_bias` is a Linear layer's product without its bias.
#include "reduce.cuh"
#include "td3.cuh"
#include "update.cuh"

namespace recsim {

float constexpr BATCH_NORM_EPSILON = 1e-5f;
float constexpr BATCH_NORM_MOMENTUM = 0.1f;

// A Linear layer and what follows it: core/src/td3/net.rs, LayerLayout. `pre_bias` is [num_nets, rows, width].
struct Layer {
    unsigned long long num_nets, rows, width;
    float const* parameters;                // of the first network
    unsigned long long parameters_stride;   // from one network's parameters to the next one's
    unsigned long long bias, scale, shift;  // offsets into `parameters`, [width] each
    float* running_stats;                   // of the first network
    unsigned long long running_stats_stride;
    unsigned long long mean, variance;  // offsets into `running_stats`, [width] each
    unsigned is_hidden;                 // whether ReLU and Dropout follow
    unsigned has_batch_norm;            // whether BatchNorm follows
};

// The coordinates and constants of a layer's dropout mask.
struct Dropout {
    unsigned network;  // of the first network
    unsigned depth;    // of the layer
    unsigned threshold;
    float scale;  // factor of the units that are not dropped
};

// The normalization of one column: by `batch_stats`, [num_nets, 2, width], or by the running statistics if it is
// null.
struct Column {
    float mean, inverse_std, scale, shift;

    __device__ Column(Layer const& layer, float const* batch_stats, size_t net, size_t column) {
        float const* parameters = layer.parameters + net * layer.parameters_stride;
        mean = 0.0f;
        inverse_std = scale = 1.0f;
        shift = parameters[layer.bias + column];
        if (!layer.has_batch_norm) return;
        scale = parameters[layer.scale + column];
        if (batch_stats != nullptr) {
            // The bias cancels with the batch's mean: neither contains it.
            mean = batch_stats[2 * net * layer.width + column];
            inverse_std = batch_stats[(2 * net + 1) * layer.width + column];
        } else {
            float const* running_stats = layer.running_stats + net * layer.running_stats_stride;
            mean = running_stats[layer.mean + column] - shift;
            inverse_std = 1.0f / sqrtf(running_stats[layer.variance + column] + BATCH_NORM_EPSILON);
        }
        shift = parameters[layer.shift + column];
    }

    __device__ float normalize(float pre_bias) const { return (pre_bias - mean) * inverse_std; }
    __device__ float affine(float pre_bias) const { return normalize(pre_bias) * scale + shift; }
};

// A thread's part in sums over columns: one block of 1024 threads for every 32 columns of every chunk of rows, one
// lane for each column, one warp for every 32nd row.
struct ColumnTask {
    size_t net, chunk, column, warp;
    size_t first_row, end_row;  // rows of the chunk
    size_t counter;             // index of the counter shared by the blocks of the same columns
    bool is_inside;             // whether the column exists

    __device__ ColumnTask(Layer const& layer, unsigned num_chunks) {
        size_t const tiles = (layer.width + 31) / 32, tile = blockIdx.x % tiles;
        net = blockIdx.x / tiles / num_chunks;
        chunk = blockIdx.x / tiles % num_chunks;
        column = tile * 32 + threadIdx.x % 32;
        warp = threadIdx.x / 32;
        first_row = chunk * layer.rows / num_chunks;
        end_row = (chunk + 1) * layer.rows / num_chunks;
        counter = net * tiles + tile;
        is_inside = column < layer.width;
    }

    // Whether this thread writes the column's results.
    __device__ bool is_writer() const { return warp == 0 && is_inside; }
};

}  // namespace recsim

// A hidden layer in evaluation mode, in place: BatchNorm by the running statistics, then ReLU.
extern "C" __global__ void __launch_bounds__(256)
batch_norm_relu(recsim::Layer layer, float* values) {
    using namespace recsim;
    for (size_t net = 0; net < layer.num_nets; ++net) {
        for (size_t column = threadIdx.x; column < layer.width; column += blockDim.x) {
            Column const norm(layer, nullptr, net, column);
            for (size_t row = blockIdx.x; row < layer.rows; row += gridDim.x) {
                float& value = values[(net * layer.rows + row) * layer.width + column];
                value = maximum(norm.affine(value), 0.0f);
            }
        }
    }
}

// Computes the batch's means and inverse standard deviations, [num_nets, 2, width], and updates the running
// statistics. The last block of a column combines the chunks of `partial`, [num_nets, num_chunks, 2, width].
extern "C" __global__ void __launch_bounds__(1024)
batch_statistics(
    recsim::Layer layer, unsigned num_chunks, float const* pre_bias, float* partial, unsigned* blocks_done,
    float* batch_stats
) {
    using namespace recsim;
    ColumnTask const task(layer, num_chunks);
    size_t const width = layer.width, net = task.net, column = task.column;
    pre_bias += net * layer.rows * width;
    float sum = 0.0f;
    for (size_t row = task.first_row + task.warp; task.is_inside && row < task.end_row; row += 32) {
        sum += pre_bias[row * width + column];
    }
    float mean = column_sum(sum) / static_cast<float>(task.end_row - task.first_row);
    float square = 0.0f;
    for (size_t row = task.first_row + task.warp; task.is_inside && row < task.end_row; row += 32) {
        float const deviation = pre_bias[row * width + column] - mean;
        square += deviation * deviation;
    }
    square = column_sum(square);
    if (num_chunks > 1) {
        float* net_partial = partial + 2 * net * num_chunks * width;
        if (task.is_writer()) {
            net_partial[2 * task.chunk * width + column] = mean;
            net_partial[(2 * task.chunk + 1) * width + column] = square;
        }
        if (!is_last_block(blocks_done + task.counter, num_chunks)) return;
        mean = square = 0.0f;
        for (size_t chunk = 0; task.is_inside && chunk < num_chunks; ++chunk) {
            // The mean and squared deviations of the rows so far and of this chunk's rows give those of both.
            float const rows_before = static_cast<float>(chunk * layer.rows / num_chunks);
            float const chunk_rows = static_cast<float>((chunk + 1) * layer.rows / num_chunks) - rows_before;
            float const delta = net_partial[2 * chunk * width + column] - mean;
            float const weight = chunk_rows / (rows_before + chunk_rows);
            mean += delta * weight;
            square += net_partial[(2 * chunk + 1) * width + column] + delta * delta * rows_before * weight;
        }
    }
    if (!task.is_writer()) return;
    float const rows = static_cast<float>(layer.rows);
    batch_stats[2 * net * width + column] = mean;
    batch_stats[(2 * net + 1) * width + column] = 1.0f / sqrtf(square / rows + BATCH_NORM_EPSILON);
    float* running_stats = layer.running_stats + net * layer.running_stats_stride;
    float const bias = layer.parameters[net * layer.parameters_stride + layer.bias + column];
    float& running_mean = running_stats[layer.mean + column];
    float& running_variance = running_stats[layer.variance + column];
    running_mean = soft_update(running_mean, mean + bias, BATCH_NORM_MOMENTUM);
    running_variance = soft_update(running_variance, square / (rows - 1.0f), BATCH_NORM_MOMENTUM);
}

// A hidden layer in training mode: BatchNorm by the batch's statistics, ReLU, Dropout. One thread for four columns.
extern "C" __global__ void __launch_bounds__(128)
batch_norm_relu_dropout(
    recsim::Layer layer, recsim::Dropout dropout, recsim::UpdateParams const* params, float const* batch_stats,
    float const* pre_bias, float* output
) {
    using namespace recsim;
    for (size_t net = 0; net < layer.num_nets; ++net) {
        Key const key = Key{params->dropout}.fold_in(dropout.network + net).fold_in(dropout.depth);
        for (size_t four = threadIdx.x; 4 * four < layer.width; four += blockDim.x) {
            size_t const first = 4 * four, last = layer.width - 1;
            auto const column = [=](size_t n) {
                return Column(layer, batch_stats, net, first + n < last ? first + n : last);
            };
            Column const columns[4] = {column(0), column(1), column(2), column(3)};
            for (size_t row = blockIdx.x; row < layer.rows; row += gridDim.x) {
                unsigned const mask = keep_mask(key.fold_in(row), four, dropout.threshold);
                for (size_t n = 0; n < 4 && first + n <= last; ++n) {
                    size_t const index = (net * layer.rows + row) * layer.width + first + n;
                    float const value = columns[n].affine(pre_bias[index]);
                    bool const is_zero = value <= 0.0f || !(mask >> n & 1u);  // NaN is passed on
                    output[index] = is_zero ? 0.0f : value * dropout.scale;
                }
            }
        }
    }
}

namespace recsim {

// The derivative of a layer's output by its normalized and scaled value: 0 where ReLU or Dropout made the output 0.
__device__ inline float relu_dropout_grad(Layer const& layer, float const* output, size_t index, float dropout_scale) {
    if (!layer.is_hidden) return 1.0f;
    return output[index] > 0.0f ? dropout_scale : 0.0f;
}

}  // namespace recsim

// The gradient by a layer's bias or, with BatchNorm, by its scale and shift. `output_grad` is the loss's gradient by
// the layer's output. Blocks as in `batch_statistics`.
extern "C" __global__ void __launch_bounds__(1024)
bias_scale_shift_grad(
    recsim::Layer layer, unsigned num_chunks, float dropout_scale, float const* batch_stats, float const* pre_bias,
    float const* output, float const* output_grad, float* partial, unsigned* blocks_done, float* grad
) {
    using namespace recsim;
    ColumnTask const task(layer, num_chunks);
    size_t const width = layer.width, net = task.net, column = task.column;
    float shift_grad = 0.0f, scale_grad = 0.0f;
    if (task.is_inside) {
        Column const norm(layer, batch_stats, net, column);
        for (size_t row = task.first_row + task.warp; row < task.end_row; row += 32) {
            size_t const index = (net * layer.rows + row) * width + column;
            float const affine_grad = output_grad[index] * relu_dropout_grad(layer, output, index, dropout_scale);
            shift_grad += affine_grad;
            if (layer.has_batch_norm) scale_grad += affine_grad * norm.normalize(pre_bias[index]);
        }
    }
    shift_grad = column_sum(shift_grad);
    scale_grad = column_sum(scale_grad);
    if (num_chunks > 1) {
        float* net_partial = partial + 2 * net * num_chunks * width;
        if (task.is_writer()) {
            net_partial[2 * task.chunk * width + column] = shift_grad;
            net_partial[(2 * task.chunk + 1) * width + column] = scale_grad;
        }
        if (!is_last_block(blocks_done + task.counter, num_chunks)) return;
        shift_grad = scale_grad = 0.0f;
        for (size_t chunk = 0; task.is_inside && chunk < num_chunks; ++chunk) {
            shift_grad += net_partial[2 * chunk * width + column];
            scale_grad += net_partial[(2 * chunk + 1) * width + column];
        }
    }
    if (!task.is_writer()) return;
    grad += net * layer.parameters_stride;
    // With BatchNorm the bias cancels with the batch's mean: its gradient is 0.
    grad[layer.bias + column] = layer.has_batch_norm ? 0.0f : shift_grad;
    if (!layer.has_batch_norm) return;
    grad[layer.scale + column] = scale_grad;
    grad[layer.shift + column] = shift_grad;
}

// Turns the gradient by a hidden layer's output into the gradient by `pre_bias`, in place: `value_grad`. `grad`
// contains the results of `bias_scale_shift_grad`; it is read only with BatchNorm and `batch_stats`.
extern "C" __global__ void __launch_bounds__(256)
pre_bias_grad(
    recsim::Layer layer, float dropout_scale, float const* batch_stats, float const* pre_bias, float const* output,
    float const* grad, float* value_grad
) {
    using namespace recsim;
    float const rows = static_cast<float>(layer.rows);
    for (size_t net = 0; net < layer.num_nets; ++net) {
        float const* net_grad = grad + net * layer.parameters_stride;
        for (size_t column = threadIdx.x; column < layer.width; column += blockDim.x) {
            Column const norm(layer, batch_stats, net, column);
            bool const has_batch_stats = layer.has_batch_norm && batch_stats != nullptr;
            float const scale_grad = has_batch_stats ? net_grad[layer.scale + column] : 0.0f;
            float const shift_grad = has_batch_stats ? net_grad[layer.shift + column] : 0.0f;
            for (size_t row = blockIdx.x; row < layer.rows; row += gridDim.x) {
                size_t const index = (net * layer.rows + row) * layer.width + column;
                float affine_grad = value_grad[index] * relu_dropout_grad(layer, output, index, dropout_scale);
                if (has_batch_stats) affine_grad -= (shift_grad + norm.normalize(pre_bias[index]) * scale_grad) / rows;
                value_grad[index] = layer.has_batch_norm ? affine_grad * norm.scale * norm.inverse_std : affine_grad;
            }
        }
    }
}

HOST_KERNEL(batch_norm_relu)
HOST_KERNEL(batch_statistics)
HOST_KERNEL(batch_norm_relu_dropout)
HOST_KERNEL(bias_scale_shift_grad)
HOST_KERNEL(pre_bias_grad)
