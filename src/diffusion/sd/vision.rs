//! CLIP's image model: a picture to the vector that stands for it beside texts. Training compares with it what a signal
//! shall look like; nothing that plays needs it.
//!
//! After transformers' CLIPVisionModelWithProjection (Radford et al. 2021, arXiv 2103.00020) and its CLIPImageProcessor:
//! the shorter side brought to the model's by a bicubic filter, the middle cut out, each channel less its mean.

use std::path::Path;

use candle_core::{Device, Result, Tensor};
use image::{DynamicImage, imageops::FilterType};

use super::{
    files::{Json, Refusal, Tensors, weights},
    layers::{At, Engine, LayerNorm},
    text::{Activation, Layer},
};
use crate::{
    diffusion::device::Place,
    kernels::{Instructions, Pool},
};

/// Of red, green, blue, as all CLIP models were trained.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const DEVIATION: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];
const CHANNELS: usize = 3;

/// What its configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Config {
    /// Pixels a side of the picture that it sees, and of a patch.
    side: usize,
    patch: usize,
    width: usize,
    inner: usize,
    layers: usize,
    heads: usize,
    activation: Activation,
}

/// The model, ready to look.
pub struct Vision {
    config: Config,
    /// (1, 1, width)
    class: Tensor,
    /// (width, 3 x patch x patch)
    patches: Tensor,
    /// (1 + patches, width)
    places: Tensor,
    before: LayerNorm,
    layers: Vec<Layer>,
    after: LayerNorm,
    /// (numbers, width)
    projection: Tensor,
}

impl Vision {
    /// From a folder of transformers (config.json beside .safetensors): of the image model, of a whole CLIP, or one that
    /// holds `image_encoder/`.
    pub fn open(folder: &Path, pool: &Pool) -> std::result::Result<Self, Refusal> {
        let part = folder.join("image_encoder");
        let folder = if part.is_dir() { part } else { folder.to_owned() };
        let json = Json::read(&folder.join("config.json"))?.ok_or_else(|| {
            Refusal::new(
                &folder,
                "holds no config.json; give the folder of a CLIP image model (config.json, model.safetensors)",
            )
        })?;
        let config =
            Config::of(&json.part("vision_config").unwrap_or(json)).map_err(|what| Refusal::new(&folder, what))?;
        let files = weights(&folder)?;
        // Beside it a whole CLIP has its text model.
        let of_vision = |name: &str| name.starts_with("vision_model.") || name.starts_with("visual_projection.");
        let tensors = Tensors::of(&files, |n| (of_vision(n) && !n.ends_with("position_ids")).then(|| n.to_owned()));
        Self::new(&tensors, config, pool, &folder)
    }

    fn new(tensors: &Tensors, config: Config, pool: &Pool, path: &Path) -> std::result::Result<Self, Refusal> {
        let engine = Engine::new(pool, Instructions::best(), Place::cpu());
        let root = At::root(tensors, &engine);
        let Config { side, patch, width, inner, heads, activation, .. } = config;
        let across = side / patch;
        let numbers = tensors.size("visual_projection.weight", 0);
        if numbers == 0 {
            return Err(Refusal::new(path, "holds no CLIP image model (it has no visual_projection)"));
        }
        let at = root.at("vision_model");
        let embeddings = at.at("embeddings");
        let layer = |i: usize| Layer::new(&at.at(format!("encoder.layers.{i}")), width, inner, heads, activation);
        let build = || {
            Result::Ok(Self {
                class: embeddings.get("class_embedding", &[width]).reshape((1, 1, width))?,
                patches: embeddings
                    .get("patch_embedding.weight", &[width, CHANNELS, patch, patch])
                    .reshape((width, CHANNELS * patch * patch))?,
                places: embeddings.get("position_embedding.weight", &[1 + across * across, width]),
                // Spelt so.
                before: LayerNorm::new(&at.at("pre_layrnorm"), width),
                layers: (0..config.layers).map(layer).collect(),
                after: LayerNorm::new(&at.at("post_layernorm"), width),
                projection: root.get("visual_projection.weight", &[numbers, width]),
                config: config.clone(),
            })
        };
        let built = build().map_err(|e| Refusal::new(path, format!("cannot be built: {e}")))?;
        tensors.check("image_encoder", path)?;
        Ok(built)
    }

    /// Numbers of the vector for a picture.
    pub fn numbers(&self) -> usize {
        self.projection.dim(0).unwrap_or(0)
    }

    /// What stands for a picture.
    pub fn see(&self, picture: &DynamicImage) -> Result<Vec<f32>> {
        self.forward(&self.prepared(picture)?)?.flatten_all()?.to_vec1()
    }

