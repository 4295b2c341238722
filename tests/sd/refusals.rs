//! Files that are not played: each is named for what it is, with what to do, in one sentence.

use std::{collections::HashMap, path::Path};

use candle_core::{DType, Device, Tensor, safetensors};
use wavedream::diffusion;

use super::packed;

fn refusal(path: &Path) -> String {
    let name = path.display().to_string();
    let message = diffusion::load(&name).err().expect("a refusal").to_string();
    let message = message.strip_prefix(&name).unwrap_or_else(|| panic!("{message}")).trim().to_owned();
    assert!(!message.contains('\n'), "{message}");
    message
}

fn tensors(shapes: &[(&str, &[usize])]) -> tempfile::NamedTempFile {
    let tensor = |(name, shape): &(&str, &[usize])| {
        ((*name).to_owned(), Tensor::zeros(*shape, DType::F32, &Device::Cpu).unwrap())
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    safetensors::save(&shapes.iter().map(tensor).collect::<HashMap<_, _>>(), file.path()).unwrap();
    file
}

#[test]
fn a_file_of_another_kind_is_named_for_what_it_is() {
    for (name, shape, what) in [
        (
            "lora_unet_down_blocks_0_resnets_0_conv1.lora_up.weight",
            &[4_usize, 2][..],
            "is a LoRA, not a model; give the checkpoint",
        ),
        ("unet.mid_block.attentions.0.proj_in.lora_A.weight", &[4, 2], "is a LoRA"),
        ("double_blocks.0.img_attn.qkv.weight", &[4, 2], "is a Flux model"),
        ("model.diffusion_model.double_blocks.0.img_attn.qkv.weight", &[4, 2], "is a Flux model"),
        ("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", &[4, 2], "is a Stable Diffusion 3 model"),
        (
            "model.diffusion_model.input_blocks.0.0.weight",
            &[8, 9, 3, 3],
            "is an inpainting model (its U-Net takes a mask, 9 channels",
        ),
        ("conv_in.weight", &[8, 9, 3, 3], "is an inpainting model"),
        ("model.diffusion_model.input_blocks.0.0.weight", &[8, 4, 3, 3], "has a U-Net but no text model"),
        ("control_model.input_hint_block.0.weight", &[1], "is a ControlNet"),
        ("emb_params", &[2, 768], "is a textual inversion embedding"),
        ("decoder.mid.block_1.conv1.weight", &[1], "is a decoder (VAE) alone"),
        ("text_model.encoder.layers.0.mlp.fc1.weight", &[1], "is a CLIP text model alone"),
    ] {
        let message = refusal(tensors(&[(name, shape)]).path());
        assert!(message.contains(what), "{name}: {message}");
    }
}

#[test]
fn a_pickle_is_never_executed_and_a_wrong_download_is_told() {
    for (bytes, what) in [
        (&b"PK\x03\x04archive/data.pkl"[..], "is a pickle"),
        (b"\x80\x02}q\x00X\n\x00\x00\x00state_dict", "is a pickle"),
        (b"GGUF\x03\x00\x00\x00", "is a GGUF file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a pointer of Git LFS"),
        (b"\n<!DOCTYPE html><html>", "is a web page"),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let message = refusal(file.path());
        assert!(message.contains(what), "{message}");
    }
}

#[test]
fn a_folder_that_is_none_of_a_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(refusal(folder.path()).contains("is a folder without unet/config.json"));
    std::fs::write(folder.path().join("model_index.json"), r#"{"_class_name": "FluxPipeline"}"#).unwrap();
    assert!(refusal(folder.path()).contains("is a Flux model"));
}

/// Changes a tensor of a part of a committed model and tells what the loader says.
fn with_changed(part: &str, change: impl Fn(&mut HashMap<String, Tensor>)) -> String {
    let folder = packed::unpack("sd15");
    let file = folder.path().join(part);
    let mut tensors = safetensors::load(&file, &Device::Cpu).unwrap();
    change(&mut tensors);
    safetensors::save(&tensors, &file).unwrap();
    refusal(folder.path())
}

#[test]
fn missing_extra_and_misshapen_tensors_are_listed_by_name() {
    let message = with_changed("unet/diffusion_pytorch_model.safetensors", |tensors| {
        tensors.remove("conv_in.bias");
        tensors.insert("extra.weight".to_owned(), Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap());
        tensors.insert("conv_out.bias".to_owned(), Tensor::zeros(5, DType::F32, &Device::Cpu).unwrap());
    });
    let expected = "lacks unet.conv_in.bias; it has besides unet.extra.weight; it has in the wrong shape \
                    unet.conv_out.bias (is [5], must be [4])";
    assert_eq!(message, expected);
}

#[test]
fn missing_tensors_beyond_the_first_are_counted() {
    let message = with_changed("vae/diffusion_pytorch_model.safetensors", |tensors| {
        tensors.retain(|name, _| !name.starts_with("decoder.up_blocks.1."));
    });
    assert!(message.starts_with("lacks vae.decoder.up_blocks.1.") && message.contains(" more"), "{message}");
}

#[test]
fn numbers_that_are_none_are_told_with_their_tensor() {
    let message = with_changed("unet/diffusion_pytorch_model.safetensors", |tensors| {
        let spoilt = Tensor::from_slice(&[1.0_f32, f32::NAN, 0.0, 0.0], 4, &Device::Cpu).unwrap();
        tensors.insert("conv_out.bias".to_owned(), spoilt);
    });
    assert_eq!(message, "holds infinite or missing numbers in conv_out.bias");
}

#[test]
fn a_file_cut_short_is_told_and_nothing_panics() {
    let folder = packed::unpack("sd15");
    let whole = std::fs::read(folder.path().join("single_file.safetensors")).unwrap();
    for len in [0, 5, 8, 100, whole.len() / 2, whole.len() - 1] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &whole[..len]).unwrap();
        assert!(refusal(file.path()).contains("is not a whole safetensors file"), "{len}");
    }
}
