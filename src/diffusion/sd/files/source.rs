//! Tensors where they lie, in a .safetensors or a torch file alike: what `convert` reads.

use std::{borrow::Cow, path::Path, sync::Arc};

use safetensors::Dtype;

use super::{Mapped, Refusal, foreign};
use crate::{
    half::{LARGEST_HALF, f16_from_f32},
    pickle::{self, PickleError, Torch},
};

#[derive(Clone)]
pub enum Source {
    Mapped(Arc<Mapped>),
    Torch(Arc<Torch>),
}

impl From<PickleError> for Refusal {
    fn from(error: PickleError) -> Self {
        Self { path: error.path, what: error.what }
    }
}

impl Source {
    /// A file of either kind, told by its first bytes.
    pub fn open(path: &Path) -> Result<Self, Refusal> {
        let first = foreign::first_bytes(path).map_err(|e| Refusal::new(path, format!("cannot be read: {e}")))?;
        if pickle::is_pickle(&first) {
            return Ok(Self::Torch(Arc::new(Torch::open(path)?)));
        }
        match foreign::by_bytes(&first) {
            Some(what) => Err(Refusal::new(path, what)),
            None => Ok(Self::Mapped(Arc::new(Mapped::open(path)?))),
        }
    }

    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Mapped(file) => file.names().map(str::to_owned).collect(),
            Self::Torch(file) => file.names().map(str::to_owned).collect(),
        }
    }

    pub fn what(&self, name: &str) -> Option<(Dtype, Vec<usize>)> {
        match self {
            Self::Mapped(file) => file.place(name).map(|p| (p.dtype, p.shape.clone())),
            Self::Torch(file) => file.get(name).map(|s| (s.dtype, s.shape.clone())),
        }
    }

    /// The numbers of a tensor; the error is the end of a sentence that begins with the file's name.
    pub fn floats(&self, name: &str) -> Result<Vec<f32>, String> {
        match self {
            Self::Mapped(file) => file.floats(name),
            Self::Torch(file) => file.floats(name),
        }
    }

    pub fn bytes(&self, name: &str) -> Cow<'_, [u8]> {
        match self {
            Self::Mapped(file) => Cow::Borrowed(file.bytes(name)),
            Self::Torch(file) => file.bytes(name),
        }
    }
}

/// One tensor of the file that is written.
pub struct Piece {
    pub shape: Vec<usize>,
    /// As it will be written.
    pub dtype: Dtype,
    own: Dtype,
    /// Put one after the other.
    from: Vec<(Source, String)>,
    transposed: bool,
}

impl Piece {
    /// None if the source has no such tensor.
    pub fn new(source: &Source, name: &str) -> Option<Self> {
        let (dtype, shape) = source.what(name)?;
        Some(Self { shape, dtype, own: dtype, from: vec![(source.clone(), name.to_owned())], transposed: false })
    }

    /// With another's rows after its own.
    pub fn stack(&mut self, other: Self) -> Result<(), String> {
        let rows = self.shape.first_mut().zip(other.shape.first());
        let (Some((rows, more)), true) = (rows, self.own == other.own) else {
            return Err("holds parts of one tensor in different kinds of numbers".to_owned());
        };
        *rows += more;
        self.from.extend(other.from);
        Ok(())
    }

    pub fn transpose(mut self) -> Self {
        self.shape.reverse();
        self.transposed = true;
        self
    }

    /// A matrix as a convolution of one pixel.
    pub fn into_convolution(mut self) -> Self {
        if self.shape.len() == 2 {
            self.shape.extend([1, 1]);
        }
        self
    }

    /// Float numbers as halves, but those that halves do not hold.
    pub fn halve(&mut self) {
        let narrow = matches!(self.own, Dtype::F32 | Dtype::BF16 | Dtype::F64);
        if narrow && self.from.iter().all(|(s, n)| floats(self.own, &s.bytes(n)).all(|v| v.abs() < LARGEST_HALF)) {
            self.dtype = Dtype::F16;
        }
    }

    pub fn len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }

    /// What is written.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        for (source, name) in &self.from {
            let found = source.bytes(name);
            if self.dtype == self.own {
                bytes.extend_from_slice(&found);
            } else {
                bytes.extend(floats(self.own, &found).flat_map(|v| f16_from_f32(v).to_le_bytes()));
            }
        }
        if let ([rows, columns], true) = (&self.shape[..], self.transposed) {
            let (rows, columns) = (*rows, *columns);
            let size = self.dtype.bitsize() / 8;
            let at = |i: usize| (i % columns * rows + i / columns) * size;
            bytes = (0..rows * columns).flat_map(|i| bytes[at(i)..at(i) + size].to_vec()).collect();
        }
        bytes
    }
}

/// The numbers of the kinds that `halve` narrows.
fn floats(dtype: Dtype, bytes: &[u8]) -> Box<dyn Iterator<Item = f32> + '_> {
    match dtype {
        Dtype::F64 => Box::new(bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b) as f32)),
        Dtype::BF16 => {
            Box::new(bytes.as_chunks::<2>().0.iter().map(|b| f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16)))
        }
        _ => Box::new(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))),
    }
}
