//! What packed layers run on: threads, instructions, and memory that goes from layer to layer.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use candle_core::{Device, Result, Tensor};

use super::composed;
use crate::diffusion::device::Place;
use crate::kernels::{
    Affine, Coming, Conv, ConvShape, Element, Finish, Form, Grid, Instructions, Keys, Map, Maps, Parts, Pool, Target,
    attend,
};

/// Heads, channels of a head, tokens.
type KeysForm = (usize, usize, usize, Element);

/// What a layer does, for reports of where the time goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// 3x3 convolutions, those that halve or double the map too.
    Convolution,
    /// 1x1 convolutions and linear layers.
    Product,
    Attention,
    Norm,
    /// What LoRAs add.
    Lora,
}

/// As they are called in reports.
const WORKS: [&str; 5] = ["convolutions 3x3", "matrix products", "attention", "norms", "LoRAs"];

/// Cloning gives another handle to the same threads and memory.
#[derive(Clone)]
pub struct Engine {
    pub pool: Pool,
    pub set: Instructions,
    /// What products of maps read.
    pub element: Element,
    /// Where tensors lie, and whether layers are packed at all.
    pub place: Place,
    maps: Maps,
    /// Packed keys of the pixels, by their form.
    keys: Arc<Mutex<HashMap<KeysForm, Keys>>>,
    /// Nanoseconds, by [`Work`].
    spent: Arc<[AtomicU64; WORKS.len()]>,
    /// Bytes of weights.
    weights: Arc<AtomicUsize>,
}

impl Engine {
    pub fn new(pool: &Pool, set: Instructions, place: Place) -> Self {
        Self {
            pool: pool.clone(),
            set,
            element: place.element,
            place,
            maps: Maps::default(),
            keys: Arc::default(),
            spent: Arc::default(),
            weights: Arc::default(),
        }
    }

