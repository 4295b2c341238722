//! What turns an encoder's tokens into what a picture is asked with.
//!
//! Two ways out. As in DreamDiffusion (arXiv 2306.16934, section 3.2) a channel mapper and a dimension mapper make context
//! tokens for cross-attention. The box has learnt from such tokens only what its scene says, and its genres act elsewhere:
//! so a second, small perceptron on the mean and deviation of the tokens says genres, mood and scene themselves.
//!
//! Stable Diffusion needs no second way: a head without genres ([`Targets::words`]) has the mappers alone, and what they
//! make stands in the place of the text.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use candle_core::{D, Result, Tensor};

use super::{
    Shape,
    layers::{Linear, Named, Norm, softmax},
    mappers::Mappers,
};

/// Context tokens that are made, and the mapper's width between.
pub const CONTEXT_TOKENS: usize = 8;
const CONTEXT_BETWEEN: usize = 16;
/// Of the perceptron.
const HIDDEN: usize = 64;
/// Dark to bright and calm to vivid.
const MOOD: usize = 2;

/// What is steered, by the names that the model gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    pub genres: Vec<String>,
    pub scene: Vec<String>,
    /// Numbers of a context token.
    pub context_width: usize,
}

impl Targets {
    /// Of a head that makes words for Stable Diffusion and nothing else.
    pub fn words(word_width: usize) -> Self {
        Self { genres: Vec::new(), scene: Vec::new(), context_width: word_width }
    }

    /// Whether the context is words for Stable Diffusion rather than tokens for the box.
    pub fn are_words(&self) -> bool {
        self.genres.is_empty()
    }

    pub fn write(&self, head: &mut HashMap<String, String>) {
        head.insert("head.genres".into(), self.genres.join(","));
        head.insert("head.scene".into(), self.scene.join(","));
        head.insert("head.context_width".into(), self.context_width.to_string());
    }

    /// The error is the end of a sentence that begins with the file's name.
    pub fn read(head: &HashMap<String, String>) -> std::result::Result<Self, String> {
        let words = |key: &str| -> Vec<String> {
            head.get(key).map_or("", String::as_str).split(',').filter(|w| !w.is_empty()).map(str::to_owned).collect()
        };
        let context_width = head.get("head.context_width").and_then(|width| width.parse().ok());
        match (words("head.genres"), context_width) {
            (genres, Some(context_width)) if !genres.is_empty() && (1..=4096).contains(&context_width) => {
                Ok(Self { genres, scene: words("head.scene"), context_width })
            }
            _ => Err("holds an encoder but no head that steers: `wavedream encoder align` makes one".to_owned()),
        }
    }

    /// Every tensor of the head, with its sizes.
    pub fn tensors(&self, shape: &Shape) -> Vec<(String, Vec<usize>)> {
        let outputs = self.genres.len() + MOOD + self.scene.len();
        let mut all = Vec::new();
        let mut dense = |name: &str, dims: Vec<usize>| {
            all.push((format!("head.{name}.bias"), vec![dims[0]]));
            all.push((format!("head.{name}.weight"), dims));
        };
        dense("channel_mapper.0", vec![CONTEXT_BETWEEN, shape.tokens()]);
        dense("channel_mapper.1", vec![CONTEXT_TOKENS, CONTEXT_BETWEEN]);
        dense("dim_mapper", vec![self.context_width, shape.width]);
        dense("norm", vec![2 * shape.width]);
        dense("fc1", vec![HIDDEN, 2 * shape.width]);
        dense("fc2", vec![outputs, HIDDEN]);
        all
    }
}

/// What a head says of windows, still on candle's tensors.
pub struct Said {
    /// (b, tokens, context width)
    pub context: Tensor,
    /// (b, genres), before they add to 1.
    pub genre_logits: Tensor,
    /// (b, 2): vivid, bright
    pub mood: Tensor,
    /// (b, scene)
    pub scene: Tensor,
    /// (b, 2 * width): mean and deviation of the tokens.
    pub pooled: Tensor,
}

/// A head on its tensors.
#[derive(Debug, Clone)]
pub struct Head {
    pub targets: Arc<Targets>,
    mappers: Mappers,
    norm: Norm,
    fc1: Linear,
    fc2: Linear,
}