    /// (1, 3, side, side): the middle of a picture as the model sees it.
    pub fn prepared(&self, picture: &DynamicImage) -> Result<Tensor> {
        let side = self.config.side as u32;
        let (width, height) = (picture.width().max(1), picture.height().max(1));
        // The shorter side fits; the longer one is rounded down, as transformers does.
        let short = u64::from(width.min(height));
        let brought = |n: u32| ((u64::from(n) * u64::from(side) / short) as u32).max(side);
        let picture = picture.resize_exact(brought(width), brought(height), FilterType::CatmullRom);
        let (left, top) = ((picture.width() - side) / 2, (picture.height() - side) / 2);
        let cut = picture.crop_imm(left, top, side, side).to_rgb8();
        let value = |channel: usize| {
            let cut = &cut;
            cut.pixels().map(move |p| (f32::from(p.0[channel]) / 255.0 - MEAN[channel]) / DEVIATION[channel])
        };
        let values: Vec<f32> = (0..CHANNELS).flat_map(value).collect();
        Tensor::from_vec(values, (1, CHANNELS, side as usize, side as usize), &Device::Cpu)
    }

    /// (b, 3, side, side) -> (b, numbers)
    pub fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let Config { side, patch, width, .. } = self.config;
        let (batch, across) = (pixels.dim(0)?, side / patch);
        let patches = pixels
            .reshape(vec![batch, CHANNELS, across, patch, across, patch])?
            .permute(vec![0, 2, 4, 1, 3, 5])?
            .contiguous()?
            .reshape((batch * across * across, CHANNELS * patch * patch))?;
        let patches = patches.matmul(&self.patches.t()?)?.reshape((batch, across * across, width))?;
        let class = self.class.broadcast_as((batch, 1, width))?.contiguous()?;
        let x = Tensor::cat(&[&class, &patches], 1)?.broadcast_add(&self.places)?;
        let mut x = self.before.forward(&x)?;
        for layer in &self.layers {
            x = layer.forward(&x, None)?;
        }
        let class = x.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?;
        self.after.forward(&class)?.matmul(&self.projection.t()?)
    }
}

impl Config {
    /// The error is the end of a sentence that begins with the folder's name.
    fn of(json: &Json) -> std::result::Result<Self, String> {
        let size = |key: &str| {
            json.size(key)
                .filter(|n| *n > 0)
                .ok_or_else(|| format!("has no {key} in its configuration of an image model"))
        };
        let config = Self {
            side: size("image_size")?,
            patch: size("patch_size")?,
            width: size("hidden_size")?,
            inner: size("intermediate_size")?,
            layers: size("num_hidden_layers")?,
            heads: size("num_attention_heads")?,
            activation: match json.text("hidden_act") {
                Some("quick_gelu") | None => Activation::QuickGelu,
                Some("gelu") => Activation::Gelu,
                Some(other) => return Err(format!("has an image model with {other}; gelu and quick_gelu are known")),
            },
        };
        let Self { side, patch, width, heads, .. } = config;
        if !side.is_multiple_of(patch) || !width.is_multiple_of(heads) || side > 4096 {
            return Err(format!(
                "has an image model that cannot be built ({side} pixels in patches of {patch}, {width} wide, {heads} heads)"
            ));
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, path::PathBuf};

    use super::*;

    fn fixture() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clip_vision")
    }

    fn reference() -> HashMap<String, Tensor> {
        candle_core::safetensors::load(fixture().join("reference.safetensors"), &Device::Cpu).unwrap()
    }

    fn relative(found: &Tensor, expected: &Tensor) -> f32 {
        let norm = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
        norm(&(found - expected).unwrap()) / norm(expected)
    }

    #[test]
    fn pictures_are_seen_as_transformers_sees_them() {
        let (vision, case) = (Vision::open(&fixture(), &Pool::new(2)).unwrap(), reference());
        let error = relative(&vision.forward(&case["pixels"]).unwrap(), &case["embeds"]);
        assert!(error < 1e-5, "{error}");
        assert_eq!(vision.numbers(), 12);
        for n in 0..2 {
            let picture = &case[&format!("picture_{n}")];
            let (height, width, _) = picture.dims3().unwrap();
            let bytes = picture.flatten_all().unwrap().to_vec1::<u8>().unwrap();
            let picture = image::RgbImage::from_raw(width as u32, height as u32, bytes).unwrap().into();
            let prepared = vision.prepared(&picture).unwrap().squeeze(0).unwrap();
            // Both round what they resize to bytes, each in its own way.
            let error = relative(&prepared, &case[&format!("prepared_{n}")]);
            assert!(error < 0.01, "picture {n}: {error}");
            let seen = Tensor::new(vision.see(&picture).unwrap(), &Device::Cpu).unwrap();
            let error = relative(&seen, &case[&format!("seen_{n}")]);
            assert!(error < 0.01, "picture {n}: {error}");
        }
    }

    #[test]
    fn a_folder_without_an_image_model_is_refused_in_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let refused = || Vision::open(folder.path(), &Pool::new(1)).err().unwrap().to_string();
        assert!(refused().contains("holds no config.json"));
        let config = std::fs::read_to_string(fixture().join("config.json")).unwrap();
        let write = |text: &str| std::fs::write(folder.path().join("config.json"), text).unwrap();
        write(&config);
        assert!(refused().contains("holds no .safetensors file"));
        std::fs::copy(fixture().join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
        write(&config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"));
        assert!(refused().contains("lacks image_encoder.vision_model.encoder.layers.2."), "{}", refused());
        write(&config.replace("\"patch_size\": 8", "\"patch_size\": 7"));
        assert!(refused().contains("32 pixels in patches of 7"), "{}", refused());
    }
}
