//! CPU instructions that neither `std` nor `pulp` offers as safe functions.
//!
//! A value of a type here proves that the machine has the instructions its methods need. The backend's `unsafe` code is
//! here and in `gemm`.
#![allow(unsafe_code, reason = "instructions without a safe interface")]

#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{Amx, AmxTiles, Vnni};

/// Prefetches the first 32 values of a slice. Does nothing on targets other than x86-64.
#[inline(always)]
pub(crate) fn prefetch(values: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..2 {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction, which accepts any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().wrapping_add(16 * line).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}
