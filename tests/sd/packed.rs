//! Unpacks a committed case into a diffusers folder with a LoRA and a single file beside it, as they lie on a disk.

use std::{collections::HashMap, path::Path};

use candle_core::{DType, Device, Tensor, safetensors};
use serde_json::Value;

/// Word embeddings as CLIP has them; words that the case does not use are zeros.
const WORDS: usize = 49_408;

pub fn unpack(family: &str) -> tempfile::TempDir {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/sd/{family}.safetensors"));
    let bytes = std::fs::read(&path).unwrap();
    let (_, head) = ::safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let files = head.metadata().clone().unwrap();
    let mut packed = safetensors::load(&path, &Device::Cpu).unwrap();
    let words = packed.remove("words").unwrap().to_vec1::<i64>().unwrap();
    for (name, tensor) in &mut packed {
        if name.ends_with("token_embedding.weight") {
            *tensor = spread(tensor, &words);
        }
    }

    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (name, text) in files.iter().filter(|(name, _)| name.ends_with(".json")) {
        std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        std::fs::write(at(name), text).unwrap();
    }
    let under = |prefix: &str| -> HashMap<String, Tensor> {
        packed.iter().filter_map(|(n, t)| Some((n.strip_prefix(prefix)?.to_owned(), t.clone()))).collect()
    };
    for part in ["unet", "vae", "taesd", "text_encoder", "text_encoder_2"] {
        let tensors = under(&format!("weights/{part}/"));
        if !tensors.is_empty() {
            let name = if part.starts_with("text") { "model" } else { "diffusion_pytorch_model" };
            safetensors::save(&tensors, at(&format!("{part}/{name}.safetensors"))).unwrap();
        }
    }
    safetensors::save(&under("case/"), at("case.safetensors")).unwrap();
    let floats =
        under("lora/").into_iter().map(|(n, t)| (n, t.to_dtype(DType::F32).unwrap())).collect::<HashMap<_, _>>();
    safetensors::save(&floats, at("lora.safetensors")).unwrap();
    safetensors::save(&single(&files["single"], &packed), at("single_file.safetensors")).unwrap();
    folder
}

fn spread(rows: &Tensor, words: &[i64]) -> Tensor {
    let (_, width) = rows.dims2().unwrap();
    let rows = rows.to_dtype(DType::F32).unwrap().to_vec2::<f32>().unwrap();
    let mut all = vec![0.0_f32; WORDS * width];
    for (row, word) in rows.iter().zip(words) {
        all[*word as usize * width..][..width].copy_from_slice(row);
    }
    Tensor::from_vec(all, (WORDS, width), &Device::Cpu).unwrap().to_dtype(DType::F16).unwrap()
}

/// The single file, as its description says.
fn single(description: &str, packed: &HashMap<String, Tensor>) -> HashMap<String, Tensor> {
    let list: Vec<(String, String, Vec<String>, String)> =
        serde_json::from_value(serde_json::from_str::<Value>(description).unwrap()).unwrap();
    let tensor = |(name, part, sources, how): (String, String, Vec<String>, String)| {
        let sources: Vec<&Tensor> = sources.iter().map(|s| &packed[&format!("weights/{part}/{s}")]).collect();
        let first = sources[0];
        let tensor = match how.as_str() {
            "as is" => first.clone(),
            "stacked" => Tensor::cat(&sources, 0).unwrap(),
            "transposed" => first.t().unwrap().contiguous().unwrap(),
            "1x1" => first.unsqueeze(2).unwrap().unsqueeze(3).unwrap(),
            other => panic!("{other}"),
        };
        (name, tensor)
    };
    list.into_iter().map(tensor).collect()
}
