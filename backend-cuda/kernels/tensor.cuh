// fp16 conversion and the tensor cores' product, in PTX assembly. `host/cuda.h` has the host's versions.
#pragma once
#ifndef HOST_RUN

namespace recsim {

// The fp16 bits of `x`, ties to even.
__device__ inline unsigned fp16_bits(float x) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}

// Adds the product of a 16 x 16 and a 16 x 8 fp16 matrix to a 16 x 8 float matrix. All lanes of a warp call it. With
// g = lane / 4 and t = lane % 4, a lane has
//   sum: (g, 2t) (g, 2t + 1) (g + 8, 2t) (g + 8, 2t + 1);
//   a: pairs from (g, 2t) (g + 8, 2t) (g, 2t + 8) (g + 8, 2t + 8) along a row;
//   b: pairs from (2t, g) (2t + 8, g) along a column.
__device__ inline void multiply_add(float (&sum)[4], unsigned const (&a)[4], unsigned const (&b)[2]) {
#if __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    for (int part = 0; part < 2; ++part) {
        asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
            : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
            : "r"(a[2 * part]), "r"(a[2 * part + 1]), "r"(b[part]));
    }
#endif
}

}  // namespace recsim

#endif
