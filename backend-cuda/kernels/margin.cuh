// core/src/margin.rs: how far a score computed in half precision can lie from the one that decides.
#pragma once

namespace recsim {

// 2^n, n from -1022 to 1023.
__device__ inline double power_of_two(int n) { return __hiloint2double((1023 + n) << 20, 0); }

// The e for which largest * 2^e lies in [1/2, 1); 0 for 0.
__device__ inline int exponent(float largest) {
    unsigned const bits = __float_as_uint(largest);
    if (bits == 0) return 0;
    if (bits < 0x00800000u) return __clz(bits) + 117;  // subnormal: bits * 2^-149
    return 126 - static_cast<int>(bits >> 23);
}

struct Rounded {
    double length;
    double off;
};

// Numbers of that length, none of magnitude above 1, when they are rounded to half precision.
__device__ inline Rounded halves(double length) {
    return {length, 1.0 / 2048.0 * length + 1.0 / 16777216.0 * sqrt(static_cast<double>(D))};
}

// The most by which a sum of products of rounded numbers differs from the score times 2^exponents.
__device__ inline double margin(Rounded action, Rounded row, double summing, int exponents) {
    double const rounded = action.off * row.length + action.length * row.off + action.off * row.off;
    double const summed = summing * (action.length + action.off) * (row.length + row.off);
    double const defined = D * (1.0 / 8388608.0 * action.length * row.length + power_of_two(exponents - 150));
    return (rounded + summed + defined) * (1.0 + 1e-9);
}

double constexpr TENSOR_CORES = 1.0 / 2097152.0;

}  // namespace recsim
