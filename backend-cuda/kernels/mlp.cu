// What a network does between its products of matrices: core/src/reference/mlp.rs. The critics go side by side, `nets` of
// them; tables are row-major, a row a transition, a network's after the other's.
#include "reduce.cuh"
#include "td3.cuh"
#include "update.cuh"

namespace recsim {

float constexpr NORM_EPSILON = 1e-5f;
float constexpr NORM_MOMENTUM = 0.1f;

// A Linear layer's sums, `[nets, rows, width]`, and what comes behind them: core/src/net.rs.
struct Layer {
    unsigned long long nets, rows, width;
    float const* parameters;                // of the first network
    unsigned long long parameters_apart;    // from a network's to the next one's
    unsigned long long bias, scale, shift;  // where they lie there, `[width]` each
    float* statistics;
    unsigned long long statistics_apart;
    unsigned long long mean, variance;
    unsigned hidden;      // whether ReLU and Dropout come behind
    unsigned normalised;  // whether BatchNorm does
};

// Whom Dropout drops: a network, the first of them, and how deep the layer lies.
struct Dropout {
    unsigned network, depth, threshold;
    float boost;
};

// What the normalisation of a column needs: of the batch, `[nets, 2, width]`, or, if that is not given, what the network
// keeps track of.
struct Column {
    float mean, inverse, scale, shift;

    __device__ Column(Layer const& layer, float const* batch, size_t net, size_t column) {
        float const* parameters = layer.parameters + net * layer.parameters_apart;
        mean = 0.0f;
        inverse = scale = 1.0f;
        shift = parameters[layer.bias + column];
        if (!layer.normalised) return;
        scale = parameters[layer.scale + column];
        if (batch != nullptr) {
            // The batch's mean takes the bias out again, so neither has it.
            mean = batch[2 * net * layer.width + column];
            inverse = batch[(2 * net + 1) * layer.width + column];
        } else {
            float const* statistics = layer.statistics + net * layer.statistics_apart;
            mean = statistics[layer.mean + column] - shift;
            inverse = 1.0f / sqrtf(statistics[layer.variance + column] + NORM_EPSILON);
        }
        shift = parameters[layer.shift + column];
    }

    __device__ float normalise(float sum) const { return (sum - mean) * inverse; }
    __device__ float of(float sum) const { return normalise(sum) * scale + shift; }
};

// A thread's part in sums over columns: a block of 1024 threads for every 32 columns of every chunk of rows, a lane a
// column, a warp every 32nd row.
struct Share {
    size_t net, chunk, column, warp;
    size_t first, last;  // rows of the chunk
    size_t counter;      // where blocks of the same columns count themselves
    bool inside;

    __device__ Share(Layer const& layer, unsigned chunks) {
        size_t const tiles = (layer.width + 31) / 32, tile = blockIdx.x % tiles;
        net = blockIdx.x / tiles / chunks;
        chunk = blockIdx.x / tiles % chunks;
        column = tile * 32 + threadIdx.x % 32;
        warp = threadIdx.x / 32;
        first = chunk * layer.rows / chunks;
        last = (chunk + 1) * layer.rows / chunks;
        counter = net * tiles + tile;
        inside = column < layer.width;
    }

    // Whether this thread writes the column's numbers.
    __device__ bool writes() const { return warp == 0 && inside; }
};

}  // namespace recsim

// A hidden layer in evaluation: BatchNorm by what it keeps track of, and ReLU; in place.
extern "C" __global__ void __launch_bounds__(256)
evaluate(recsim::Layer layer, float* table) {
    using namespace recsim;
    for (size_t net = 0; net < layer.nets; ++net) {
        for (size_t column = threadIdx.x; column < layer.width; column += blockDim.x) {
            Column const norm(layer, nullptr, net, column);
            for (size_t row = blockIdx.x; row < layer.rows; row += gridDim.x) {
                float& number = table[(net * layer.rows + row) * layer.width + column];
                number = maximum(norm.of(number), 0.0f);
            }
        }
    }
}

