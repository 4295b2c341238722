//! LoRAs: small changes to the weights of a checkpoint, W + strength * (alpha / rank) * up down.
//!
//! Two ways of naming are common. kohya's: `lora_unet_` or `lora_te_` and the layer's path with underscores (SD 1 and 2 by
//! diffusers' paths, SDXL by the original code's), `alpha` beside it. PEFT's and diffusers': `unet.` and the path with
//! dots, `lora_A` and `lora_B`, without alpha. A name is looked up in the model's own list and never guessed.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use candle_core::{Device, Tensor};

use super::{Delta, Mapped, Parts, Refusal, Tensors, ldm, name_of};

/// A LoRA and how strongly it works; 0 not at all, 1 as trained, negative the other way.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraUse {
    pub path: PathBuf,
    pub strength: f32,
}

impl LoraUse {
    /// `FILE` or `FILE:strength`; full strength where none is written.
    pub fn typed(text: &str) -> Self {
        let with_strength = text.rsplit_once(':').and_then(|(path, s)| Some((path, s.trim().parse::<f32>().ok()?)));
        let (path, strength) = with_strength.filter(|(_, s)| s.is_finite()).unwrap_or((text, 1.0));
        Self { path: PathBuf::from(path), strength }
    }
}

pub struct Lora {
    file: Arc<Mapped>,
    /// By the layer's name in the file.
    layers: BTreeMap<String, Layer>,
}

/// What a LoRA changes of a model.
pub struct Fit<'a> {
    /// Each layer, and what is added to it.
    pub layers: Vec<(&'a Place, Product)>,
    /// Names of what it has besides.
    pub left_out: Vec<String>,
}

/// The names of a layer's tensors in the file.
#[derive(Debug, Clone, Default)]
struct Layer {
    up: Option<String>,
    down: Option<String>,
    alpha: Option<String>,
    /// Something that this program cannot apply (LoHa, LoKr, DoRA, Tucker).
    other: bool,
}

/// Endings of names, and what they are: the longest first.
const ENDINGS: [(&str, char); 14] = [
    (".lora_A.default.weight", 'd'),
    (".lora_B.default.weight", 'u'),
    (".lora_linear_layer.down.weight", 'd'),
    (".lora_linear_layer.up.weight", 'u'),
    (".lora_down.weight", 'd'),
    (".lora_up.weight", 'u'),
    (".lora.down.weight", 'd'),
    (".lora.up.weight", 'u'),
    ("_lora.down.weight", 'd'),
    ("_lora.up.weight", 'u'),
    (".lora_A.weight", 'd'),
    (".lora_B.weight", 'u'),
    (".lora_mid.weight", 'o'),
    (".alpha", 'a'),
];

impl Lora {
    pub fn open(path: &Path) -> Result<Self, Refusal> {
        if let Some(what) = super::foreign::by_first_bytes(path) {
            return Err(Refusal::new(path, what));
        }
        let file = Arc::new(Mapped::open(path)?);
        let mut layers: BTreeMap<String, Layer> = BTreeMap::new();
        for name in file.names() {
            let Some((layer, kind)) = ENDINGS.iter().find_map(|(end, kind)| Some((name.strip_suffix(end)?, *kind)))
            else {
                if let Some((layer, _)) = name
                    .split_once(".hada_")
                    .or_else(|| name.split_once(".lokr_"))
                    .or_else(|| name.split_once(".dora_"))
                {
                    layers.entry(layer.to_owned()).or_default().other = true;
                }
                continue;
            };
            let entry = layers.entry(layer.to_owned()).or_default();
            match kind {
                'u' => entry.up = Some(name.to_owned()),
                'd' => entry.down = Some(name.to_owned()),
                'a' => entry.alpha = Some(name.to_owned()),
                _ => entry.other = true,
            }
        }
        layers.retain(|_, l| l.up.is_some() || l.down.is_some() || l.other);
        if layers.is_empty() {
            return Err(Refusal::new(
                path,
                "is not a LoRA (none of its tensors is named lora_up, lora_down, lora_A or lora_B)",
            ));
        }
        Ok(Self { file, layers })
    }

