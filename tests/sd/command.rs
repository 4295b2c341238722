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

#[test]
fn dream_paints_a_picture_from_another_one() {
    let folder = packed::unpack("sd15");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let case = safetensors::load(folder.path().join("case.safetensors"), &Device::Cpu).unwrap();
    npy(&folder.path().join("z.npy"), &case["z"]);
    let photo = case["photo"].squeeze(0).unwrap().permute((1, 2, 0)).unwrap().flatten_all().unwrap();
    let bytes: Vec<u8> = photo.to_vec1::<f32>().unwrap().iter().map(|v| (v * 127.5 + 127.5).round() as u8).collect();
    let picture = at("photo.png");
    image::RgbImage::from_raw(64, 48, bytes).unwrap().save(&picture).unwrap();
    let (model, z, raw) = (at(""), at("z.npy"), at("raw.safetensors"));
    let dream = |more: &[&str]| {
        let prompt = "A lighthouse, violet dusk";
        let arguments = ["dream", "--model", &model, "--prompt", prompt, "--scheduler", "ddim", "--steps", "5"];
        let raw_file = ["--guidance", "1", "--raw", &raw];
        wavedream(&[&arguments[..], &raw_file, more].concat())
            .map(|_| safetensors::load(&raw, &Device::Cpu).unwrap().remove("latent").unwrap())
    };
    let found = dream(&["--latent", &z, "--image", &picture, "--strength", "0.6"]).unwrap();
    let expected = &case["from_photo_latent"];
    let error = (&found - expected).unwrap().sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap()
        / expected.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
    // The photo's numbers are rounded to bytes.
    assert!(error.sqrt() < 0.02, "{}", error.sqrt());

    assert_eq!(dream(&["--seed", "1", "--image", &picture]).unwrap().dims(), [1, 4, 6, 8], "as large as the picture");
    let message = dream(&["--seed", "1", "--image", &at("case.json")]).unwrap_err();
    assert!(message.contains("case.json cannot be read as a picture"), "{message}");
    let message = dream(&["--seed", "1", "--strength", "0.5"]).unwrap_err();
    assert!(message.contains("--image"), "{message}");
}

/// Frames of a short film of a tiny model, and what was said about it.
fn film(model: &str, set: &[&str]) -> (Vec<Vec<u8>>, String) {
    let out = tempfile::tempdir().unwrap();
    let frames = out.path().join("frames");
    let mut arguments = vec!["render", "--model", model, "--seconds", "0.2", "--size", "64x64"];
    for setting in [&["/dream/size=256", "/dream/steps=2", "/dream/prompt=a sea"][..], set].concat() {
        arguments.extend(["--set", setting]);
    }
    let output =
        Command::new(env!("CARGO_BIN_EXE_wavedream")).args(&arguments).arg("-o").arg(&frames).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let mut files: Vec<_> = std::fs::read_dir(&frames).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    (files.iter().map(|f| std::fs::read(f).unwrap()).collect(), said)
}

#[test]
fn a_film_takes_sampler_decoder_loras_streams_and_feedback_from_the_table_and_repeats() {
    let folder = packed::unpack("sd15");
    let model = folder.path().display().to_string();
    let lora = format!("/dream/lora/2/file={}", folder.path().join("lora.safetensors").display());
    let (plain, _) = film(&model, &[]);
    assert_eq!(plain.len(), 6);
    for set in [
        &["/dream/scheduler=euler"][..],
        &["/dream/decoder=taesd"],
        &[lora.as_str(), "/dream/lora/2/strength=0.7"],
        &["/dream/stream=on"],
        &["/dream/feedback/strength=0.7", "/dream/feedback/zoom=1", "/dream/feedback/rotate=10"],
    ] {
        let (first, said) = film(&model, set);
        assert!(first != plain, "{set:?} changes the film");
        assert_eq!(film(&model, set).0, first, "{set:?}");
        assert!(!said.contains("WARN"), "{said}");
    }
    let (same, _) = film(&model, &[lora.as_str(), "/dream/lora/2/strength=0", "/dream/feedback/zoom=1"]);
    assert!(same == plain, "what is at 0 changes nothing");
}

#[test]
fn a_film_goes_on_without_a_lora_that_is_none_and_says_so_once() {
    let folder = packed::unpack("sd15");
    let model = folder.path().display().to_string();
    let (plain, _) = film(&model, &[]);
    let (found, said) = film(&model, &["/dream/lora/1/file=no/such.safetensors"]);
    assert!(found == plain);
    assert_eq!(said.matches("no/such.safetensors").count(), 1, "{said}");
}

#[test]
fn a_preset_whose_model_is_not_there_is_one_sentence_and_the_box_plays() {
    let out = tempfile::tempdir().unwrap();
    let frames = out.path().join("frames").display().to_string();
    let arguments = ["render", "--preset", "rat-brain", "--seconds", "0.1", "--size", "64x64"];
    let output = Command::new(env!("CARGO_BIN_EXE_wavedream")).args(arguments).args(["-o", &frames]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    // Somebody may have the model: then it plays.
    if !std::path::Path::new("stable-diffusion-v1-5").exists() {
        assert_eq!(said.matches("the model box plays instead").count(), 1, "{said}");
    }
    assert_eq!(std::fs::read_dir(&frames).unwrap().count(), 3);
}

#[test]
fn device_and_precision_are_options_and_parameters() {
    let folder = packed::unpack("sd15");
    let model = folder.path().display().to_string();
    let bench = |more: &[&str]| {
        let arguments = ["bench", "--model", &model, "--seconds", "0.1", "--size", "64x64", "--json"];
        let told = wavedream(&[&arguments[..], more].concat()).unwrap();
        let report: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert!(report["pictures_per_s"].as_f64().unwrap() > 0.0 && report["denoise"]["p50_ms"].is_number());
        format!("{} {}", report["device"].as_str().unwrap(), report["precision"].as_str().unwrap())
    };
    assert_eq!(bench(&["--device", "cpu"]), "cpu float32");
    assert_eq!(bench(&["--device", "plain", "--precision", "half"]), "plain half");

    let (exact, _) = film(&model, &[]);
    let (rough, _) = film(&model, &["/dream/precision=bfloat16"]);
    assert!(rough != exact, "a film is made as its parameters say");

    // The model in the box knows half precision, and no devices.
    let picture = folder.path().join("box.png").display().to_string();
    wavedream(&["dream", "--size", "64x64", "--precision", "half", "-o", &picture]).unwrap();
    let message = wavedream(&["dream", "--size", "64x64", "--device", "cpu", "-o", &picture]).unwrap_err();
    assert!(message.contains("leave --device out"), "{message}");

    let message = wavedream(&["dream", "--model", &model, "--device", "gpu"]).unwrap_err();
    assert!(message.contains("--device") && message.contains("auto, cpu, cuda"), "{message}");
    let message = wavedream(&["bench", "--device", "cuda"]).unwrap_err();
    assert!(message.contains("box") && message.contains("--device"), "{message}");
    if cfg!(not(feature = "cuda")) {
        let frames = folder.path().join("frames").display().to_string();
        for ask in [["--device", "cuda"], ["--set", "/dream/device=cuda"]] {
            let arguments = ["render", "--model", &model, "--seconds", "0.1", "-o", &frames];
            let message = wavedream(&[&arguments[..], &ask].concat()).unwrap_err();
            assert!(message.contains(&model) && message.contains("--features cuda"), "{message}");
        }
    }
}
