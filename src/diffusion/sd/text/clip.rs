//! The CLIP text transformer: numbers of words to a vector for each place.

use candle_core::{DType, Device, Result, Tensor};

use super::{END, LENGTH, Layer, Learned};
use crate::diffusion::sd::layers::{At, LayerNorm};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// OpenAI's.
    QuickGelu,
    /// OpenCLIP's.
    Gelu,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClipConfig {
    pub width: usize,
    pub inner: usize,
    pub layers: usize,
    pub heads: usize,
    pub activation: Activation,
    /// Numbers of words.
    pub words: usize,
    /// Width of the vector for the whole prompt, where there is one.
    pub projection: Option<usize>,
}

impl ClipConfig {
    pub fn check(&self) -> std::result::Result<(), String> {
        let fits = self.width > 0
            && self.heads > 0
            && self.width.is_multiple_of(self.heads)
            && self.layers > 0
            && self.inner > 0;
        if fits && self.words > END as usize {
            return Ok(());
        }
        Err(format!(
            "has a text model that cannot be built ({} wide, {} heads, {} layers, {} words)",
            self.width, self.heads, self.layers, self.words
        ))
    }

    /// Takes what shapes do not tell from the configuration of a text model that has the same shapes.
    pub fn adopt(&mut self, known: &Self) {
        if (self.width, self.layers) == (known.width, known.layers) {
            (self.heads, self.activation) = (known.heads, known.activation);
        }
    }
}

pub struct Clip {
    config: ClipConfig,
    words: Tensor,
    places: Tensor,
    layers: Vec<Layer>,
    norm: LayerNorm,
    projection: Option<Tensor>,
    mask: Tensor,
}

/// What a text model says of some prompts.
pub struct Encoded {
    /// Before the last layer, (prompts, words, width).
    pub before_last: Tensor,
    /// After the last layer and its norm.
    pub last: Tensor,
    /// One vector for each prompt, (prompts, projection).
    pub pooled: Option<Tensor>,
}

impl Clip {
    pub fn new(at: &At, config: ClipConfig) -> Result<Self> {
        let ClipConfig { width, inner, heads, activation, .. } = config;
        let layer = |i: usize| Layer::new(&at.at(format!("encoder.layers.{i}")), width, inner, heads, activation);
        let device = &at.engine.place.device;
        let future = |i: usize| if i % LENGTH > i / LENGTH { -1e9_f32 } else { 0.0 };
        Ok(Self {
            words: at.get("embeddings.token_embedding.weight", &[config.words, width]),
            places: at.get("embeddings.position_embedding.weight", &[LENGTH, width]),
            layers: (0..config.layers).map(layer).collect(),
            norm: LayerNorm::new(&at.at("final_layer_norm"), width),
            projection: config.projection.map(|p| at.get("text_projection.weight", &[p, width])),
            mask: Tensor::from_iter((0..LENGTH * LENGTH).map(future), device)?.reshape((LENGTH, LENGTH))?,
            config,
        })
    }

    /// Takes the vectors of learned words after its own.
    pub fn learn(&mut self, learned: &Learned) -> Result<()> {
        if learned.rows().is_empty() {
            return Ok(());
        }
        let width = self.config.width;
        let rows = Tensor::from_slice(learned.rows(), (learned.rows().len() / width, width), self.words.device())?;
        self.words = Tensor::cat(&[&self.words, &rows.to_dtype(self.words.dtype())?], 0)?;
        Ok(())
    }

    /// Prompts of [`LENGTH`] numbers each.
    pub fn encode(&self, prompts: &[&[u32]]) -> Result<Encoded> {
        let device = self.words.device();
        let numbers: Vec<u32> = prompts.iter().flat_map(|p| p.iter().copied()).collect();
        let x = self.words.index_select(&Tensor::from_vec(numbers, prompts.len() * LENGTH, device)?, 0)?;
        let mut x = x.reshape((prompts.len(), LENGTH, self.config.width))?.broadcast_add(&self.places)?;
        let mut before_last = x.clone();
        for layer in &self.layers {
            before_last = x;
            x = layer.forward(&before_last, Some(&self.mask))?;
        }
        let last = self.norm.forward(&x)?;
        let pooled = self.projection.as_ref().map(|p| self.pooled(&last, prompts)?.matmul(&p.t()?)).transpose()?;
        Ok(Encoded { before_last, last, pooled })
    }

    /// The vectors at the first end of each prompt.
    fn pooled(&self, last: &Tensor, prompts: &[&[u32]]) -> Result<Tensor> {
        let rows: Result<Vec<Tensor>> = prompts
            .iter()
            .enumerate()
            .map(|(i, p)| last.get(i)?.get(p.iter().position(|n| *n == END).unwrap_or(LENGTH - 1)))
            .collect();
        Tensor::stack(&rows?, 0)?.to_dtype(DType::F32)
    }

    pub fn device(&self) -> &Device {
        self.words.device()
    }
}