    /// Adds the LoRA to a checkpoint's tensors. Returns the layers that were left out.
    pub fn apply(&self, parts: &mut Parts, strength: f32) -> Result<Vec<String>, Refusal> {
        let places = Places::of(parts);
        let Fit { layers, left_out } = self.fit(&places)?;
        for (place, product) in layers {
            let tensors = match place.part {
                0 => Some(&mut parts.unet.0),
                1 => parts.text.as_mut().map(|t| &mut t.0),
                _ => parts.text_2.as_mut().map(|t| &mut t.0),
            };
            if let Some(tensors) = tensors {
                tensors.patch(&place.weight, Arc::new(Merged { product, strength }));
            }
        }
        Ok(left_out)
    }

    /// Finds the layers of a model that the LoRA changes; none is an error.
    pub fn fit<'a>(&self, places: &'a Places) -> Result<Fit<'a>, Refusal> {
        let (mut layers, mut left_out) = (Vec::new(), Vec::new());
        let path = &self.file.path;
        for (name, layer) in &self.layers {
            let place = places.known.get(&flat(name)).and_then(|i| places.all.get(*i));
            let (Some(place), Some(up), Some(down), false) = (place, &layer.up, &layer.down, layer.other) else {
                left_out.push(name.clone());
                continue;
            };
            let product = Product::new(&self.file, up, down, layer.alpha.as_deref());
            product.check(&place.shape, name).map_err(|what| Refusal::new(path, what))?;
            layers.push((place, product));
        }
        if layers.is_empty() {
            let first = self.layers.keys().next().cloned().unwrap_or_default();
            let what = format!(
                "fits no layer of {}: its first is {first}; use a LoRA made for this kind of model",
                places.model
            );
            return Err(Refusal::new(path, what));
        }
        if !left_out.is_empty() {
            tracing::warn!(
                "{} of {} layers of the LoRA {} fit nothing and are left out: {}",
                left_out.len(),
                self.layers.len(),
                name_of(path),
                left_out.iter().take(4).cloned().collect::<Vec<_>>().join(", ")
            );
        }
        Ok(Fit { layers, left_out })
    }
}

/// Names are compared without dots, and without what diffusers' old attention processors put in between.
fn flat(name: &str) -> String {
    let name = name.strip_prefix("base_model.model.").unwrap_or(name);
    let name = name.replace(".processor.", ".").replace("text_model.", "").replace("text_model_", "");
    let name = name.replace('.', "_");
    // The old processors call the output `to_out` without its number.
    match name.strip_suffix("_to_out") {
        Some(start) => format!("{start}_to_out_0"),
        None => name,
    }
}

/// A weight that a LoRA can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// 0 U-Net, 1 text model, 2 second text model.
    pub part: usize,
    pub weight: String,
    pub shape: Vec<usize>,
}

/// Every layer of a model that a LoRA can change.
pub struct Places {
    /// What the model is called in messages.
    model: String,
    all: Vec<Place>,
    /// Names in LoRA files, as [`flat`] has them, to places.
    known: HashMap<String, usize>,
}

impl Places {
    pub fn of(parts: &Parts) -> Self {
        let mut places =
            Self { model: format!("{} ({})", parts.name, parts.family.name()), all: Vec::new(), known: HashMap::new() };
        let numbering = ldm::Numbering { layers: parts.unet.1.layers, levels: parts.unet.1.channels.len() };
        for (layer, weight) in layers_of(&parts.unet.0) {
            let names = [Some(layer.to_owned()), ldm::unet_layer_back(layer, numbering)];
            let names: Vec<String> = names.into_iter().flatten().collect();
            places.add(0, &parts.unet.0, weight, &names, &["lora_unet.", "unet.", ""]);
        }
        let texts = [
            (1, parts.text.as_ref().map(|t| &t.0), &["lora_te.", "lora_te1.", "text_encoder."][..]),
            (2, parts.text_2.as_ref().map(|t| &t.0), &["lora_te2.", "text_encoder_2."][..]),
        ];
        for (part, tensors, prefixes) in texts {
            if let Some(tensors) = tensors {
                for (layer, weight) in layers_of(tensors) {
                    places.add(part, tensors, weight, &[layer.to_owned()], prefixes);
                }
            }
        }
        places
    }

