//! What a file of the box must hold: its head, and each tensor of network.py by name and shape.

use super::{FACTOR, LATENT, MAX_STEPS, MULTIPLE, guides::GUIDES};
use crate::{
    diffusion::{Card, weights::Weights},
    latent::Shape,
};

/// Channels of the three levels, of the condition, of a context token, of the decoder and of the encoder.
pub(super) const LEVELS: [usize; 3] = [64, 128, 192];
pub(super) const CONDITION: usize = 128;
pub(super) const CONTEXT: usize = 64;
pub(super) const HEADS: usize = 4;
pub(super) const DECODER: [usize; 2] = [64, 32];
pub(super) const ENCODER: [usize; 2] = [64, 96];
/// Cosines and sines of the time.
pub(super) const TIME: usize = 16;
/// Blurs of the latent that are taller than wide: cells across and down.
pub(super) const TALL: [(f64, f64); 3] = [(1.0, 4.0), (2.0, 4.0), (4.0, 8.0)];
/// Channels of the denoiser's input: the noise, four round and three tall blurs of it, two coordinates, the guides, and the
/// estimate that the step before has made.
pub(super) const SEEN: usize = LATENT * (1 + 4 + TALL.len()) + 2 + GUIDES + LATENT;
/// Places of density and horizon among the scene's values: they act on what is seen.
pub(super) const DENSITY: usize = 2;
pub(super) const HORIZON: usize = 3;
/// Of each channel of the latent its mean and its moments across and down.
pub(super) const WHOLE: usize = 3 * LATENT;

/// The blocks that the condition modulates, with their channels, in the order in which they run.
pub(super) const BLOCKS: [(&str, usize); 6] = [
    ("enc0", LEVELS[0]),
    ("enc1", LEVELS[1]),
    ("mid0", LEVELS[2]),
    ("mid1", LEVELS[2]),
    ("dec1", LEVELS[1]),
    ("dec0", LEVELS[0]),
];

/// What the file says about itself.
pub(super) struct Head {
    pub genres: Vec<String>,
    pub scene: Vec<String>,
    pub sigmas: [f64; 4],
}

