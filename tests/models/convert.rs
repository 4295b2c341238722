//! `wavedream models convert`: a folder or a checkpoint becomes one file that paints the same.

use std::{collections::HashMap, path::Path, process::Command};

use candle_core::{DType, Device, safetensors};
use wavedream::diffusion::sd::{self, Settings};

use super::{answers, load, packed, pickle::fixture, relative, wavedream};

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_folder_becomes_one_file_that_answers_the_same() {
    for family in ["sd15", "sd21", "sdxl"] {
        let folder = packed::unpack(family);
        // The unpacked folder lies in half precision; as float32 it shows what `--half` changes.
        widen(folder.path());
        let expected = answers(&load(folder.path(), Settings::default()));
        let elsewhere = tempfile::tempdir().unwrap();
        for (half, limit) in [(false, 0.0), (true, 2e-3)] {
            let out = elsewhere.path().join(format!("{family}-{half}.safetensors"));
            let done = sd::convert(folder.path(), &out, half, &mut |_, _| {}).unwrap();
            assert_eq!(done.bytes, std::fs::metadata(&out).unwrap().len());
            let model = load(&out, Settings::default());
            for (found, expected) in answers(&model).iter().zip(&expected) {
                let error = relative(found, expected);
                assert!(error <= limit, "{family} half {half}: {error:.2e}");
            }
            assert_eq!(model.schedule_config(), load(folder.path(), Settings::default()).schedule_config());
        }
    }
}

/// Weights that halves do not hold exactly.
fn widen(folder: &Path) {
    for part in ["unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model"] {
        let file = folder.join(format!("{part}.safetensors"));
        let tensors = safetensors::load(&file, &Device::Cpu).unwrap();
        let wide = |(n, t): (String, candle_core::Tensor)| (n, (t.to_dtype(DType::F32).unwrap() * 1.000_123).unwrap());
        safetensors::save(&tensors.into_iter().map(wide).collect::<HashMap<_, _>>(), &file).unwrap();
    }
}

#[test]
fn the_names_are_those_of_the_original_code() {
    for family in ["sd15", "sd21", "sdxl"] {
        let folder = packed::unpack(family);
        let out = folder.path().join("out.safetensors");
        sd::convert(folder.path(), &out, false, &mut |_, _| {}).unwrap();
        let [found, expected] = [&out, &folder.path().join("single_file.safetensors")].map(|path| {
            let tensors = safetensors::load(path, &Device::Cpu).unwrap();
            let mut all: Vec<_> = tensors.iter().map(|(n, t)| (n.clone(), t.dims().to_vec())).collect();
            all.sort();
            all
        });
        assert_eq!(found, expected, "{family}");
    }
}

#[test]
fn a_checkpoint_of_torch_becomes_a_file_with_its_tensors() {
    let home = tempfile::tempdir().unwrap();
    for name in ["zip.ckpt", "legacy.ckpt"] {
        let out = home.path().join(format!("{name}.safetensors"));
        let said =
            wavedream(&["models", "convert", &text(&fixture(name)), "-o", &text(&out)], home.path(), &[]).unwrap();
        assert!(said.contains("10 tensors") && said.contains("__main__.Settings"), "{said}");
        let tensors = safetensors::load(&out, &Device::Cpu).unwrap();
        assert_eq!(tensors["transposed"].to_vec2::<f32>().unwrap()[1], [1.0, 5.0, 9.0]);
        assert_eq!(tensors["whole"].to_vec1::<i64>().unwrap(), [3, -4]);
    }
}

/// Writes the tensors of a .safetensors file as torch.save does; needs Python with torch.
const AS_CHECKPOINT: &str = "
import sys, torch, safetensors.torch
tensors = safetensors.torch.load_file(sys.argv[1])
extra = {'model_ema.decay': torch.tensor(0.9), 'cond_stage_model.transformer.text_model.embeddings.position_ids': torch.arange(77)[None]}
unet = sys.argv[3]
torch.save(safetensors.torch.load_file(unet + '.safetensors'), unet + '.bin')
torch.save({'epoch': 1, 'state_dict': {**tensors, **extra}, 'optimizer_states': [{'m': torch.zeros(3)}]}, sys.argv[2])
";

#[test]
fn a_checkpoint_as_trainers_write_it_paints_after_conversion() {
    let folder = packed::unpack("sd15");
    let (single, ckpt) = (folder.path().join("single_file.safetensors"), folder.path().join("old model.ckpt"));
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let unet = folder.path().join("unet/diffusion_pytorch_model");
    let made = Command::new(python).args(["-c", AS_CHECKPOINT, &text(&single), &text(&ckpt), &text(&unet)]).output();
    if !made.is_ok_and(|out| out.status.success()) {
        println!("left out: Python with torch and safetensors is not here (PYTHON names another)");
        return;
    }
    let out = folder.path().join("new.safetensors");
    let done = sd::convert(&ckpt, &out, false, &mut |_, _| {}).unwrap();
    assert_eq!(done.left_out.len(), 2, "{:?}", done.left_out);
    let [found, expected] = [&out, &single].map(|path| answers(&load(path, Settings::default())));
    assert!(found.iter().zip(&expected).all(|(a, b)| relative(a, b) == 0.0));
    // A folder whose U-Net is only there as a pickle.
    std::fs::remove_file(unet.with_extension("safetensors")).unwrap();
    let out = folder.path().join("of folder.safetensors");
    sd::convert(folder.path(), &out, false, &mut |_, _| {}).unwrap();
    assert!(answers(&load(&out, Settings::default())).iter().zip(&expected).all(|(a, b)| relative(a, b) == 0.0));
}

#[test]
fn what_cannot_be_converted_is_said_and_nothing_is_left_behind() {
    let home = tempfile::tempdir().unwrap();
    let convert =
        |from: &str, out: &str| wavedream(&["models", "convert", from, "-o", out], home.path(), &[]).unwrap_err();
    let message = convert(&text(&fixture("program.ckpt")), "out.safetensors");
    assert!(message.contains("posix.system") && !home.path().join("taken.txt").exists(), "{message}");
    std::fs::write(home.path().join("there.safetensors"), "x").unwrap();
    assert!(convert(&text(&fixture("zip.ckpt")), "there.safetensors").contains("is there already"));
    assert!(convert("nothing.ckpt", "out.safetensors").contains("nothing.ckpt cannot be read"));
    assert!(convert(&text(&fixture("zip.ckpt")), "no/such/folder.safetensors").contains("cannot be written"));
    std::fs::create_dir(home.path().join("empty")).unwrap();
    assert!(convert("empty", "out.safetensors").contains("is a folder without unet/config.json"));
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}
