//! Which instruction set the kernels run on: the best that the CPU has, or one asked for by a test or a benchmark.

use super::{
    grid::Element,
    lanes::{Lanes, Task},
    portable::Portable,
};

/// An instruction set that this CPU has. Only [`Instructions::present`] and [`Instructions::best`] make one.
#[derive(Debug, Clone, Copy)]
pub enum Instructions {
    #[cfg(target_arch = "x86_64")]
    Avx512Fp16(super::x86_64::Avx512Fp16),
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16(super::x86_64::Avx512Bf16),
    #[cfg(target_arch = "x86_64")]
    Avx512(super::x86_64::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(super::x86_64::Avx2),
    #[cfg(target_arch = "aarch64")]
    NeonFp16(super::aarch64::NeonFp16),
    #[cfg(target_arch = "aarch64")]
    Neon(super::aarch64::Neon),
    Portable(Portable),
}

/// Runs `$body` with `$l` bound to the instruction set's lanes.
macro_rules! on {
    ($instructions:expr, $l:ident => $body:expr) => {
        match $instructions {
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Instructions::Avx512Fp16($l) => $body,
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Instructions::Avx512Bf16($l) => $body,
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Instructions::Avx512($l) => $body,
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Instructions::Avx2($l) => $body,
            #[cfg(target_arch = "aarch64")]
            $crate::kernels::Instructions::NeonFp16($l) => $body,
            #[cfg(target_arch = "aarch64")]
            $crate::kernels::Instructions::Neon($l) => $body,
            $crate::kernels::Instructions::Portable($l) => $body,
        }
    };
}

impl Instructions {
    /// All that this CPU has, the fastest first.
    pub fn present() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(super::x86_64::Avx512Fp16::new().map(Self::Avx512Fp16));
            all.extend(super::x86_64::Avx512Bf16::new().map(Self::Avx512Bf16));
            all.extend(super::x86_64::Avx512::new().map(Self::Avx512));
            all.extend(super::x86_64::Avx2::new().map(Self::Avx2));
        }
        #[cfg(target_arch = "aarch64")]
        {
            all.extend(super::aarch64::NeonFp16::new().map(Self::NeonFp16));
            all.extend(super::aarch64::Neon::new().map(Self::Neon));
        }
        all.push(Self::Portable(Portable::new()));
        all
    }
    pub fn best() -> Self {
        Self::present().first().copied().unwrap_or(Self::Portable(Portable::new()))
    }
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Fp16(_) => "AVX-512 with BF16 and FP16",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16(_) => "AVX-512 with BF16",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "AVX2 + FMA",
            #[cfg(target_arch = "aarch64")]
            Self::NeonFp16(_) => "NEON with FP16",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "NEON",
            Self::Portable(_) => "portable",
        }
    }
    /// Whether it multiplies such numbers itself. Where it does not, bfloat16 is computed with as float32, and float16 is
    /// not there.
    pub fn has(self, element: Element) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Fp16(_) => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16(_) => element != Element::Float16,
            #[cfg(target_arch = "aarch64")]
            Self::NeonFp16(_) => element != Element::Bfloat16,
            _ => element == Element::Float32,
        }
    }
    /// As [`Lanes::SOFTMAX_OF_FLOAT16`].
    pub(super) fn has_softmax_of_float16(self) -> bool {
        fn of<L: Lanes>(_: L) -> bool {
            L::SOFTMAX_OF_FLOAT16
        }
        on!(self, l => of(l))
    }
    pub(super) fn enter<T: Task>(self, task: T) -> T::Out {
        on!(self, l => l.enter(task))
    }
    pub(super) fn group(self, blocks: usize, step: usize) -> usize {
        fn of<L: Lanes>(_: L, blocks: usize, step: usize) -> usize {
            L::group(blocks, step)
        }
        on!(self, l => of(l, blocks, step))
    }
    pub(super) fn widest(self, group: usize, step: usize) -> usize {
        fn of<L: Lanes>(_: L, group: usize, step: usize) -> usize {
            L::widest(group, step)
        }
        on!(self, l => of(l, group, step))
    }
}

pub(super) use on;
