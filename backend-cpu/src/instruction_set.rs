//! The instruction sets that the backend has code for, and which of them the machine has.

use std::fmt;
use std::str::FromStr;

use pulp::Arch;

/// An instruction set. The results of networks, actions and learning, are reproducible on one instruction set. The
/// users' side gives the same bits on all of them for the same actions.
///
/// ```
/// use recsim_backend_cpu::InstructionSet;
/// assert!(InstructionSet::Portable.arch().is_some());
/// assert_eq!("avx2".parse(), Ok(InstructionSet::Avx2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// x86-64-v4 with AMX tiles and VNNI: products of bytes in the item search, and of bfloat16 in the networks, whose
    /// values keep single precision.
    Amx,
    /// x86-64-v4. The item search uses products of bytes (VNNI) if the machine has them.
    Avx512,
    /// x86-64-v3: AVX2 and fused multiply-add.
    Avx2,
    /// 64-bit Arm.
    Neon,
    /// No vector instructions are assumed; every machine has it.
    Portable,
}

impl InstructionSet {
    /// All instruction sets, from the best to the least capable.
    pub const ALL: [Self; 5] = [Self::Amx, Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// The instruction sets of this machine, the best first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|set| set.arch().is_some())
    }

    /// The best instruction set of this machine.
    pub fn best() -> Self {
        Self::available().next().unwrap_or(Self::Portable)
    }

    /// The `pulp` token of its vector instructions; `None` if this machine does not have the instruction set.
    pub fn arch(self) -> Option<Arch> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx => pulp::x86::V4::try_new().filter(|_| has_amx()).map(Arch::V4),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => pulp::x86::V4::try_new().map(Arch::V4),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => pulp::x86::V3::try_new().map(Arch::V3),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => pulp::aarch64::Neon::try_new().map(Arch::Neon),
            Self::Portable => Some(Arch::Scalar),
            #[allow(unreachable_patterns, reason = "which patterns are left depends on the target")]
            _ => None,
        }
    }

    /// Its name: `amx`, `avx512`, `avx2`, `neon` or `portable`.
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

/// Whether the machine has all that the item search and the networks need for [`InstructionSet::Amx`].
#[cfg(target_arch = "x86_64")]
fn has_amx() -> bool {
    use crate::intrinsics::{Amx, Vnni};
    Amx::try_new().is_some() && Vnni::try_new().is_some()
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

/// The error of parsing a name that no [`InstructionSet`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownInstructionSet;

impl std::error::Error for UnknownInstructionSet {}

impl fmt::Display for UnknownInstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an instruction set is one of amx, avx512, avx2, neon, portable")
    }
}
