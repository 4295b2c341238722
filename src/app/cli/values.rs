//! Values as they are typed: sizes, shapes, weights, seconds.

use std::str::FromStr;

use crate::{
    diffusion::device::{DeviceChoice, Precision},
    remote::{HTTP_PORT, Listen, OSC_PORT, Token},
};

/// Width and height in pixels, `1280x720`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub width: usize,
    pub height: usize,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match numbers(text)[..] {
            [width, height] if width.max(height) <= MAX_PX => Ok(Self { width, height }),
            [_, _] => Err(format!("at most {MAX_PX} each way")),
            _ => Err("write width x height in pixels, such as 1280x720".into()),
        }
    }
}

/// The largest texture that every graphics adapter of wgpu's default limits has.
const MAX_PX: usize = 8192;

/// A name and how much of it, `coral:0.5`.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighted {
    pub name: String,
    pub weight: f32,
}

impl FromStr for Weighted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, weight) = text.split_once(':').unwrap_or((text, "1"));
        match weight.parse() {
            Ok(weight) if (0.0..=1.0).contains(&weight) && !name.is_empty() => Ok(Self { name: name.into(), weight }),
            _ => Err("write a genre, or a genre and its weight from 0 to 1, such as coral:0.5".into()),
        }
    }
}

/// Where a model computes; `plain` is for tests and told nowhere.
pub(super) fn device(text: &str) -> Result<DeviceChoice, String> {
    text.parse()
}

pub(super) fn precision(text: &str) -> Result<Precision, String> {
    Precision::named(text).ok_or_else(|| format!("write {}", Precision::NAMES.map(|(name, _)| name).join(", ")))
}

pub(super) fn secs(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(secs) if secs.is_finite() && secs > 0.0 => Ok(secs),
        _ => Err("write a number of seconds above 0, such as 2.5".into()),
    }
}

pub(super) fn share(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("write a number from 0 to 1, such as 0.6".into()),
    }
}

/// A moment of signal time; whether a source has it is for the source to say.
pub(super) fn moment(text: &str) -> Result<f64, String> {
    text.parse::<f64>().ok().filter(|secs| secs.is_finite()).ok_or_else(|| "write seconds, such as 1.0".into())
}

pub(super) fn osc(text: &str) -> Result<Listen, String> {
    Listen::parse(text, OSC_PORT).map_err(|error| error.to_string())
}

pub(super) fn http(text: &str) -> Result<Listen, String> {
    Listen::parse(text, HTTP_PORT).map_err(|error| error.to_string())
}

pub(super) fn token(text: &str) -> Result<Token, String> {
    Token::new(text).map_err(|error| error.to_string())
}

/// The whole numbers above 0 between the x's; none at all if one of them is something else.
fn numbers(text: &str) -> Vec<usize> {
    text.split(['x', 'X', '×'])
        .map(|number| number.trim().parse().ok().filter(|number| *number > 0))
        .collect::<Option<_>>()
        .unwrap_or_default()
}
