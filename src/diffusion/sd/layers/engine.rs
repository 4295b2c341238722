//! What packed layers run on: threads, instructions, and memory that goes from layer to layer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use candle_core::{Device, Result, Tensor};

use crate::kernels::{Element, Form, Grid, Instructions, Keys, Map, Maps, Parts, Pool};

/// Heads, channels of a head, tokens.
type KeysForm = (usize, usize, usize, Element);

/// Cloning gives another handle to the same threads and memory.
#[derive(Clone)]
pub struct Engine {
    pub pool: Pool,
    pub set: Instructions,
    /// What products of maps read.
    pub element: Element,
    maps: Maps,
    /// Packed keys of the pixels, by their form.
    keys: Arc<Mutex<HashMap<KeysForm, Keys>>>,
}

impl Engine {
    pub fn new(pool: &Pool, set: Instructions, element: Element) -> Self {
        Self { pool: pool.clone(), set, element, maps: Maps::default(), keys: Arc::default() }
    }

    /// The same threads and memory for layers that read float32.
    pub fn exact(&self) -> Self {
        Self { element: Element::Float32, ..self.clone() }
    }

    /// A map with a border, as convolutions read it.
    pub fn map(&self, channels: usize, [height, width]: [usize; 2], element: Element) -> Map {
        self.maps.take(Form { channels, height, width, border: 1, element })
    }

    /// A map without a border.
    pub fn tokens(&self, channels: usize, [height, width]: [usize; 2], element: Element) -> Map {
        self.maps.take(Form { channels, height, width, border: 0, element })
    }

    /// Frees the memory of pictures of other sizes.
    pub fn forget(&self) {
        self.maps.clear();
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Gives `job` the map as a layer reads it: rounded, where the layer takes bfloat16 and the map is float32.
    pub fn read<T>(&self, map: &Grid, element: Element, job: impl FnOnce(&Grid) -> T) -> T {
        let form = map.form();
        if form.element == element {
            return job(map);
        }
        let mut rounded = self.maps.take(Form { element, ..form });
        rounded.fill_halves(&self.pool, map, self.set);
        job(&rounded)
    }

    /// Packs keys and values, each of some heads of `width` lanes, and gives them to `job`.
    pub fn with_keys<T>(&self, keys: &Grid, values: &Grid, heads: usize, width: usize, job: impl FnOnce(&Keys) -> T) -> T {
        let form = keys.form();
        let mut all = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let packed = all.entry((heads, width, form.height * form.width, form.element)).or_default();
        packed.pack(&self.pool, (keys, 0), (values, 0), heads, width);
        job(packed)
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
