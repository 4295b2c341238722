//! What an encoder is made of: the sizes in the head of its file, or as its tensors tell them.

use std::collections::{BTreeMap, HashMap};

/// Sizes of an encoder. The full one is [`Shape::full`].
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Channels that it sees; other sources are tiled or cropped to so many.
    pub channels: usize,
    /// Samples a second that it sees.
    pub rate_hz: f64,
    /// Samples of each channel.
    pub window: usize,
    /// Samples of each channel that become one token.
    pub patch: usize,
    /// Numbers a token.
    pub width: usize,
    pub depth: usize,
    pub heads: usize,
    /// Width between the two layers of a block's perceptron; the facts of the published one: as wide as a token.
    pub hidden: usize,
}

/// Of our files.
pub const VERSION: &str = "1";
/// Of the published encoder: 440 samples at 1 kHz, interpolated to 512 (arXiv 2306.16934, section 4.1).
const PUBLISHED_RATE_HZ: f64 = 512.0 / 0.44;
const PUBLISHED_HEADS: usize = 16;
/// Bounds, so that a mistaken head is a sentence and not the end of the machine's memory.
const MOST: [(&str, usize); 6] =
    [("channels", 1024), ("window", 16384), ("patch", 1024), ("width", 4096), ("depth", 64), ("heads", 64)];
/// The signal room keeps the channels of a source for twelve seconds.
const MOST_SECS: f64 = 11.0;

impl Shape {
    /// The published encoder: 128 channels x 512 samples, 24 blocks of 1024.
    pub fn full() -> Self {
        Self {
            channels: 128,
            rate_hz: PUBLISHED_RATE_HZ,
            window: 512,
            patch: 4,
            width: 1024,
            depth: 24,
            heads: PUBLISHED_HEADS,
            hidden: 1024,
        }
    }

    pub fn tokens(&self) -> usize {
        self.window / self.patch
    }

    /// Numbers of the signal that one token sees.
    pub fn patch_values(&self) -> usize {
        self.channels * self.patch
    }

    /// Seconds of signal that it sees.
    pub fn secs(&self) -> f64 {
        self.window as f64 / self.rate_hz
    }

    /// What makes no encoder, as the end of a sentence.
    pub fn check(&self) -> Result<(), String> {
        let sizes = [self.channels, self.window, self.patch, self.width, self.depth, self.heads];
        if let Some(((name, most), is)) = MOST.iter().zip(sizes).find(|((_, most), is)| !(1..=*most).contains(is)) {
            return Err(format!("has {name} = {is}, where 1 to {most} is expected"));
        }
        if !self.window.is_multiple_of(self.patch) {
            return Err(format!(
                "has a window of {} samples, not a multiple of its patch of {}",
                self.window, self.patch
            ));
        }
        if !self.width.is_multiple_of(self.heads) || !self.width.is_multiple_of(2) {
            return Err(format!("has a width of {}, not even and a multiple of its {} heads", self.width, self.heads));
        }
        if self.hidden == 0 || self.hidden > 8 * MOST[3].1 {
            return Err(format!("has perceptrons of width {}", self.hidden));
        }
        if !(self.rate_hz.is_finite() && self.rate_hz > 0.0 && self.secs() <= MOST_SECS) {
            return Err(format!(
                "sees {} samples at {} Hz, where windows of up to {MOST_SECS} s are expected",
                self.window, self.rate_hz
            ));
        }
        Ok(())
    }

    /// The head of a file.
    pub fn metadata(&self) -> HashMap<String, String> {
        let entries = [
            ("wavedream", "encoder".to_owned()),
            ("version", VERSION.to_owned()),
            ("channels", self.channels.to_string()),
            ("rate", self.rate_hz.to_string()),
            ("window", self.window.to_string()),
            ("patch", self.patch.to_string()),
            ("width", self.width.to_string()),
            ("depth", self.depth.to_string()),
            ("heads", self.heads.to_string()),
        ];
        entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// From the tensors' sizes, with what only the head can say taken from it where it is there, or else as published.
    /// The error is the end of a sentence that begins with the file's name.
    pub fn read(head: &HashMap<String, String>, sizes: &BTreeMap<String, Vec<usize>>) -> Result<Self, String> {
        if let Some(version) = head.get("version").filter(|version| *version != VERSION) {
            return Err(format!("is an encoder of version {version}; this program reads version {VERSION}"));
        }
        let dims = |name: &str, count: usize| match sizes.get(name) {
            Some(dims) if dims.len() == count => Ok(dims.clone()),
            Some(dims) => Err(format!("has the tensor {name} with the sizes {dims:?}, where {count} are expected")),
            None => Err(format!(
                "lacks the tensor {name}, so it holds no signal encoder; `wavedream encoder pretrain` makes one"
            )),
        };
        let number = |key: &str, otherwise: f64| match head.get(key) {
            None => Ok(otherwise),
            Some(text) => text.parse::<f64>().map_err(|_| format!("says {key} = {text:?}, where a number belongs")),
        };
        let filters = dims("patch_embed.proj.weight", 3)?;
        let (width, channels, patch) = (filters[0], filters[1], filters[2]);
        let window = match sizes.get("pos_embed") {
            Some(_) => dims("pos_embed", 3)?[1].saturating_sub(1) * patch,
            None => number("window", 512.0)? as usize,
        };
        let blocks = (0..).take_while(|n| sizes.contains_key(&format!("blocks.{n}.norm1.weight"))).count();
        let hidden = dims("blocks.0.mlp.fc1.weight", 2)?[0];
        let shape = Self {
            channels,
            rate_hz: number("rate", PUBLISHED_RATE_HZ)?,
            window,
            patch,
            width,
            depth: blocks,
            heads: number("heads", PUBLISHED_HEADS as f64)? as usize,
            hidden,
        };
        let told = [("channels", channels), ("window", window), ("patch", patch), ("width", width), ("depth", blocks)];
        for (key, is) in told {
            if number(key, is as f64)? as usize != is {
                let said = head.get(key).map_or("", String::as_str);
                return Err(format!("says {key} = {said} in its head, but its tensors say {is}"));
            }
        }
        shape.check()?;
        Ok(shape)
    }

    /// Every tensor of an encoder by the name it has in the published one, with its sizes.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let width = self.width;
        let mut all = vec![
            ("patch_embed.proj.weight".to_owned(), vec![width, self.channels, self.patch]),
            ("patch_embed.proj.bias".to_owned(), vec![width]),
            ("norm.weight".to_owned(), vec![width]),
            ("norm.bias".to_owned(), vec![width]),
        ];
        for block in 0..self.depth {
            all.extend(block_tensors(&format!("blocks.{block}"), width, self.hidden));
        }
        all
    }
}

/// Of one block of the transformer, encoder's or decoder's.
pub fn block_tensors(name: &str, width: usize, hidden: usize) -> Vec<(String, Vec<usize>)> {
    let mut all = Vec::new();
    for norm in ["norm1", "norm2"] {
        for part in ["weight", "bias"] {
            all.push((format!("{name}.{norm}.{part}"), vec![width]));
        }
    }
    let layers = [
        ("attn.qkv", 3 * width, width),
        ("attn.proj", width, width),
        ("mlp.fc1", hidden, width),
        ("mlp.fc2", width, hidden),
    ];
    for (layer, outputs, inputs) in layers {
        all.push((format!("{name}.{layer}.weight"), vec![outputs, inputs]));
        all.push((format!("{name}.{layer}.bias"), vec![outputs]));
    }
    all
}
