//! The tensors of one part of a checkpoint by diffusers' names; what is missing, left over or of another shape is noted.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use candle_core::{Device, Tensor};

use super::{Mapped, Refusal};
use crate::diffusion::{
    device::Place,
    sd::beside::{Beside, Packing, Shape},
};

/// Tensors named in one message; the rest is counted.
const NAMED: usize = 6;

/// How a tensor lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    Whole,
    /// The first, second or last third of the rows: OpenCLIP keeps queries, keys and values together.
    Third(usize),
    Transposed,
}

#[derive(Clone)]
struct Spot {
    file: Arc<Mapped>,
    name: String,
    take: Take,
}

/// What a LoRA adds to a tensor: the strength times this.
pub trait Delta: Send + Sync {
    /// Adds to the numbers of the tensor; the error is the end of a sentence that begins with the LoRA's name.
    fn add(&self, values: &mut [f32], shape: &[usize]) -> Result<(), String>;
}

#[derive(Clone)]
pub struct Tensors {
    places: BTreeMap<String, Spot>,
    deltas: BTreeMap<String, Vec<Arc<dyn Delta>>>,
    asked: RefCell<BTreeSet<String>>,
    missing: RefCell<BTreeSet<String>>,
    wrong: RefCell<BTreeSet<String>>,
    broken: RefCell<Option<String>>,
    besides: RefCell<BTreeMap<String, Beside>>,
}

impl Tensors {
    pub fn new() -> Self {
        Self {
            places: BTreeMap::new(),
            deltas: BTreeMap::new(),
            asked: RefCell::default(),
            missing: RefCell::default(),
            wrong: RefCell::default(),
            broken: RefCell::default(),
            besides: RefCell::default(),
        }
    }

    /// All tensors of some files, renamed; a name of none leaves a tensor out.
    pub fn of(files: &[Arc<Mapped>], rename: impl Fn(&str) -> Option<String>) -> Self {
        let mut all = Self::new();
        for file in files {
            for name in file.names() {
                if let Some(new) = rename(name) {
                    all.insert(new, file, name, Take::Whole);
                }
            }
        }
        all
    }

    pub fn insert(&mut self, name: String, file: &Arc<Mapped>, in_file: &str, take: Take) {
        self.places.insert(name, Spot { file: file.clone(), name: in_file.to_owned(), take });
    }