    /// Counts the weights of a layer.
    pub fn holds(&self, bytes: usize) {
        self.weights.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Memory of all layers, and of the maps between them.
    pub fn bytes(&self) -> usize {
        self.weights.load(Ordering::Relaxed) + self.maps.bytes()
    }

    /// Does some work, and counts its time.
    pub fn timed<T>(&self, work: Work, job: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = job();
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        tracing::trace!("{}: {:.2} ms", WORKS[work as usize], nanos as f64 / 1e6);
        self.spent[work as usize].fetch_add(nanos, Ordering::Relaxed);
        result
    }

    /// Milliseconds that each kind of work has taken so far.
    pub fn spent(&self) -> Vec<(&'static str, f64)> {
        let millis = |nanos: &AtomicU64| nanos.load(Ordering::Relaxed) as f64 / 1e6;
        WORKS.into_iter().zip(self.spent.iter().map(millis)).collect()
    }

    /// Whether products of the engine's element are faster here than those of float32: some processors have the
    /// instruction and take twice the time over it.
    pub fn element_pays(&self) -> bool {
        let (channels, tokens) = (256, 512);
        let affine = Affine::bias(&vec![0.0; channels]);
        let quickest = |element: Element| {
            let conv = Conv::new(self.set, ConvShape::linear(channels, channels).of(element), |_, _, _| 1.0);
            let from = self.tokens(channels, [1, tokens], element);
            let mut to = self.tokens(channels, [1, tokens], Element::Float32);
            let run = |_| {
                let start = Instant::now();
                conv.run(&self.pool, &from, Finish::plain(&affine), Target::Grid(&mut to));
                start.elapsed()
            };
            (0..5).map(run).min()
        };
        quickest(self.element) < quickest(Element::Float32)
    }

    /// The same threads and memory for layers that read float32.
    pub fn exact(&self) -> Self {
        Self { element: Element::Float32, place: self.place.exact(), ..self.clone() }
    }

    /// The same threads and memory for layers that the CPU's kernels do, in float32.
    pub fn on_cpu(&self) -> Self {
        Self { place: Place::cpu(), ..self.exact() }
    }

    /// A map with a border, as convolutions read it.
    pub fn map(&self, channels: usize, [height, width]: [usize; 2], element: Element) -> Map {
        self.maps.take(Form { channels, height, width, border: 1, element })
    }

    /// A map of this form.
    pub fn like(&self, form: Form) -> Map {
        self.maps.take(form)
    }

    /// A map without a border.
    pub fn tokens(&self, channels: usize, [height, width]: [usize; 2], element: Element) -> Map {
        self.maps.take(Form { channels, height, width, border: 0, element })
    }

    /// Frees the memory of pictures of another size.
    pub fn forget(&self) {
        self.maps.clear();
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Gives `job` the map as a layer reads it: rounded, where the layer takes halves and the map is float32.
    pub fn read<T>(&self, map: &Grid, element: Element, job: impl FnOnce(&Grid) -> T) -> T {
        let form = map.form();
        if form.element == element {
            return job(map);
        }
        let mut rounded = self.maps.take(Form { element, ..form });
        rounded.fill_halves(&self.pool, map, self.set);
        job(&rounded)
    }

    /// Softmax attention of `heads` heads, `width` wide without what fills up their blocks, over the pixels of a map.
    pub fn attend(&self, [queries, keys, values]: [&Grid; 3], heads: usize, width: usize, out: &mut Grid) {
        self.timed(Work::Attention, || {
            let (form, lanes) = (keys.form(), width.next_multiple_of(16));
            let mut all = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            let packed = all.entry((heads, lanes, form.height * form.width, form.element)).or_default();
            packed.pack(self.set, &self.pool, (keys, 0), (values, 0), heads, lanes);
            attend(self.set, &self.pool, queries, packed, width, out);
        });
    }

    /// As [`Self::attend`], over keys that are packed.
    pub fn attend_to(&self, queries: &Grid, keys: &Keys, width: usize, out: &mut Grid) {
        self.timed(Work::Attention, || attend(self.set, &self.pool, queries, keys, width, out));
    }

    /// A picture `(1, 3, h, w)`, -1..1, as bytes of red, green, blue and 255. On a GPU they are made there, and nothing else
    /// comes back.
    pub fn rgba8(&self, image: &Tensor, rgba: &mut Vec<u8>) -> Result<Option<Coming>> {
        if !self.place.packs {
            return self.bring(&self.bytes_of(image)?, rgba);
        }
        let values = image.flatten_all()?.to_vec1::<f32>()?;
        let area = values.len() / 3;
        rgba.resize(4 * area, 255);
        let byte = |v: f32| ((v * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8;
        for (i, pixel) in rgba.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            pixel.copy_from_slice(&[byte(values[i]), byte(values[area + i]), byte(values[2 * area + i]), 255]);
        }
        Ok(None)
    }

    /// The same on a GPU, as a tensor `(h * w * 4)`.
    pub fn bytes_of(&self, image: &Tensor) -> Result<Tensor> {
        self.place.fused.rgba8(image).map_or_else(|| composed::rgba8(image), Ok)
    }

    /// Brings bytes from a GPU; from one that lets them come while it goes on, they are on their way.
    pub fn bring(&self, bytes: &Tensor, rgba: &mut Vec<u8>) -> Result<Option<Coming>> {
        if let Some(coming) = self.place.fused.bring(bytes) {
            return coming.map(Some);
        }
        *rgba = bytes.to_vec1::<u8>()?;
        Ok(None)
    }

    /// Row `row` of `(b, channels, h, w)` as a map with a border.
    pub fn map_of(&self, x: &Tensor, row: usize, parts: &Parts) -> Result<Map> {
        let (_, channels, h, w) = x.dims4()?;
        let values = x.get(row)?.contiguous()?.flatten_all()?.to_vec1::<f32>()?;
        let mut map = self.map(parts.lanes(), [h, w], Element::Float32);
        if channels != parts.channels() {
            candle_core::bail!("a layer takes {} channels, not {channels}", parts.channels());
        }
        let (mut lane, mut first) = (0, 0);
        for part in parts.each() {
            map.fill_channels(lane, &values[first * h * w..(first + part) * h * w]);
            (lane, first) = (lane + part.next_multiple_of(16), first + part);
        }
        Ok(map)
    }
}

/// A map's first channels as `(1, channels, h, w)`.
pub fn tensor_of(map: &Grid, channels: usize) -> Result<Tensor> {
    let (h, w) = (map.height(), map.width());
    let mut values = vec![0.0; channels * h * w];
    map.copy_to(&mut values);
    Tensor::from_vec(values, (1, channels, h, w), &Device::Cpu)
}

/// Calls `layer` for each row of `(b, …)` and puts the results together again.
pub fn each_row(x: &Tensor, layer: impl Fn(usize) -> Result<Tensor>) -> Result<Tensor> {
    let rows = (0..x.dim(0)?).map(layer).collect::<Result<Vec<_>>>()?;
    if rows.len() == 1 { Ok(rows[0].clone()) } else { Tensor::cat(&rows, 0) }
}
