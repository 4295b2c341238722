//! The few hot operations of the models on the CPU. All `unsafe` and SIMD of the program is in this room.
//!
//! Activations lie in blocks of 16 channels, `[channels / 16][row][pixel][16]`, with a border of zeros ([`Grid`]): a
//! pixel of a block is one cache line, the step from pixel to pixel is a constant of the instruction, and the border
//! saves every test for the edge. One micro-kernel ([`tile`]) keeps up to 14 pixels x 2 blocks of results in registers
//! and runs over a list of segments (a tap of the filter, 16 input channels); 3x3 convolutions, 2x2 with stride 2,
//! 1x1, linear layers and both products of attention are different lists of segments for it. 3x3 convolutions of
//! maps that are not small go through Winograd's transform, whose products run on the same tile. Numbers are float32, or
//! halves of which a pair is as wide ([`Element`]). What follows a convolution (bias,
//! modulation, activation, residual, pixel-shuffle, conversion to bytes) happens on the tile while it is in the
//! first-level cache.
//!
//! Everything here runs on the thread that calls it and on the workers of its [`Pool`].

#![allow(clippy::needless_range_loop, reason = "registers, pixels and taps are counted; several arrays share an index")]

mod attention;
mod band;
mod candle_threads;
mod conv;
#[cfg(feature = "cuda")]
pub mod cuda;
mod floats;
mod fused;
mod gate;
mod grid;
mod group_norm;
mod instructions;
mod lanes;
mod maps;
mod mark;
mod norm;
mod number;
mod pool;
mod portable;
mod recorded;
mod tile;
mod tokens;
mod winograd;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use attention::{Attention, Keys, attend};
pub use band::Band;
pub use candle_threads::keep_candle_on_its_thread;
pub use conv::{Activation, Affine, Conv, Conv3, ConvShape, Finish, Makes, Plus, Tap, Target};
pub use floats::Floats;
pub use fused::{Coming, Fused};
pub use gate::gate;
pub use grid::{Element, Form, Grid, Row};
pub use group_norm::GroupNorm;
pub use instructions::Instructions;
pub use maps::{Map, Maps};
pub use mark::Mark;
pub use norm::LayerNorm;
pub use number::{Formulas, Number, Sixteen};
pub use pool::{Pool, physical_cores};
pub use recorded::{Recordings, apart_from_recordings};
pub use tokens::Parts;
pub use winograd::{Tiles, Winograd};