impl Head {
    pub fn new(targets: Arc<Targets>, from: &impl Named) -> Result<Self> {
        let linear = |name: &str| Linear::new(from, &format!("head.{name}"));
        Ok(Self {
            targets,
            mappers: Mappers::new(from, "head")?,
            norm: Norm::new(from, "head.norm")?,
            fc1: linear("fc1")?,
            fc2: linear("fc2")?,
        })
    }

    /// Of an encoder's tokens (b, n, width).
    pub fn say(&self, tokens: &Tensor) -> Result<Said> {
        let context = self.mappers.forward(tokens)?;
        let mean = tokens.mean_keepdim(1)?;
        let deviation = (tokens.broadcast_sub(&mean)?.sqr()?.mean(1)? + 1e-5)?.sqrt()?;
        let pooled = Tensor::cat(&[&mean.squeeze(1)?, &deviation], D::Minus1)?;
        let y = self.fc2.forward(&self.fc1.forward(&self.norm.forward(&pooled)?)?.gelu_erf()?)?;
        let genres = self.targets.genres.len();
        let part = |from: usize, count: usize| y.narrow(D::Minus1, from, count)?.contiguous();
        Ok(Said {
            context,
            genre_logits: part(0, genres)?,
            mood: part(genres, MOOD)?.tanh()?,
            scene: part(genres + MOOD, self.targets.scene.len())?.tanh()?,
            pooled,
        })
    }
}

impl Said {
    /// Of one window: plain numbers.
    pub fn steering(&self, targets: &Arc<Targets>) -> Result<Steering> {
        let list = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
        let mood = list(&self.mood)?;
        Ok(Steering {
            genres: list(&softmax(&self.genre_logits)?)?,
            vivid: mood.first().copied().unwrap_or_default(),
            bright: mood.get(1).copied().unwrap_or_default(),
            scene: list(&self.scene)?,
            context: list(&self.context)?,
            targets: Arc::clone(targets),
        })
    }
}

/// What the signal asks of a picture at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Steering {
    pub targets: Arc<Targets>,
    /// In the order of the targets; they add to 1.
    pub genres: Vec<f32>,
    pub vivid: f32,
    pub bright: f32,
    pub scene: Vec<f32>,
    pub context: Vec<f32>,
}

impl Steering {
    /// Words for Stable Diffusion, as the mappers make them.
    pub fn of_words(words: &Tensor, targets: &Arc<Targets>) -> Result<Self> {
        Ok(Self {
            targets: Arc::clone(targets),
            genres: Vec::new(),
            vivid: 0.0,
            bright: 0.0,
            scene: Vec::new(),
            context: words.flatten_all()?.to_vec1()?,
        })
    }

    /// Goes this share of the way to another.
    pub fn glide_to(&mut self, goal: &Self, share: f32) {
        if self.targets != goal.targets || self.context.len() != goal.context.len() {
            self.clone_from(goal);
            return;
        }
        let glide = |now: &mut f32, goal: &f32| *now += share * (goal - *now);
        let lists =
            [(&mut self.genres, &goal.genres), (&mut self.scene, &goal.scene), (&mut self.context, &goal.context)];
        for (now, goal) in lists {
            now.iter_mut().zip(goal).for_each(|(now, goal)| glide(now, goal));
        }
        glide(&mut self.vivid, &goal.vivid);
        glide(&mut self.bright, &goal.bright);
    }

    /// Weight of a genre by its name.
    pub fn genre(&self, name: &str) -> f32 {
        let at = self.targets.genres.iter().position(|genre| genre == name);
        at.and_then(|at| self.genres.get(at)).copied().unwrap_or_default()
    }

    /// By name, for the scene values that are steered.
    pub fn scene_value(&self, name: &str) -> Option<f32> {
        let at = self.targets.scene.iter().position(|value| value == name)?;
        self.scene.get(at).copied()
    }
}

/// Tensors of two places: what is trained, over what stays.
pub struct Over<'a, A, B>(pub &'a A, pub &'a B);

impl<A: Named, B: Named> Named for Over<'_, A, B> {
    fn tensor(&self, name: &str) -> Result<Tensor> {
        self.0.tensor(name).or_else(|_| self.1.tensor(name))
    }
}

impl Named for BTreeMap<String, Tensor> {
    fn tensor(&self, name: &str) -> Result<Tensor> {
        self.get(name).cloned().ok_or_else(|| candle_core::Error::Msg(format!("there is no tensor {name}")))
    }
}
