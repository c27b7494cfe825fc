//! x86-64 instructions: VNNI dot products of bytes, and AMX tiles.
use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_dpbusd_epi32};
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::OnceLock;

use crate::bf16_block::{BLOCK_LEN, Bf16Block, BlockProduct, TILE_LEN};

pulp::simd_type! {
    /// AVX-512 with VNNI: dot products of bytes accumulated in 32-bit words.
    pub(crate) struct Vnni {
        pub sse: "sse",
        pub sse2: "sse2",
        pub fxsr: "fxsr",
        pub sse3: "sse3",
        pub ssse3: "ssse3",
        pub sse4_1: "sse4.1",
        pub sse4_2: "sse4.2",
        pub popcnt: "popcnt",
        pub avx: "avx",
        pub avx2: "avx2",
        pub bmi1: "bmi1",
        pub bmi2: "bmi2",
        pub fma: "fma",
        pub lzcnt: "lzcnt",
        pub avx512f: "avx512f",
        pub avx512bw: "avx512bw",
        pub avx512cd: "avx512cd",
        pub avx512dq: "avx512dq",
        pub avx512vl: "avx512vl",
        pub avx512vnni: "avx512vnni",
    }
}

impl Vnni {
    /// Adds to each 32-bit word of `sums` the dot product of four unsigned and four signed bytes.
    #[inline(always)]
    pub(crate) fn multiply_add(self, unsigned: __m512i, signed: __m512i, sums: __m512i) -> __m512i {
        // SAFETY: `self` proves that the machine has the instruction.
        unsafe { _mm512_dpbusd_epi32(sums, unsigned, signed) }
    }
}

/// Proves that the machine has AMX tiles with products of bytes and of bfloat16, and that this process may use them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amx(());

impl Amx {
    /// `None` if the machine does not have AMX, or the operating system does not permit its use.
    pub(crate) fn try_new() -> Option<Self> {
        static IS_AVAILABLE: OnceLock<bool> = OnceLock::new();
        IS_AVAILABLE.get_or_init(|| has_tiles() && request_tile_permission()).then_some(Self(()))
    }

    /// Configures this thread's tiles for as long as the returned value lives.
    ///
    /// # Panics
    /// If this thread's tiles are configured already.
    pub(crate) fn configure(self) -> AmxTiles {
        assert!(!IS_CONFIGURED.replace(true), "this thread's tiles are configured already");
        /// The configuration of all eight tiles: 16 rows of 64 bytes.
        #[repr(C, align(64))]
        struct TileConfig {
            palette: u8,
            start: u8,
            reserved: [u8; 14],
            bytes: [u16; 16],
            rows: [u8; 16],
        }
        let (mut bytes, mut rows) = ([0; 16], [0; 16]);
        bytes[..8].fill(4 * TILE_LEN as u16);
        rows[..8].fill(TILE_LEN as u8);
        let config = TileConfig { palette: 1, start: 0, reserved: [0; 14], bytes, rows };
        const { assert!(size_of::<TileConfig>() == 64) };
        // SAFETY: `self` proves that the machine has the instruction and that the process may use it. It reads 64
        // bytes, the size of `config`, and changes only this thread's tiles, which the compiler does not use.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const config, options(nostack, preserves_flags, readonly)) };
        AmxTiles(PhantomData)
    }
}

thread_local! {
    static IS_CONFIGURED: Cell<bool> = const { Cell::new(false) };
}

/// This thread's tiles, configured. Not `Send`: the configuration belongs to the thread.
#[derive(Debug)]
pub(crate) struct AmxTiles(PhantomData<*const ()>);

impl Drop for AmxTiles {
    fn drop(&mut self) {
        // SAFETY: an `AmxTiles` exists, so this thread may use tiles; nothing relies on their contents.
        unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) };
        IS_CONFIGURED.set(false);
    }
}

