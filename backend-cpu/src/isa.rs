//! The instruction sets that the backend has code for.

use std::fmt;
use std::str::FromStr;

use pulp::Arch;

use crate::mlp::Multiplier;

/// An instruction set. Networks, their actions and their learning, are reproducible on one of them; given the same actions, the
/// users' side gives the same bits on all.
///
/// ```
/// use recsim_backend_cpu::InstructionSet;
/// assert!(InstructionSet::Portable.arch().is_some());
/// assert_eq!("avx2".parse(), Ok(InstructionSet::Avx2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// x86-64-v4, with tiles of bytes for matching and of bfloat16 for the networks, whose numbers stay in single precision.
    Amx,
    /// x86-64-v4; products of bytes as well (VNNI), where the machine has them.
    Avx512,
    /// x86-64-v3: AVX2 with fused multiplication and addition.
    Avx2,
    /// 64-bit Arm.
    Neon,
    /// What every machine has.
    Portable,
}

impl InstructionSet {
    /// All, the best first.
    pub const ALL: [Self; 5] = [Self::Amx, Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// Those of this machine, the best first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|set| set.arch().is_some())
    }

    /// The best of this machine.
    pub fn best() -> Self {
        Self::available().next().unwrap_or(Self::Portable)
    }

    /// The key to its vectors, if this machine has it.
    pub fn arch(self) -> Option<Arch> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx => pulp::x86::V4::try_new().filter(|_| has_tiles()).map(Arch::V4),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => pulp::x86::V4::try_new().map(Arch::V4),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => pulp::x86::V3::try_new().map(Arch::V3),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => pulp::aarch64::Neon::try_new().map(Arch::Neon),
            Self::Portable => Some(Arch::Scalar),
            #[allow(unreachable_patterns, reason = "which are left depends on the machine")]
            _ => None,
        }
    }

    /// `amx`, `avx512`, `avx2`, `neon` or `portable`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amx => "amx",
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }
}

/// What networks are computed with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processor {
    /// The key to the vectors, which proves that the machine has them.
    pub(crate) arch: Arch,
    /// What multiplies tiles, if anything does.
    pub(crate) multiplier: Option<Multiplier>,
}

impl Processor {
    /// What an instruction set has, if this machine has it.
    pub(crate) fn of(isa: InstructionSet) -> Option<Self> {
        Some(Self { arch: isa.arch()?, multiplier: Multiplier::of(isa) })
    }
}

/// Whether the machine has all that matching and networks need where there are tiles.
#[cfg(target_arch = "x86_64")]
fn has_tiles() -> bool {
    use crate::instructions::{Tiles, Vnni};
    Tiles::try_new().is_some() && Vnni::try_new().is_some()
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for InstructionSet {
    type Err = UnknownInstructionSet;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|set| set.name() == name).ok_or(UnknownInstructionSet)
    }
}

/// A name that no [`InstructionSet`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownInstructionSet;

impl std::error::Error for UnknownInstructionSet {}

impl fmt::Display for UnknownInstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an instruction set is amx, avx512, avx2, neon or portable")
    }
}
