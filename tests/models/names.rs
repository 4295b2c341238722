//! One notion of a model by its name, wherever it lies.

use std::{collections::HashMap, path::Path};

use candle_core::{DType, Device, Tensor, safetensors};

use super::{
    hub::{COMMIT, Hub, REPO},
    packed, wavedream,
};

/// A home with a folder of models: a pipeline, a single file, a LoRA, an embedding.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let models = home.path().join(".local/share/wavedream/models");
    std::fs::create_dir_all(models.join("loras")).unwrap();
    std::fs::create_dir_all(models.join("embeddings")).unwrap();
    let folder = packed::unpack("sd15");
    std::fs::copy(folder.path().join("single_file.safetensors"), models.join("Night Sea.safetensors")).unwrap();
    std::fs::copy(folder.path().join("lora.safetensors"), models.join("loras/Thread.safetensors")).unwrap();
    let word = Tensor::ones((2, 32), DType::F32, &Device::Cpu).unwrap();
    let word = HashMap::from([("emb_params".to_owned(), word)]);
    safetensors::save(&word, models.join("embeddings/glow.safetensors")).unwrap();
    copy(folder.path(), &models.join("dawn"));
    home
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else if !["single_file.safetensors", "lora.safetensors"].iter().any(|n| path.ends_with(n)) {
            std::fs::copy(path, target).unwrap();
        }
    }
}

#[test]
fn models_of_the_users_folder_are_listed_with_kind_and_size_and_play_by_name() {
    let home = home();
    let said = wavedream(&["models", "list", "--json"], home.path(), &[]).unwrap();
    let list: serde_json::Value = serde_json::from_str(&said).unwrap();
    let entry = |name: &str| {
        list.as_array().unwrap().iter().find(|e| e["name"] == name).unwrap_or_else(|| panic!("no {name} in {said}"))
    };
    assert_eq!(entry("box")["kind"], "box");
    for (name, kind, paints) in [
        ("dawn", "SD 1.x", true),
        ("Night Sea", "SD 1.x", true),
        ("loras/Thread", "LoRA", false),
        ("embeddings/glow", "embedding", false),
    ] {
        assert_eq!((&entry(name)["kind"], &entry(name)["paints"]), (&kind.into(), &paints.into()), "{name}");
        assert!(entry(name)["bytes"].as_u64().unwrap() > 100, "{name}");
    }
    let plain = wavedream(&["models", "list"], home.path(), &[]).unwrap();
    assert!(plain.contains("Night Sea") && plain.contains("models fetch") && plain.contains("sd-turbo"), "{plain}");

    let dream = |more: &[&str]| {
        let arguments = [&["dream", "--size", "64x48", "--steps", "1", "--seed", "3"], more].concat();
        wavedream(&arguments, home.path(), &[])
    };
    for model in ["dawn", "Night Sea", "night sea.safetensors"] {
        dream(&["--model", model, "--lora", "thread:0.5", "--prompt", "glow"]).unwrap();
    }
    for (model, nearest) in [("dwan", "did you mean dawn?"), ("bx", "did you mean box?"), ("zzzz", "models list")] {
        let message = dream(&["--model", model]).unwrap_err();
        assert!(message.contains(nearest) && message.lines().count() == 1, "{message}");
    }
    let message = dream(&["--model", "sd-turbo"]).unwrap_err();
    assert!(message.contains("`wavedream models fetch sd-turbo` brings it"), "{message}");
}

#[test]
fn folders_can_be_named_by_the_environment() {
    let (home, other) = (tempfile::tempdir().unwrap(), home());
    let models = other.path().join(".local/share/wavedream/models").display().to_string();
    let said = wavedream(&["models", "show", "dawn"], home.path(), &[("WAVEDREAM_MODELS", &models)]).unwrap();
    assert!(said.contains("SD 1.x: paints what a prompt says in 20 steps"), "{said}");
    assert!(wavedream(&["models", "show", "dawn"], home.path(), &[]).unwrap_err().contains("no model or file"));
}

#[test]
fn parts_are_shown_for_what_they_need() {
    let home = home();
    let show = |name: &str| wavedream(&["models", "show", name], home.path(), &[]).unwrap();
    assert!(show("Thread").contains("needs      the kind of checkpoint it was made for, with --lora"));
    assert!(show("glow").contains("is a word for prompts: glow"));
}

#[test]
fn a_fetched_model_plays_by_its_name_with_the_licence_of_its_page() {
    let folder = packed::unpack("sd15");
    let home = tempfile::tempdir().unwrap();
    let bytes = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    // One file in a repository is the model.
    let hub = Hub::start(&[
        ("README.md", b"---\nlicense: mit\n---\n".to_vec()),
        ("tiny_turbo.safetensors", bytes("single_file.safetensors")),
    ]);
    let environment = [("HF_ENDPOINT", &*hub.address), ("HF_HUB_CACHE", &*home.path().display().to_string())]
        .map(|(k, v)| (k, v.to_owned()));
    let environment = environment.each_ref().map(|(k, v)| (*k, v.as_str()));
    let run = |arguments: &[&str]| wavedream(arguments, home.path(), &environment);
    run(&["models", "fetch", REPO]).unwrap();
    let said = run(&["models", "list"]).unwrap();
    assert!(said.contains("tester/tiny") && said.contains("SD 1.x Turbo"), "{said}");
    for name in [REPO, "tiny", "tester/tiny/tiny_turbo.safetensors", &format!("{REPO}@{}", &COMMIT[..8])] {
        let said = run(&["models", "show", name]).unwrap();
        assert!(said.contains("licence    mit") && said.contains("in one step"), "{name}: {said}");
    }
    run(&["dream", "--model", "tiny", "--size", "64x48", "--prompt", "sea"]).unwrap();
}
