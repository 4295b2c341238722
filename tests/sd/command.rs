//! `wavedream dream` with Stable Diffusion: what scripts rely on.

use std::{path::Path, process::Command};

use candle_core::{Device, Tensor, safetensors};

use super::packed;

/// Writes a float32 .npy file.
fn npy(path: &Path, tensor: &Tensor) {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {:?}, }}\n", tensor.dims())
        .replace('[', "(")
        .replace(']', ")");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().flat_map(|v| v.to_le_bytes()));
    std::fs::write(path, bytes).unwrap();
}

fn wavedream(arguments: &[&str]) -> Result<String, String> {
    let out = Command::new(env!("CARGO_BIN_EXE_wavedream")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if out.status.success() { Ok(text(out.stdout)) } else { Err(text(out.stderr)) }
}

#[test]
fn dream_writes_the_latent_and_picture_that_diffusers_makes() {
    let folder = packed::unpack("sd15");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let case = safetensors::load(folder.path().join("case.safetensors"), &Device::Cpu).unwrap();
    npy(&folder.path().join("z.npy"), &case["z"]);
    npy(&folder.path().join("noise.npy"), &case["lcm_noise"]);
    let (model, z, noise, raw) = (at(""), at("z.npy"), at("noise.npy"), at("raw.safetensors"));
    let lora = format!("{}:0.7", at("lora.safetensors"));
    let prompt = "A lighthouse, violet dusk";
    for (more, expected) in [
        (&["--scheduler", "ddim", "--steps", "5", "--guidance", "1"][..], Some("ddim5_x4")),
        (&["--scheduler", "ddim", "--steps", "5", "--guidance", "7.5"], Some("cfg5")),
        (&["--scheduler", "euler", "--steps", "4", "--guidance", "1"], Some("turbo4_x3")),
        (&["--scheduler", "lcm", "--steps", "4", "--guidance", "1", "--noise", &noise], Some("lcm4_x3")),
        (&["--scheduler", "lcm", "--steps", "1", "--guidance", "1", "--decoder", "taesd", "--lora", &lora], None),
    ] {
        let arguments =
            [&["dream", "--model", &model, "--latent", &z, "--prompt", prompt, "--raw", &raw], more].concat();
        wavedream(&arguments).unwrap();
        let found = safetensors::load(&raw, &Device::Cpu).unwrap();
        assert_eq!(found["image"].dims(), [1, 3, 48, 64]);
        if let Some(expected) = expected {
            let difference = (&found["latent"] - &case[expected]).unwrap().sqr().unwrap().sum_all().unwrap();
            let norm = case[expected].sqr().unwrap().sum_all().unwrap();
            let error = (difference.to_scalar::<f32>().unwrap() / norm.to_scalar::<f32>().unwrap()).sqrt();
            assert!(error < 1e-3, "{expected}: {error}");
        }
    }
}

#[test]
fn a_lora_that_fits_nothing_is_an_error_that_names_it() {
    let folder = packed::unpack("sd15");
    let other = packed::unpack("sdxl");
    let lora = other.path().join("lora.safetensors");
    let tensors = safetensors::load(&lora, &Device::Cpu).unwrap();
    let strange = tensors.into_iter().map(|(n, t)| (n.replace("lora_unet_", "lora_unet_strange_"), t)).collect();
    safetensors::save(&strange, &lora).unwrap();
    let (model, lora) = (folder.path().display().to_string(), lora.display().to_string());
    let message = wavedream(&["dream", "--model", &model, "--seed", "1", "--lora", &lora]).unwrap_err();
    assert!(message.contains(&lora) && message.contains("fits no layer of"), "{message}");
}

#[test]
fn models_show_tells_what_a_folder_is() {
    let folder = packed::unpack("sd15");
    let shown = wavedream(&["models", "show", &folder.path().display().to_string()]).unwrap();
    assert!(shown.contains("million") && shown.contains("4 channels"), "{shown}");
}
