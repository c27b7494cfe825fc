// Twin of core/src/world/error_bound.rs: how far an fp16 score can be from the reference score.
#pragma once

namespace recsim {

// 2^n, n from -1022 to 1023.
__device__ inline double power_of_two(int n) { return __hiloint2double((1023 + n) << 20, 0); }

// The e for which max_abs * 2^e lies in [1/2, 1); 0 for 0.
__device__ inline int scale_exponent(float max_abs) {
    unsigned const bits = __float_as_uint(max_abs);
    if (bits == 0) return 0;
    if (bits < 0x00800000u) return __clz(bits) + 117;  // subnormal: bits * 2^-149
    return 126 - static_cast<int>(bits >> 23);
}

// The maximum difference between an fp16 score and the reference score times 2^exponents, for an action and a row
// whose scaled norms are at most `action` and `row`.
__device__ inline double fp16_error_bound(double action, double row, int exponents) {
    double const unit = 1.0 / 2048.0, sum = 1.0 / 2097152.0, score = 1.0 / 8388608.0;
    double const tiny = 1.0 / 16777216.0 * sqrt(static_cast<double>(D));
    double const action_error = unit * action + tiny, row_error = unit * row + tiny;
    double const rounding = action_error * row + action * row_error + action_error * row_error;
    double const summation = D * sum * (action + action_error) * (row + row_error);
    double const reference_error_bound = D * (score * action * row + power_of_two(exponents - 150));
    return (rounding + summation + reference_error_bound) * (1.0 + 1e-9);
}

}  // namespace recsim