impl Head {
    /// Reads the head and compares all tensors; the error is the end of a sentence that begins with the file's name.
    pub fn check(weights: &Weights) -> Result<Self, String> {
        let entry = |key: &str| weights.metadata.get(key).map_or("", String::as_str);
        if entry("wavedream") != "box" {
            return Err(
                "is a safetensors file but not a model of wavedream (its head lacks wavedream = box)".to_owned()
            );
        }
        if entry("version") != "2" {
            let version = entry("version");
            return Err(format!(
                "is a model of version {version:?}; this program reads version 2: take the program that the model came with, or train it anew"
            ));
        }
        let words = |key: &str| entry(key).split(',').filter(|w| !w.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let sigmas: Option<Vec<f64>> = words("sigmas").iter().map(|s| s.parse().ok()).collect();
        let sigmas = sigmas.and_then(|s| <[f64; 4]>::try_from(s).ok()).filter(|s| s.iter().all(|s| *s > 0.0));
        let Some(sigmas) = sigmas else {
            return Err(format!("says sigmas = {:?}, where four numbers above 0 belong", entry("sigmas")));
        };
        let head = Self { genres: words("genres"), scene: words("scene"), sigmas };
        if head.genres.is_empty() {
            return Err("names no genres in its head".to_owned());
        }
        weights.compare(&tensors(head.genres.len(), head.scene.len()))?;
        Ok(head)
    }

    pub fn card(self, weights: &Weights) -> Card {
        Card {
            name: "box".to_owned(),
            genres: self.genres,
            scene: self.scene,
            context_width: CONTEXT,
            latent_channels: LATENT,
            factor: FACTOR,
            multiple: MULTIPLE,
            max_steps: MAX_STEPS,
            usual_steps: 1,
            reads_text: false,
            needs_signal: false,
            words: [0; 2],
            weights: weights.count(),
            bytes: 4 * weights.count() as u64,
        }
    }
}

/// A layer with a bias: its name, its outputs, its inputs and the side of its filter, if it is a convolution.
struct Layer {
    name: String,
    outputs: usize,
    inputs: usize,
    side: Option<usize>,
}

fn layers() -> Vec<Layer> {
    let mut all = Vec::new();
    let mut add = |name: &str, outputs, inputs, side| all.push(Layer { name: name.to_owned(), outputs, inputs, side });
    let [c0, c1, c2] = LEVELS;
    add("denoiser.time", CONDITION, TIME, None);
    add("denoiser.cond", CONDITION, CONDITION, None);
    add("denoiser.conv_in", c0, SEEN, Some(3));
    add("denoiser.conv_out", LATENT, c0, Some(3));
    for (block, c) in BLOCKS {
        add(&format!("denoiser.{block}.conv1"), c, c, Some(3));
        add(&format!("denoiser.{block}.conv2"), c, c, Some(3));
        add(&format!("denoiser.{block}.film"), 2 * c, CONDITION, None);
    }
    add("denoiser.down0", c1, 4 * c0, Some(1));
    add("denoiser.down1", c2, 4 * c1, Some(1));
    add("denoiser.up1", 4 * c1, c2, Some(1));
    add("denoiser.up0", 4 * c0, c1, Some(1));
    for (attention, context) in [("self_attention", c2), ("cross_attention", CONTEXT)] {
        add(&format!("denoiser.{attention}.q"), c2, c2, None);
        add(&format!("denoiser.{attention}.kv"), 2 * c2, context, None);
        add(&format!("denoiser.{attention}.out"), c2, c2, None);
    }
    let [d0, d1] = DECODER;
    add("decoder.conv_in", d0, LATENT, Some(3));
    add("decoder.features", d0, c0, Some(1));
    add("decoder.up", 4 * d1, d0, Some(1));
    add("decoder.conv_out", 48, d1, Some(3));
    let [e0, e1] = ENCODER;
    add("encoder.conv_in", e0, 48, Some(3));
    add("encoder.down", e1, 4 * e0, Some(1));
    add("encoder.conv_out", LATENT, e1, Some(3));
    let residuals = [("decoder.res0", d0), ("decoder.res1", d0), ("decoder.res2", d1), ("decoder.res3", d1)];
    for (name, c) in residuals.into_iter().chain([("encoder.res0", e0), ("encoder.res1", e1), ("encoder.res2", e1)]) {
        add(&format!("{name}.conv1"), c, c, Some(3));
        add(&format!("{name}.conv2"), c, c, Some(3));
    }
    all
}

fn tensors(genres: usize, scene: usize) -> Vec<(String, Vec<usize>)> {
    let mut all = vec![
        ("denoiser.genre.weight".to_owned(), vec![CONDITION, genres]),
        ("denoiser.gate.weight".to_owned(), vec![SEEN, genres]),
        ("denoiser.mood.weight".to_owned(), vec![CONDITION, 2]),
        ("denoiser.whole.weight".to_owned(), vec![CONDITION, WHOLE]),
        ("denoiser.null".to_owned(), vec![1, 1, CONTEXT]),
        ("denoiser.scene_name".to_owned(), vec![scene, CONTEXT]),
        ("denoiser.scene_value".to_owned(), vec![scene, CONTEXT]),
        ("encoder.mean".to_owned(), vec![LATENT]),
        ("encoder.std".to_owned(), vec![LATENT]),
    ];
    for attention in ["self_attention", "cross_attention"] {
        for part in ["weight", "bias"] {
            all.push((format!("denoiser.{attention}.norm.{part}"), vec![LEVELS[2]]));
        }
    }
    for layer in layers() {
        let mut shape = vec![layer.outputs, layer.inputs];
        shape.extend(layer.side.into_iter().flat_map(|side| [side, side]));
        all.push((format!("{}.weight", layer.name), shape));
        all.push((format!("{}.bias", layer.name), vec![layer.outputs]));
    }
    all
}

/// Operations of a picture: every layer at the places where it runs.
pub(super) fn flops(shape: Shape, steps: usize, genres: usize) -> u64 {
    let cells = (shape.height * shape.width) as u64;
    let mut denoiser = 2 * (CONDITION * (genres + 2 + WHOLE) + SEEN * genres) as u64;
    let mut decoder = 0;
    for layer in layers() {
        let side = layer.side.unwrap_or(1);
        let one = 2 * (layer.outputs * layer.inputs * side * side) as u64;
        let name = layer.name.as_str();
        let has = |part: &str| name.contains(part);
        match name {
            _ if has("encoder.") => {}
            _ if has("decoder.res2") || has("decoder.res3") || name == "decoder.conv_out" => decoder += one * cells * 4,
            _ if has("decoder.") => decoder += one * cells,
            // The only context token that is always there.
            _ if has("film") || has("time") || name == "denoiser.cond" || has("cross_attention.kv") => denoiser += one,
            _ if has("mid") || has("attention") || has("down1") || has("up1") => denoiser += one * cells / 16,
            _ if has("enc1") || has("dec1") || has("down0") || has("up0") => denoiser += one * cells / 4,
            _ => denoiser += one * cells,
        }
    }
    denoiser * steps as u64 + decoder
}