impl AmxTiles {
    /// Products of 32 rows of bytes and 32 columns, both `words` 32-bit words long, a multiple of 16: `rows` is `[32,
    /// W]`, with a row's words adjacent; `columns` is `[words, 32]`. Row `r` of `products` is `initial + rows[r] *
    /// columns`; without `initial` it starts at 0.
    #[inline(always)]
    pub(crate) fn multiply_bytes<const W: usize>(
        &self,
        rows: &[[u32; W]; BLOCK_LEN],
        columns: &[[u32; BLOCK_LEN]],
        initial: Option<&[u32; BLOCK_LEN]>,
        products: &mut [[__m512i; 2]; BLOCK_LEN],
    ) {
        let words = columns.len();
        assert!(
            words > 0 && words.is_multiple_of(TILE_LEN) && words <= W,
            "`words` is a positive multiple of the tile's rows, at most W"
        );
        let initial = initial.map_or(std::ptr::null(), |initial| initial.as_ptr());
        // Prefetches what follows `columns`, which is probably the next panel.
        let following = columns.as_ptr_range().end.cast::<i8>();
        for line in 0..2 * (words + 1) {
            // SAFETY: every x86-64 processor has the instruction, which accepts any address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(following.wrapping_byte_add(64 * line)) };
        }
        // SAFETY: an `AmxTiles` exists, so this thread's tiles are configured as 16 rows of 64 bytes, and the compiler
        // does not use them. Loads of `initial` have a row stride of 0 bytes and read the first and the second half of
        // its 128 bytes; they are skipped if there is no `initial`. A load of rows reads 64 bytes of each of 16 rows, 4
        // W bytes apart; the last iteration ends at byte 4 words <= 4 W of the last row. A load of columns reads 64
        // bytes of each of 16 rows of 128 bytes, `words` rows over all iterations. A store writes 64 bytes of each of
        // 16 rows of 128 bytes; the four stores together write all 32 rows.
        unsafe {
            asm!(
                "test {initial}, {initial}",
                "jz 2f",
                "tileloadd tmm0, [{initial} + {zero}]",
                "tileloadd tmm1, [{initial} + {zero} + 64]",
                "tileloadd tmm2, [{initial} + {zero}]",
                "tileloadd tmm3, [{initial} + {zero} + 64]",
                "jmp 3f",
                "2:",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "3:",
                "tileloadd tmm4, [{rows} + {row}]",
                "tileloadd tmm5, [{lower} + {row}]",
                "tileloadd tmm6, [{columns} + {line}]",
                "tileloadd tmm7, [{columns} + {line} + 64]",
                "tdpbssd tmm0, tmm4, tmm6",
                "tdpbssd tmm1, tmm4, tmm7",
                "tdpbssd tmm2, tmm5, tmm6",
                "tdpbssd tmm3, tmm5, tmm7",
                "add {rows}, 64",
                "add {lower}, 64",
                "add {columns}, 2048",
                "dec {iterations}",
                "jnz 3b",
                "tilestored [{products} + {line}], tmm0",
                "tilestored [{products} + {line} + 64], tmm1",
                "tilestored [{products} + {line} + 2048], tmm2",
                "tilestored [{products} + {line} + 2112], tmm3",
                initial = in(reg) initial,
                zero = in(reg) 0_usize,
                rows = inout(reg) rows.as_ptr() => _,
                lower = inout(reg) rows[TILE_LEN..].as_ptr() => _,
                row = in(reg) 4 * W,
                columns = inout(reg) columns.as_ptr() => _,
                line = in(reg) 4 * BLOCK_LEN,
                iterations = inout(reg) words / TILE_LEN => _,
                products = in(reg) products,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }

    /// The sum of the products of `left`'s blocks with `right`'s, pairwise. Of the nine products of parts the three
    /// smallest are omitted; the others are added from the smallest to the largest, block by block.
    #[inline(always)]
    pub(crate) fn multiply_bf16(&self, left: &[Bf16Block], right: &[Bf16Block], sums: &mut BlockProduct) {
        assert!(
            !left.is_empty() && left.len() == right.len(),
            "both sides have the same positive number of blocks"
        );
        const { assert!(size_of::<Bf16Block>() == 6144 && size_of::<BlockProduct>() == 4096) };
        // SAFETY: an `AmxTiles` exists, so this thread's tiles are configured as 16 rows of 64 bytes, and the compiler
        // does not use them. A load reads the 1024 bytes of one of the six tiles of a block; both sides have as many
        // blocks as there are iterations. A store writes 64 bytes of each of 16 rows of 128 bytes; the four stores
        // together write all 32 rows.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "2:",
                // Third part times first.
                "tileloadd tmm4, [{left} + {row} + 4096]",
                "tileloadd tmm6, [{right} + {row}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{right} + {row} + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{left} + {row} + 5120]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                // Second times first.
                "tileloadd tmm4, [{left} + {row} + 2048]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{left} + {row} + 3072]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                // Second times second.
                "tileloadd tmm6, [{right} + {row} + 2048]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tileloadd tmm7, [{right} + {row} + 3072]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm3, tmm5, tmm7",
                // First times second.
                "tileloadd tmm4, [{left} + {row}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{left} + {row} + 1024]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                // First times third.
                "tileloadd tmm6, [{right} + {row} + 4096]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tileloadd tmm7, [{right} + {row} + 5120]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm3, tmm5, tmm7",
                // First times first.
                "tileloadd tmm6, [{right} + {row}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tileloadd tmm7, [{right} + {row} + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {left}, 6144",
                "add {right}, 6144",
                "dec {iterations}",
                "jnz 2b",
                "tilestored [{sums} + {line}], tmm0",
                "tilestored [{sums} + {line} + 64], tmm1",
                "tilestored [{sums} + {line} + 2048], tmm2",
                "tilestored [{sums} + {line} + 2112], tmm3",
                left = inout(reg) left.as_ptr() => _,
                right = inout(reg) right.as_ptr() => _,
                row = in(reg) 64_usize,
                iterations = inout(reg) left.len() => _,
                sums = in(reg) sums,
                line = in(reg) 4 * BLOCK_LEN,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

/// Whether the processor has tiles, and products of them.
fn has_tiles() -> bool {
    // CPUID leaf 7: AMX-TILE (bit 24), AMX-INT8 (bit 25), AMX-BF16 (bit 22).
    let needed = 1 << 24 | 1 << 25 | 1 << 22;
    // SAFETY: every x86-64 processor has the instruction.
    #[allow(unused_unsafe, reason = "safe since Rust 1.94")]
    unsafe {
        __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & needed == needed
    }
}

/// Requests permission to use tile data, since the kernel must enlarge the areas where it saves registers. Afterwards
/// signal stacks must be large enough for tile data too; those of Rust's threads are.
#[cfg(target_os = "linux")]
fn request_tile_permission() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const TILE_DATA: libc::c_long = 18;
    // SAFETY: the call takes two integers and changes no memory of this process.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn request_tile_permission() -> bool {
    false
}
