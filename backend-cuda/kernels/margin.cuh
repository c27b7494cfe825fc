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

// The most by which a sum of products of halves differs from the score times 2^exponents, for lengths of action and row.
__device__ inline double margin(double action, double row, int exponents) {
    double const unit = 1.0 / 2048.0, sum = 1.0 / 2097152.0, score = 1.0 / 8388608.0;
    double const tiny = 1.0 / 16777216.0 * sqrt(static_cast<double>(D));
    double const action_off = unit * action + tiny, row_off = unit * row + tiny;
    double const rounded = action_off * row + action * row_off + action_off * row_off;
    double const summed = D * sum * (action + action_off) * (row + row_off);
    double const defined = D * (score * action * row + power_of_two(exponents - 150));
    return (rounded + summed + defined) * (1.0 + 1e-9);
}

}  // namespace recsim
