// Half precision, and the tensor cores' product: what CUDA C++ has no words for. `host/cuda.h` has its own.
#pragma once
#ifndef HOST_RUN

namespace recsim {

// To half precision, ties to even.
__device__ inline unsigned half_of(float x) {
    unsigned short half;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(x));
    return half;
}

// Adds to a 16 x 8 matrix the product of one of 16 x 16 halves and one of 16 x 8. All lanes of a warp call it; with
// g = lane / 4 and t = lane % 4, a lane holds
//   sum: (g, 2t) (g, 2t + 1) (g + 8, 2t) (g + 8, 2t + 1);
//   a: pairs from (g, 2t) (g + 8, 2t) (g, 2t + 8) (g + 8, 2t + 8) along a row;
//   b: pairs from (2t, g) (2t + 8, g) along a column.
__device__ inline void multiply_add(float (&sum)[4], unsigned const (&a)[4], unsigned const (&b)[2]) {
#if __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    for (int half = 0; half < 2; ++half) {
        asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
            : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
            : "r"(a[2 * half]), "r"(a[2 * half + 1]), "r"(b[half]));
    }
#endif
}

}  // namespace recsim

#endif
