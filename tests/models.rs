//! Model files as people have them: found by name, fetched from a hub, converted, refused with a sentence.
//!
//! The hub is a small server within these tests; nothing here needs a network.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on shall stop")]

#[path = "models/convert.rs"]
mod convert;
#[path = "models/fetch.rs"]
mod fetch;
#[path = "models/folders.rs"]
mod folders;
#[path = "models/hub.rs"]
mod hub;
#[path = "models/inversion.rs"]
mod inversion;
#[path = "models/names.rs"]
mod names;
#[path = "sd/packed.rs"]
mod packed;
#[path = "models/pickle.rs"]
mod pickle;

use std::{path::Path, process::Command};

use candle_core::{Device, Tensor};
use wavedream::{
    diffusion::sd::{Blend, Settings, StableDiffusion},
    kernels::Pool,
};

/// The program in an environment that knows nothing of this machine's own models.
fn wavedream(arguments: &[&str], home: &Path, more: &[(&str, &str)]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wavedream"));
    command.args(arguments).current_dir(home).env("HOME", home).env_remove("RUST_LOG");
    for name in [
        "XDG_DATA_HOME",
        "XDG_CACHE_HOME",
        "WAVEDREAM_MODELS",
        "HF_HOME",
        "HF_HUB_CACHE",
        "HF_TOKEN",
        "HF_ENDPOINT",
        "HF_HUB_OFFLINE",
        "HUGGINGFACE_HUB_CACHE",
        "HF_TOKEN_PATH",
        "TRANSFORMERS_OFFLINE",
    ] {
        command.env_remove(name);
    }
    let out = command.envs(more.iter().copied()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if out.status.success() { Ok(text(out.stdout)) } else { Err(text(out.stderr)) }
}

fn load(path: &Path, settings: Settings) -> StableDiffusion {
    StableDiffusion::load(path, settings, &Pool::new(2)).unwrap()
}

/// What a model answers to fixed noise and a prompt, and the picture that it decodes.
fn answers(model: &StableDiffusion) -> [Tensor; 2] {
    let noise: Vec<f32> = (0..4 * 6 * 8).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0) * 1.5).collect();
    let noise = Tensor::from_vec(noise, (1, 4, 6, 8), &Device::Cpu).unwrap();
    let text = model.embed("A lighthouse, violet dusk", Blend::Linear).unwrap();
    let ready = model.ready(&text, [6, 8]).unwrap();
    [model.answer(&noise, &[499.0], &ready, None).unwrap(), model.decode(&noise).unwrap()]
}

/// The norm of the difference over the norm of what was expected.
fn relative(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.shape(), expected.shape());
    let norm = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
    f64::from(norm(&(found - expected).unwrap()) / norm(expected))
}