    fn add(&mut self, part: usize, tensors: &Tensors, weight: &str, names: &[String], prefixes: &[&str]) {
        for name in names {
            for prefix in prefixes {
                self.known.insert(flat(&format!("{prefix}{name}")), self.all.len());
            }
        }
        let shape = tensors.shape(weight).unwrap_or_default();
        self.all.push(Place { part, weight: weight.to_owned(), shape });
    }
}

fn layers_of(tensors: &Tensors) -> impl Iterator<Item = (&str, &str)> {
    tensors.names().filter_map(|n| Some((n.strip_suffix(".weight")?, n)))
}

/// up times down, of one layer.
pub struct Product {
    file: Arc<Mapped>,
    up: String,
    down: String,
    /// alpha / rank
    pub factor: f32,
}

/// A product that is added to a weight while it is read.
struct Merged {
    product: Product,
    strength: f32,
}

impl Product {
    fn new(file: &Arc<Mapped>, up: &str, down: &str, alpha: Option<&str>) -> Self {
        let rank = file.shape(down).and_then(|s| s.first().copied()).unwrap_or(1).max(1) as f32;
        let alpha = alpha.and_then(|a| file.scalar(a)).unwrap_or(rank);
        Self { file: file.clone(), up: up.to_owned(), down: down.to_owned(), factor: alpha / rank }
    }

    /// (outputs, rank), and (rank, numbers of a layer's row). The error is the end of a sentence that begins with the
    /// file's name.
    pub fn halves(&self) -> Result<(Tensor, Tensor), String> {
        let (up, down) = (self.file.floats(&self.up)?, self.file.floats(&self.down)?);
        let rank = self.file.shape(&self.down).and_then(|s| s.first().copied()).unwrap_or(1).max(1);
        let both = || -> candle_core::Result<_> {
            let (rows, columns) = (up.len() / rank, down.len() / rank);
            let up = Tensor::from_slice(&up, (rows, rank), &Device::Cpu)?;
            Ok((up, Tensor::from_slice(&down, (rank, columns), &Device::Cpu)?))
        };
        both().map_err(|e| format!("cannot be read: {e}"))
    }

    /// Whether the product has as many numbers as the layer.
    fn check(&self, shape: &[usize], layer: &str) -> Result<(), String> {
        let (up, down) =
            (self.file.shape(&self.up).unwrap_or_default(), self.file.shape(&self.down).unwrap_or_default());
        let fits = up.len() >= 2
            && down.len() >= 2
            && up[1] == down[0]
            && up[2..].iter().all(|n| *n == 1)
            && shape.first() == up.first()
            && shape.iter().skip(1).product::<usize>() == down[1..].iter().product::<usize>();
        if fits {
            Ok(())
        } else {
            Err(format!("does not fit the model: its layer {layer} is {up:?} times {down:?}, the model's {shape:?}"))
        }
    }
}

impl Delta for Merged {
    fn add(&self, values: &mut [f32], _: &[usize]) -> Result<(), String> {
        let (up, down) = self.product.halves()?;
        let product = up.matmul(&down).and_then(|p| p.flatten_all()?.to_vec1::<f32>());
        let product = product.map_err(|e| format!("cannot be multiplied: {e}"))?;
        let factor = self.strength * self.product.factor;
        values.iter_mut().zip(product).for_each(|(v, p)| *v += factor * p);
        Ok(())
    }
}
