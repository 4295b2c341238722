//! Folders as they are published: in shards, in half precision only, with what is missing or does not belong there.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use candle_core::{Device, Tensor, safetensors};
use wavedream::{
    diffusion::sd::{Settings, StableDiffusion},
    kernels::Pool,
};

use super::{answers, load, packed, relative};

const UNET: &str = "unet/diffusion_pytorch_model";

fn tensors(path: &Path) -> BTreeMap<String, Tensor> {
    safetensors::load(path, &Device::Cpu).unwrap().into_iter().collect()
}

/// Splits a part's file in two, with an index as diffusers writes it.
fn shard(folder: &Path, variant: &str) {
    let whole = folder.join(format!("{UNET}.safetensors"));
    let all = tensors(&whole);
    let mut map = serde_json::Map::new();
    for number in 1..=2 {
        let name = format!("diffusion_pytorch_model{variant}-0000{number}-of-00002.safetensors");
        let half: HashMap<String, Tensor> = all
            .iter()
            .enumerate()
            .filter(|(i, _)| i % 2 + 1 == number)
            .map(|(_, (n, t))| (n.clone(), t.clone()))
            .collect();
        map.extend(half.keys().map(|n| (n.clone(), name.clone().into())));
        safetensors::save(&half, folder.join("unet").join(&name)).unwrap();
    }
    let index = serde_json::json!({"metadata": {"total_size": 1}, "weight_map": map});
    let name = format!("diffusion_pytorch_model.safetensors.index{variant}.json");
    std::fs::write(folder.join("unet").join(name), index.to_string()).unwrap();
    std::fs::remove_file(whole).unwrap();
}

fn refusal(folder: &Path) -> String {
    let message =
        StableDiffusion::load(folder, Settings::default(), &Pool::new(1)).err().expect("a refusal").to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn shards_and_half_precision_variants_are_the_same_model() {
    let folder = packed::unpack("sd15");
    let expected = answers(&load(folder.path(), Settings::default()));
    let same = |folder: &Path, what: &str| {
        let found = answers(&load(folder, Settings::default()));
        assert!(found.iter().zip(&expected).all(|(a, b)| relative(a, b) == 0.0), "{what}");
    };
    for variant in ["", ".fp16"] {
        let folder = packed::unpack("sd15");
        shard(folder.path(), variant);
        same(folder.path(), variant);
    }
    for part in [UNET, "vae/diffusion_pytorch_model", "text_encoder/model"] {
        let file = |variant: &str| folder.path().join(format!("{part}{variant}.safetensors"));
        std::fs::rename(file(""), file(".fp16")).unwrap();
    }
    same(folder.path(), "fp16 in every part");
}

#[test]
fn a_missing_shard_and_an_index_that_leads_out_of_the_folder_are_told() {
    let folder = packed::unpack("sd15");
    shard(folder.path(), "");
    let index = folder.path().join("unet/diffusion_pytorch_model.safetensors.index.json");
    let text = std::fs::read_to_string(&index).unwrap();
    std::fs::write(&index, text.replacen("diffusion_pytorch_model-00001", "../../other", 1)).unwrap();
    assert!(refusal(folder.path()).contains("outside its folder"));
    std::fs::write(&index, text).unwrap();
    std::fs::remove_file(folder.path().join("unet/diffusion_pytorch_model-00002-of-00002.safetensors")).unwrap();
    assert!(refusal(folder.path()).contains("-00002-of-00002.safetensors cannot be read"));
}

#[test]
fn a_folder_of_pickles_is_told_the_way_and_converts() {
    let folder = packed::unpack("sd15");
    let whole = folder.path().join(format!("{UNET}.safetensors"));
    std::fs::remove_file(&whole).unwrap();
    std::fs::write(whole.with_extension("bin"), b"PK\x03\x04").unwrap();
    assert!(
        refusal(folder.path()).contains("`wavedream models convert` makes one .safetensors file of the whole folder")
    );
}

#[test]
fn heads_that_promise_more_than_there_is_take_no_memory() {
    let tensor =
        |shape: &str, to: &str| format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{to}]}}}}"#);
    let with_len = |len: u64, head: &str| [&len.to_le_bytes()[..], head.as_bytes()].concat();
    let whole = |head: String| with_len(head.len() as u64, &head);
    for (what, bytes) in [
        ("a head of all memory", with_len(u64::MAX, "{}")),
        ("a head longer than the file", with_len(90_000_000, "{}")),
        ("a shape beyond numbers", whole(tensor("[4294967296,4294967296,4]", "4"))),
        ("more numbers than bytes", whole(tensor("[1000000000000]", "4000000000000"))),
        ("offsets backwards", whole(tensor("[1]", "0").replace("[0,0]", "[4,0]"))),
        ("brackets in brackets", whole("[".repeat(100_000))),
    ] {
        let file = tempfile::NamedTempFile::with_suffix(".safetensors").unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let message = wavedream::diffusion::load(&file.path().display().to_string()).err().expect(what).to_string();
        assert!(message.contains("is not a whole safetensors file") && !message.contains('\n'), "{what}: {message}");
    }
}