// The batch's means and inverse deviations, `[nets, 2, width]`, which the running statistics follow. Whoever of a column's
// blocks comes last brings `partial` (`[nets, chunks, 2, width]`) together.
extern "C" __global__ void __launch_bounds__(1024)
moments(recsim::Layer layer, unsigned chunks, float const* sums, float* partial, unsigned* done, float* batch) {
    using namespace recsim;
    Share const share(layer, chunks);
    size_t const width = layer.width, net = share.net, column = share.column;
    sums += net * layer.rows * width;
    float sum = 0.0f;
    for (size_t row = share.first + share.warp; share.inside && row < share.last; row += 32) sum += sums[row * width + column];
    float mean = column_sum(sum) / static_cast<float>(share.last - share.first);
    float square = 0.0f;
    for (size_t row = share.first + share.warp; share.inside && row < share.last; row += 32) {
        float const off = sums[row * width + column] - mean;
        square += off * off;
    }
    square = column_sum(square);
    if (chunks > 1) {
        float* of_net = partial + 2 * net * chunks * width;
        if (share.writes()) {
            of_net[2 * share.chunk * width + column] = mean;
            of_net[(2 * share.chunk + 1) * width + column] = square;
        }
        if (!last_block(done + share.counter, chunks)) return;
        mean = square = 0.0f;
        for (size_t part = 0; share.inside && part < chunks; ++part) {
            // Means and squares of two sets of rows make those of both.
            float const before = static_cast<float>(part * layer.rows / chunks);
            float const count = static_cast<float>((part + 1) * layer.rows / chunks) - before;
            float const off = of_net[2 * part * width + column] - mean, weight = count / (before + count);
            mean += off * weight;
            square += of_net[(2 * part + 1) * width + column] + off * off * before * weight;
        }
    }
    if (!share.writes()) return;
    float const rows = static_cast<float>(layer.rows);
    batch[2 * net * width + column] = mean;
    batch[(2 * net + 1) * width + column] = 1.0f / sqrtf(square / rows + NORM_EPSILON);
    float* statistics = layer.statistics + net * layer.statistics_apart;
    float const bias = layer.parameters[net * layer.parameters_apart + layer.bias + column];
    float& running_mean = statistics[layer.mean + column];
    float& running_variance = statistics[layer.variance + column];
    running_mean = soft_update(running_mean, mean + bias, NORM_MOMENTUM);
    running_variance = soft_update(running_variance, square / (rows - 1.0f), NORM_MOMENTUM);
}

// A hidden layer while learning: BatchNorm by the batch, ReLU, Dropout. A thread four columns.
extern "C" __global__ void __launch_bounds__(128)
activate(
    recsim::Layer layer, recsim::Dropout dropout, recsim::Update const* update, float const* batch, float const* sums,
    float* output
) {
    using namespace recsim;
    for (size_t net = 0; net < layer.nets; ++net) {
        Key const key = Key{update->dropout}.with(dropout.network + net).with(dropout.depth);
        for (size_t four = threadIdx.x; 4 * four < layer.width; four += blockDim.x) {
            size_t const first = 4 * four, last = layer.width - 1;
            auto const column = [=](size_t n) { return Column(layer, batch, net, first + n < last ? first + n : last); };
            Column const columns[4] = {column(0), column(1), column(2), column(3)};
            for (size_t row = blockIdx.x; row < layer.rows; row += gridDim.x) {
                unsigned const fates = kept(key, row, four, dropout.threshold);
                for (size_t n = 0; n < 4 && first + n <= last; ++n) {
                    size_t const place = (net * layer.rows + row) * layer.width + first + n;
                    float const number = columns[n].of(sums[place]);
                    bool const shut = number <= 0.0f || !(fates >> n & 1u);  // what is no number goes on
                    output[place] = shut ? 0.0f : number * dropout.boost;
                }
            }
        }
    }
}

