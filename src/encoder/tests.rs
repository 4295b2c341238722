//! The encoder against PyTorch, and files that are not whole.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Tokens by PyTorch, their input, and the encoder: by tests/encoder/make_reference.py.
fn reference() -> (Store, Vec<f32>, Tensor) {
    let store = load(&fixture("encoder_small.safetensors"), &Device::Cpu).unwrap();
    let input = store.tensors["reference.input"].flatten_all().unwrap().to_vec1().unwrap();
    let tokens = store.tensors["reference.tokens"].clone();
    (store, input, tokens)
}

/// Largest difference over the largest value.
fn relative_error(found: &Tensor, expected: &Tensor) -> f32 {
    let largest = |t: &Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    largest(&(found - expected).unwrap()) / largest(expected)
}

#[test]
fn the_tokens_are_those_of_pytorch() {
    let (store, input, expected) = reference();
    let net = Net::new(&store.shape().unwrap(), &store, &Device::Cpu).unwrap();
    let tokens = net.tokens(&input, &Device::Cpu).unwrap();
    assert_eq!(tokens.dims(), [16, 32]);
    let error = relative_error(&tokens, &expected);
    assert!(error < 1e-5, "{error}");
}

#[test]
fn the_positions_are_those_of_the_published_file() {
    let (mut store, _, _) = reference();
    let theirs = store.tensors.remove("pos_embed").unwrap().squeeze(0).unwrap();
    let ours = Tensor::from_vec(position::sin_cos(16, 32), (17, 32), &Device::Cpu).unwrap();
    assert!(relative_error(&ours, &theirs) < 1e-6);
}

#[test]
fn a_torch_checkpoint_with_a_pickled_class_gives_the_same_tokens() {
    let (store, input, expected) = reference();
    let checkpoint = load(&fixture("encoder_checkpoint.pth"), &Device::Cpu).unwrap();
    // A checkpoint does not tell its heads: those of the published encoder are taken, 16 for its 1024.
    let mut shape = checkpoint.shape().unwrap();
    assert_eq!((shape.channels, shape.window, shape.depth, shape.heads), (6, 64, 2, 16));
    shape.heads = store.shape().unwrap().heads;
    let net = Net::new(&shape, &checkpoint, &Device::Cpu).unwrap();
    assert!(relative_error(&net.tokens(&input, &Device::Cpu).unwrap(), &expected) < 1e-5);
}

#[test]
fn what_is_saved_is_read_again_with_its_head() {
    let (store, _, _) = reference();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/encoder.safetensors");
    let shape = store.shape().unwrap();
    save(&path, &store.tensors, &shape.metadata()).unwrap();
    assert_eq!(load(&path, &Device::Cpu).unwrap().shape().unwrap(), shape);
}

/// Why the file is refused, in a sentence that names it.
fn refusal(change: impl FnOnce(&mut Store)) -> String {
    let (mut store, _, _) = reference();
    change(&mut store);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.safetensors");
    save(&path, &store.tensors, &store.head).unwrap();
    let message = load(&path, &Device::Cpu).unwrap().shape().unwrap_err().to_string();
    assert!(message.starts_with(&path.display().to_string()) && !message.contains('\n'), "{message}");
    message
}

#[test]
fn missing_and_misshapen_tensors_and_heads_that_lie_are_named() {
    let missing = refusal(|s| drop(s.tensors.remove("blocks.1.attn.proj.bias")));
    assert!(missing.contains("lacks the tensors blocks.1.attn.proj.bias"), "{missing}");
    let short = Tensor::zeros(31, candle_core::DType::F32, &Device::Cpu).unwrap();
    let wrong = refusal(|s| drop(s.tensors.insert("norm.bias".into(), short)));
    assert!(wrong.contains("norm.bias is [31] and must be [32]"), "{wrong}");
    let lies = refusal(|s| drop(s.head.insert("channels".into(), "7".into())));
    assert!(lies.contains("says channels = 7 in its head, but its tensors say 6"), "{lies}");
    let newer = refusal(|s| drop(s.head.insert("version".into(), "2".into())));
    assert!(newer.contains("version 2"), "{newer}");
    let heads = refusal(|s| drop(s.head.insert("heads".into(), "5".into())));
    assert!(heads.contains("5 heads"), "{heads}");
}

#[test]
fn files_that_are_cut_off_or_something_else_are_refused_in_a_sentence() {
    let whole = std::fs::read(fixture("encoder_small.safetensors")).unwrap();
    let pickle = std::fs::read(fixture("encoder_checkpoint.pth")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (n, bytes) in
        [&whole[..5], &whole[..3000], &pickle[..3000], b"PK\x03\x04", b"", b"hello there"].iter().enumerate()
    {
        let path = folder.path().join(format!("{n}.safetensors"));
        std::fs::write(&path, bytes).unwrap();
        let message = load(&path, &Device::Cpu).unwrap_err().to_string();
        assert!(message.contains(&format!("{n}.safetensors is")) && !message.contains('\n'), "{message}");
    }
    let message = load(folder.path(), &Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("is a folder"), "{message}");
}
