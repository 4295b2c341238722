//! A .safetensors file in memory: its head parsed, its numbers where the system keeps the file.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use memmap2::Mmap;
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};

use super::{Refusal, foreign};

/// Numbers that one thread converts at a time.
const AT_ONCE: usize = 1 << 16;

pub struct Mapped {
    pub path: PathBuf,
    map: Mmap,
    data_at: usize,
    tensors: BTreeMap<String, Place>,
    pub metadata: HashMap<String, String>,
}

#[derive(Debug, Clone)]
pub struct Place {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    offsets: (usize, usize),
}

impl Mapped {
    pub fn open(path: &Path) -> Result<Self, Refusal> {
        let unreadable = |e: std::io::Error| Refusal::new(path, format!("cannot be read: {e}"));
        let file = std::fs::File::open(path).map_err(unreadable)?;
        // SAFETY: the map is only read. Another program that shortens the file while we play would end this one (SIGBUS),
        // as with every program that maps its models; the numbers are copied out while a model is loaded.
        let map = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
        let head = SafeTensors::read_metadata(&map);
        let (len, head) = head.map_err(|e| match foreign::by_bytes(&map) {
            Some(what) => Refusal::new(path, what),
            None => {
                let why = e.to_string();
                let why = why.trim_end_matches('.');
                Refusal::new(path, format!("is not a whole safetensors file ({why}); copy or download it again"))
            }
        })?;
        let place = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
            (name, Place { dtype: info.dtype, shape: info.shape.clone(), offsets: info.data_offsets })
        };
        let tensors = head.tensors().into_iter().map(place).collect();
        let metadata = head.metadata().clone().unwrap_or_default();
        Ok(Self { path: path.to_owned(), map, data_at: 8 + len, tensors, metadata })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub fn place(&self, name: &str) -> Option<&Place> {
        self.tensors.get(name)
    }

    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|p| p.shape.as_slice())
    }

    /// The numbers of a tensor as float32; the error is the end of a sentence that begins with the file's name.
    pub fn floats(&self, name: &str) -> Result<Vec<f32>, String> {
        let Some(place) = self.tensors.get(name) else { return Err(format!("lacks {name}")) };
        let bytes = self.bytes(name);
        let (size, convert): (usize, fn(&[u8]) -> f32) = match place.dtype {
            Dtype::F32 => (4, |b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            Dtype::F16 => (2, |b| f32_from_f16(u16::from_le_bytes([b[0], b[1]]))),
            Dtype::BF16 => (2, |b| f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16)),
            Dtype::F64 => (8, |b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32),
            other => {
                return Err(format!("holds {name} as {other:?}; float16, bfloat16, float32 and float64 are read"));
            }
        };
        let mut values = vec![0.0; bytes.len() / size];
        let pieces = values.par_chunks_mut(AT_ONCE).zip(bytes.par_chunks(AT_ONCE * size));
        let finite = pieces.map(|(out, bytes)| match place.dtype {
            // The loops are written out for each type, so that the compiler makes vector code of them.
            Dtype::F16 => fill::<2>(out, bytes, |b| f32_from_f16(u16::from_le_bytes(b))),
            Dtype::F32 => fill::<4>(out, bytes, f32::from_le_bytes),
            _ => {
                out.iter_mut().zip(bytes.chunks_exact(size)).for_each(|(o, b)| *o = convert(b));
                out.iter().all(|v| v.is_finite())
            }
        });
        if !finite.reduce(|| true, |a, b| a && b) {
            return Err(format!("holds infinite or missing numbers in {name}"));
        }
        Ok(values)
    }

    /// The bytes of a tensor as they lie in the file; none for no tensor.
    pub fn bytes(&self, name: &str) -> &[u8] {
        let Some(place) = self.tensors.get(name) else { return &[] };
        self.map.get(self.data_at + place.offsets.0..self.data_at + place.offsets.1).unwrap_or_default()
    }

    /// The words of a tensor that holds one number.
    pub fn scalar(&self, name: &str) -> Option<f32> {
        self.floats(name).ok()?.first().copied()
    }
}

/// Converts, and tells whether all numbers are finite.
#[inline(always)]
fn fill<const N: usize>(out: &mut [f32], bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> bool {
    let mut largest = 0_u32;
    for (o, b) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *o = convert(*b);
        largest = largest.max(o.to_bits() & 0x7fff_ffff);
    }
    largest < f32::INFINITY.to_bits()
}

/// The nearest half, ties to even; infinite where it is beyond [`LARGEST_HALF`].
pub fn f16_from_f32(value: f32) -> u16 {
    let (sign, size) = ((value.to_bits() >> 16 & 0x8000) as u16, value.abs());
    if size.is_nan() {
        return sign | 0x7e00;
    }
    // Adding a number of the right size leaves as many bits as the half has: of its exponent, or of the smallest.
    let exponent = ((size.to_bits() >> 23) as i32 - 127).max(-14);
    if exponent > 15 {
        return sign | 0x7c00;
    }
    let unit = 2f64.powi(exponent - 10);
    let steps = (f64::from(size) / unit).round_ties_even() as u32;
    // A round up into the next exponent carries over by itself, up to infinity.
    sign | (((exponent + 14) as u32) << 10).wrapping_add(steps) as u16
}

/// Beyond this a half is infinite: 65504 and half a step.
pub const LARGEST_HALF: f32 = 65_520.0;

/// IEEE 754 half precision: the bits shifted into place and the exponent's bias corrected by a product, which is exact
/// for subnormals too. Infinity and NaN become large numbers by it and are put right.
#[inline(always)]
pub fn f32_from_f16(half: u16) -> f32 {
    let bits = u32::from(half);
    let size = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
    let special = if bits & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
    f32::from_bits(size.to_bits() | special | (bits & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_comes_back_and_what_lies_between_goes_to_the_nearer() {
        for half in (0..=u16::MAX).filter(|h| h & 0x7c00 != 0x7c00) {
            let value = f32_from_f16(half);
            assert_eq!(f16_from_f32(value), half, "{value}");
            // The middle between two goes to the even one, and what is beyond it to the other.
            let next = f32_from_f16(half + 1);
            if next.is_finite() && next.to_bits() != value.to_bits() {
                let middle = (value + next) / 2.0;
                assert_eq!(f16_from_f32(middle), half + (half & 1), "{middle}");
                assert_eq!(f16_from_f32(f32::from_bits(middle.to_bits() + 1)), half + 1, "{middle}");
                assert_eq!(f16_from_f32(f32::from_bits(middle.to_bits() - 1)), half, "{middle}");
            }
        }
        assert_eq!(f16_from_f32(LARGEST_HALF), 0x7c00);
        assert_eq!(f16_from_f32(f32::from_bits(LARGEST_HALF.to_bits() - 1)), 0x7bff);
        assert_eq!((f16_from_f32(f32::NEG_INFINITY), f16_from_f32(f32::NAN)), (0xfc00, 0x7e00));
    }

    #[test]
    fn every_half_becomes_the_float_of_the_same_value() {
        for half in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(half >> 10) & 31, f64::from(half & 0x3ff));
            let size = match exponent {
                0 => fraction * 2f64.powi(-24),
                31 if fraction == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
            };
            let (expected, found) = (if half >> 15 == 1 { -size } else { size }, f64::from(f32_from_f16(half)));
            assert!(
                found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan()),
                "{half:#06x}: {found}"
            );
        }
    }
}
