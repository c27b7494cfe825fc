// The scalar functions of core/src/math.rs in float32, bit for bit: IEEE operations in the order written, none fused.
#pragma once

namespace recsim {

__device__ inline float minimum(float a, float b) { return b < a ? b : a; }
__device__ inline float maximum(float a, float b) { return b > a ? b : a; }
__device__ inline float clamp(float x, float low, float high) { return minimum(maximum(x, low), high); }

// x * 2^k, rounded once, for a finite x in [0.5, 4) and k from -150 to 128: beyond the normal numbers in two steps.
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

// e^x as libm's expf has it (the method is FreeBSD's e_expf.c, by Sun Microsystems): x = k ln 2 + r with |r| at most
// half of ln 2, and e^r by a rational function of r.
__device__ inline float exp(float x) {
    unsigned const bits = __float_as_uint(x);
    bool const negative = bits >> 31;
    unsigned const size = bits & 0x7fffffffu;
    if (size > 0x7f800000u) return x;
    if (!negative && size >= 0x42b17218u) return x * __uint_as_float(0x7f000000u);  // above 88.72
    if (negative && size >= 0x42cff1b5u) return 0.0f;                               // below -103.97
    int k = 0;
    float high = x, low = 0.0f;
    if (size > 0x3eb17218u) {  // beyond half of ln 2
        float const inverse = 1.4426950216e+00f;
        k = size > 0x3f851592u ? static_cast<int>(inverse * x + (negative ? -0.5f : 0.5f)) : negative ? -1 : 1;
        float const count = static_cast<float>(k);
        high = x - count * 6.9314575195e-01f;
        low = count * 1.4286067653e-06f;
        x = high - low;
    } else if (size <= 0x39000000u) {  // within 2^-13
        return 1.0f + x;
    }
    float const square = x * x;
    float const c = x - square * (1.6666625440e-1f + square * -2.7667332906e-3f);
    float const y = 1.0f + (x * c / (2.0f - c) - low + high);
    return k == 0 ? y : scale_by_power(y, k);
}

// 1 / (1 + e^-x), evaluated so that no finite x overflows.
__device__ inline float sigmoid(float x) {
    if (x >= 0.0f) return 1.0f / (1.0f + exp(-x));
    float const e = exp(x);
    return e / (1.0f + e);
}

}  // namespace recsim
