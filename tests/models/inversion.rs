//! Learned words, beside diffusers' `load_textual_inversion` (fixtures/sd/inversion.py).

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use candle_core::{DType, Device, Tensor, safetensors};
use wavedream::diffusion::sd::{Blend, EmbeddingUse, Settings, StableDiffusion};

use super::{load, packed, relative};

const PROMPTS: [&str; 2] = ["A lighthouse, inkwash", "inkwash and violet, (inkwash)"];
/// Of a single pass, as everywhere.
const LIMIT: f64 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sd").join(name)
}

/// The file as it is published, without what diffusers made of it.
fn published(family: &str, to: &Path) -> Tensor {
    let mut tensors = safetensors::load(fixture(&format!("inversion_{family}.safetensors")), &Device::Cpu).unwrap();
    let expected = tensors.remove("case/embeds").unwrap();
    safetensors::save(&tensors, to).unwrap();
    expected
}

/// The first words' vectors of both prompts.
fn found(model: &StableDiffusion) -> Tensor {
    let rows: Vec<Tensor> =
        PROMPTS.iter().map(|p| model.embed(p, Blend::Linear).unwrap().words.narrow(1, 0, 12).unwrap()).collect();
    Tensor::cat(&rows, 0).unwrap()
}

#[test]
fn a_learned_word_in_embeddings_beside_the_model_is_what_diffusers_makes_of_it() {
    for family in ["sd15", "sdxl"] {
        let folder = packed::unpack(family);
        let before = found(&load(folder.path(), Settings::default()));
        std::fs::create_dir(folder.path().join("embeddings")).unwrap();
        let expected = published(family, &folder.path().join("embeddings/InkWash.safetensors"));
        let error = relative(&found(&load(folder.path(), Settings::default())), &expected);
        assert!(error <= LIMIT, "{family}: {error:.2e}");
        assert!(relative(&before, &expected) > 0.01, "{family}: the word changes nothing");
    }
}

#[test]
fn one_that_is_given_may_be_a_pickle_and_have_another_name() {
    let folder = packed::unpack("sd15");
    let expected = published("sd15", &folder.path().join("unused.safetensors"));
    for (path, name) in [("inversion.pt", Some("inkwash")), ("inversion.pt", Some("INKWASH"))] {
        let used = EmbeddingUse { path: fixture(path), name: name.map(str::to_owned) };
        let model = load(folder.path(), Settings { embeddings: vec![used], ..Settings::default() });
        let error = relative(&found(&model), &expected);
        assert!(error <= LIMIT, "{path}: {error:.2e}");
    }
    // As diffusers saves them: one tensor under its word.
    let word = safetensors::load(folder.path().join("unused.safetensors"), &Device::Cpu).unwrap();
    let word = HashMap::from([("inkwash".to_owned(), word["emb_params"].clone())]);
    let path = folder.path().join("learned_embeds.safetensors");
    safetensors::save(&word, &path).unwrap();
    let model =
        load(folder.path(), Settings { embeddings: vec![EmbeddingUse { path, name: None }], ..Settings::default() });
    assert!(relative(&found(&model), &expected) <= LIMIT);
}

#[test]
fn one_of_another_width_is_refused_if_it_was_given_and_left_out_if_it_only_lies_there() {
    let folder = packed::unpack("sd15");
    std::fs::create_dir(folder.path().join("embeddings")).unwrap();
    let path = folder.path().join("embeddings/wide.safetensors");
    let wide = Tensor::ones((1, 768), DType::F32, &Device::Cpu).unwrap();
    safetensors::save(&HashMap::from([("emb_params".to_owned(), wide)]), &path).unwrap();
    let before = found(&load(folder.path(), Settings::default()));
    std::fs::write(folder.path().join("embeddings/broken.pt"), b"\x80\x02c").unwrap();
    assert_eq!(relative(&found(&load(folder.path(), Settings::default())), &before), 0.0);
    let used = EmbeddingUse { path, name: None };
    let settings = Settings { embeddings: vec![used], ..Settings::default() };
    let pool = wavedream::kernels::Pool::new(1);
    let message = StableDiffusion::load(folder.path(), settings, &pool).err().unwrap().to_string();
    assert!(message.contains("of 768 numbers a word, and the model's words have 32"), "{message}");
}
