// Twin of core/src/model/math.rs in float32, with the same bits: IEEE operations in the order written, none fused.
#pragma once

namespace recsim {

__device__ inline float minimum(float a, float b) { return b < a ? b : a; }
__device__ inline float maximum(float a, float b) { return b > a ? b : a; }
__device__ inline float clamp(float x, float low, float high) { return minimum(maximum(x, low), high); }

// x * 2^k, rounded once, for a finite x in [0.5, 4) and k from -150 to 128. Takes two steps where 2^k is not normal.
__device__ inline float scale_by_power(float x, int k) {
    if (k < -126) {
        // The first factor leaves x normal, so that only the second multiplication rounds.
        x *= __uint_as_float((127 - 102) << 23);
        k += 102;
    } else if (k > 127) {
        x *= __uint_as_float(254u << 23);
        k -= 127;
    }
    return x * __uint_as_float(static_cast<unsigned>(127 + k) << 23);
}

// e^x with the bits of libm's expf (the method is that of FreeBSD's e_expf.c, by Sun Microsystems): x = k ln 2 + r
// with
// |r| <= ln 2 / 2, and a rational function of r for e^r.
__device__ inline float exp(float x) {
    unsigned const bits = __float_as_uint(x);
    bool const is_negative = bits >> 31;
    unsigned const magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return x;
    if (!is_negative && magnitude >= 0x42b17218u) return x * __uint_as_float(0x7f000000u);  // x > 88.72
    if (is_negative && magnitude >= 0x42cff1b5u) return 0.0f;                               // x < -103.97
    int k = 0;
    float high = x, low = 0.0f;
    if (magnitude > 0x3eb17218u) {  // |x| > ln 2 / 2
        float const inverse = 1.4426950216e+00f;
        k = magnitude > 0x3f851592u ? static_cast<int>(inverse * x + (is_negative ? -0.5f : 0.5f))
            : is_negative           ? -1
                                    : 1;
        float const multiple = static_cast<float>(k);
        high = x - multiple * 6.9314575195e-01f;
        low = multiple * 1.4286067653e-06f;
        x = high - low;
    } else if (magnitude <= 0x39000000u) {  // |x| <= 2^-13
        return 1.0f + x;
    }
    float const square = x * x;
    float const c = x - square * (1.6666625440e-1f + square * -2.7667332906e-3f);
    float const y = 1.0f + (x * c / (2.0f - c) - low + high);
    return k == 0 ? y : scale_by_power(y, k);
}

// 1 / (1 + e^-x), without overflow for any finite x.
__device__ inline float sigmoid(float x) {
    if (x >= 0.0f) return 1.0f / (1.0f + exp(-x));
    float const e = exp(x);
    return e / (1.0f + e);
}

}  // namespace recsim
