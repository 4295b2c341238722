//! A .safetensors file in memory: its head parsed, its numbers where the system keeps the file.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use memmap2::Mmap;
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};

use super::{Refusal, foreign};
use crate::half::f32_from_f16;

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