    /// The same tensors but for those that the test picks.
    pub fn without(mut self, test: impl Fn(&str) -> bool) -> Self {
        self.places.retain(|name, _| !test(name));
        self
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many numbers there are.
    pub fn count(&self) -> usize {
        self.places.keys().filter_map(|n| Some(self.shape(n)?.iter().product::<usize>())).sum()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    pub fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// The shape of a tensor as the model sees it.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let place = self.places.get(name)?;
        let mut shape = place.file.shape(&place.name)?.to_vec();
        match place.take {
            Take::Whole => {}
            Take::Third(_) => *shape.first_mut()? /= 3,
            Take::Transposed => shape.reverse(),
        }
        Some(shape)
    }

    /// The number of a length of a tensor's shape, 0 if there is none.
    pub fn size(&self, name: &str, dim: usize) -> usize {
        self.shape(name).and_then(|s| s.get(dim).copied()).unwrap_or(0)
    }

    /// Adds a LoRA's delta to a tensor whenever it is read.
    pub fn patch(&mut self, name: &str, delta: Arc<dyn Delta>) {
        self.deltas.entry(name.to_owned()).or_default().push(delta);
    }

    /// Where LoRAs lie beside a layer, by the name of its weight.
    pub fn beside(&self, weight: &str, shape: Shape, packing: Option<Packing>) -> Beside {
        self.besides.borrow_mut().entry(weight.to_owned()).or_insert_with(|| Beside::new(shape, packing)).clone()
    }

    /// All of them, once a part is built.
    pub fn besides(&self) -> BTreeMap<String, Beside> {
        self.besides.borrow().clone()
    }

    /// The numbers of a tensor, a LoRA's delta added; zeros, and a note, where it is missing or has another shape.
    pub fn floats(&self, name: &str, shape: &[usize]) -> Vec<f32> {
        let len = shape.iter().product();
        self.asked.borrow_mut().insert(name.to_owned());
        let Some(found) = self.shape(name) else {
            self.missing.borrow_mut().insert(name.to_owned());
            return vec![0.0; len];
        };
        // A 1x1 convolution is a matrix; both ways of writing it are common.
        let same = |a: &[usize], b: &[usize]| {
            let trim = |s: &[usize]| if s.len() == 4 && s[2..] == [1, 1] { s[..2].to_vec() } else { s.to_vec() };
            trim(a) == trim(b)
        };
        if !same(&found, shape) {
            self.wrong.borrow_mut().insert(format!("{name} (is {found:?}, must be {shape:?})"));
            return vec![0.0; len];
        }
        match self.read(name, shape) {
            Ok(values) => values,
            Err(why) => {
                self.broken.borrow_mut().get_or_insert(why);
                vec![0.0; len]
            }
        }
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        let Some(place) = self.places.get(name) else { return Err(format!("lacks {name}")) };
        let mut values = place.file.floats(&place.name)?;
        match place.take {
            Take::Whole => {}
            Take::Third(third) => {
                let len = values.len() / 3;
                values = values[third * len..(third + 1) * len].to_vec();
            }
            Take::Transposed => {
                let (rows, columns) = (shape[0], shape[1]);
                values = (0..rows * columns).map(|i| values[i % columns * rows + i / columns]).collect();
            }
        }
        for delta in self.deltas.get(name).into_iter().flatten() {
            delta.add(&mut values, shape)?;
        }
        Ok(values)
    }

    /// The same as a tensor at a place.
    pub fn get(&self, name: &str, shape: &[usize], place: &Place) -> Tensor {
        let values = self.floats(name, shape);
        Tensor::from_vec(values, shape, &Device::Cpu).and_then(|values| place.bring(&values)).unwrap_or_else(|e| {
            self.broken.borrow_mut().get_or_insert(format!("cannot be brought to the device: {e}"));
            // Never fails on the CPU: as many numbers as the shape says.
            Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap_or_else(|_| nothing())
        })
    }

    /// Tells what did not fit once a part has asked for all its tensors. `part` is said before each name.
    pub fn check(&self, part: &str, path: &std::path::Path) -> Result<(), Refusal> {
        if let Some(why) = &*self.broken.borrow() {
            return Err(Refusal::new(path, why.clone()));
        }
        let asked = self.asked.borrow();
        let extra: Vec<String> = self.names().filter(|n| !asked.contains(*n)).map(str::to_owned).collect();
        let named = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>();
        let parts = [
            ("lacks", named(&self.missing.borrow())),
            ("has besides", extra),
            ("has in the wrong shape", named(&self.wrong.borrow())),
        ];
        let parts: Vec<String> = parts.into_iter().filter_map(|(what, names)| listed(what, part, names)).collect();
        if parts.is_empty() { Ok(()) } else { Err(Refusal::new(path, parts.join("; it "))) }
    }
}

/// A scalar on the CPU.
fn nothing() -> Tensor {
    #[expect(clippy::expect_used, reason = "a number on the CPU is always a tensor")]
    Tensor::new(0.0_f32, &Device::Cpu).expect("a number")
}

fn listed(what: &str, part: &str, names: Vec<String>) -> Option<String> {
    let more = names.len().saturating_sub(NAMED);
    let shown: Vec<String> = names[..names.len() - more].iter().map(|n| format!("{part}.{n}")).collect();
    let shown = shown.join(", ");
    match (names.is_empty(), more) {
        (true, _) => None,
        (_, 0) => Some(format!("{what} {shown}")),
        _ => Some(format!("{what} {shown} and {more} more")),
    }
}