namespace recsim {

// What a layer's output changes by when its sums, normalised and scaled, do: who is 0 was shut or dropped.
__device__ inline float gate(Layer const& layer, float const* output, size_t place, float boost) {
    if (!layer.hidden) return 1.0f;
    return output[place] > 0.0f ? boost : 0.0f;
}

}  // namespace recsim

// The gradients by a layer's bias or, if it is normalised, by scale and shift: `slope` is the loss's by the output. Blocks
// as in `moments`.
extern "C" __global__ void __launch_bounds__(1024)
back_to_column(
    recsim::Layer layer, unsigned chunks, float boost, float const* batch, float const* sums, float const* output,
    float const* slope, float* partial, unsigned* done, float* gradient
) {
    using namespace recsim;
    Share const share(layer, chunks);
    size_t const width = layer.width, net = share.net, column = share.column;
    float by_shift = 0.0f, by_scale = 0.0f;
    if (share.inside) {
        Column const norm(layer, batch, net, column);
        for (size_t row = share.first + share.warp; row < share.last; row += 32) {
            size_t const place = (net * layer.rows + row) * width + column;
            float const passed = slope[place] * gate(layer, output, place, boost);
            by_shift += passed;
            if (layer.normalised) by_scale += passed * norm.normalise(sums[place]);
        }
    }
    by_shift = column_sum(by_shift);
    by_scale = column_sum(by_scale);
    if (chunks > 1) {
        float* of_net = partial + 2 * net * chunks * width;
        if (share.writes()) {
            of_net[2 * share.chunk * width + column] = by_shift;
            of_net[(2 * share.chunk + 1) * width + column] = by_scale;
        }
        if (!last_block(done + share.counter, chunks)) return;
        by_shift = by_scale = 0.0f;
        for (size_t part = 0; share.inside && part < chunks; ++part) {
            by_shift += of_net[2 * part * width + column];
            by_scale += of_net[(2 * part + 1) * width + column];
        }
    }
    if (!share.writes()) return;
    gradient += net * layer.parameters_apart;
    // Of a normalised layer the batch's mean takes every bias out again.
    gradient[layer.bias + column] = layer.normalised ? 0.0f : by_shift;
    if (!layer.normalised) return;
    gradient[layer.scale + column] = by_scale;
    gradient[layer.shift + column] = by_shift;
}

// Turns the slope by a hidden layer's output into that by its sums, in place; `gradient` has what `back_to_column` found.
extern "C" __global__ void __launch_bounds__(256)
back_to_sums(
    recsim::Layer layer, float boost, float const* batch, float const* sums, float const* output,
    float const* gradient, float* slope
) {
    using namespace recsim;
    float const rows = static_cast<float>(layer.rows);
    for (size_t net = 0; net < layer.nets; ++net) {
        float const* of_net = gradient + net * layer.parameters_apart;
        for (size_t column = threadIdx.x; column < layer.width; column += blockDim.x) {
            Column const norm(layer, batch, net, column);
            bool const centres = layer.normalised && batch != nullptr;
            float const by_scale = centres ? of_net[layer.scale + column] : 0.0f;
            float const by_shift = centres ? of_net[layer.shift + column] : 0.0f;
            for (size_t row = blockIdx.x; row < layer.rows; row += gridDim.x) {
                size_t const place = (net * layer.rows + row) * layer.width + column;
                float passed = slope[place] * gate(layer, output, place, boost);
                if (centres) passed -= (by_shift + norm.normalise(sums[place]) * by_scale) / rows;
                slope[place] = layer.normalised ? passed * norm.scale * norm.inverse : passed;
            }
        }
    }
}

HOST_KERNEL(evaluate)
HOST_KERNEL(moments)
HOST_KERNEL(activate)
HOST_KERNEL(back_to_column)
HOST_KERNEL(back_to_sums)
