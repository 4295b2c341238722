//! The tensors of a safetensors file as float32, each asked for by name and shape; what does not fit is told by name.

use std::collections::{BTreeMap, HashMap};

use safetensors::{Dtype, SafeTensors};

use crate::half::f32_from_f16;

/// The numbers of a model file and what its head says.
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
    pub metadata: HashMap<String, String>,
}

struct Tensor {
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// Tensors named in one message; the rest is counted.
const NAMED: usize = 6;

impl Weights {
    /// Reads a whole file; the error is the end of a sentence that begins with the file's name.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let broken = |e: safetensors::SafeTensorError| {
            format!(
                "is not a whole safetensors file ({}); copy or download it again",
                e.to_string().trim_end_matches('.')
            )
        };
        let (_, head) = SafeTensors::read_metadata(bytes).map_err(broken)?;
        let metadata = head.metadata().clone().unwrap_or_default();
        let file = SafeTensors::deserialize(bytes).map_err(broken)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            let values: Vec<f32> = match view.dtype() {
                Dtype::F32 => view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
                Dtype::F16 => {
                    view.data().as_chunks::<2>().0.iter().map(|b| f32_from_f16(u16::from_le_bytes(*b))).collect()
                }
                other => {
                    return Err(format!("holds the tensor {name} as {other:?}; float16 and float32 are read"));
                }
            };
            if values.iter().any(|v| !v.is_finite()) {
                return Err(format!("holds infinite or missing numbers in the tensor {name}"));
            }
            tensors.insert(name.to_owned(), Tensor { shape: view.shape().to_vec(), values });
        }
        Ok(Self { tensors, metadata })
    }

    /// How many numbers there are.
    pub fn count(&self) -> usize {
        self.tensors.values().map(|t| t.values.len()).sum()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Compares with what a model has; the error is the end of a sentence that begins with the file's name.
    pub fn compare(&self, expected: &[(String, Vec<usize>)]) -> Result<(), String> {
        let by_name: BTreeMap<_, _> = expected.iter().map(|(name, shape)| (name.as_str(), shape)).collect();
        let missing = expected.iter().filter(|(n, _)| !self.tensors.contains_key(n)).map(|(n, _)| n.clone()).collect();
        let extra = self.names().filter(|n| !by_name.contains_key(n)).map(str::to_owned).collect();
        let differs = |(name, t): (&String, &Tensor)| {
            let expected = by_name.get(name.as_str()).filter(|shape| ***shape != t.shape)?;
            Some(format!("{name} (is {:?}, must be {expected:?})", t.shape))
        };
        let misshapen = self.tensors.iter().filter_map(differs).collect();
        let parts = [("lacks", missing), ("has besides", extra), ("has in the wrong shape", misshapen)];
        let parts: Vec<String> = parts.into_iter().filter_map(|(what, names)| listed(what, names)).collect();
        if parts.is_empty() { Ok(()) } else { Err(parts.join("; it ")) }
    }

    /// The numbers of a tensor; empty if there is none of the name ([`Weights::compare`] is asked first).
    pub fn get(&self, name: &str) -> &[f32] {
        self.tensors.get(name).map_or(&[], |t| &t.values)
    }
}

fn listed(what: &str, names: Vec<String>) -> Option<String> {
    let more = names.len().saturating_sub(NAMED);
    let shown = names[..names.len() - more].join(", ");
    match (names.is_empty(), more) {
        (true, _) => None,
        (_, 0) => Some(format!("{what} {shown}")),
        _ => Some(format!("{what} {shown} and {more} more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_extra_or_misshapen_is_named_and_the_rest_counted() {
        let tensor = |shape: &[usize]| Tensor { shape: shape.to_vec(), values: vec![] };
        let names = (0..9).map(|i| (format!("x{i}"), tensor(&[1])));
        let tensors = names.chain([("a".to_owned(), tensor(&[2, 3]))]).collect();
        let weights = Weights { tensors, metadata: HashMap::new() };
        let expected = [("a".to_owned(), vec![3, 2]), ("b".to_owned(), vec![1])];
        let message = weights.compare(&expected).unwrap_err();
        let sentence = "lacks b; it has besides x0, x1, x2, x3, x4, x5 and 3 more; it has in the wrong shape a (is [2, 3], \
                        must be [3, 2])";
        assert_eq!(message, sentence);
        let own: Vec<_> = weights.tensors.iter().map(|(n, t)| (n.clone(), t.shape.clone())).collect();
        assert_eq!(weights.compare(&own), Ok(()));
    }
}
