//! DreamDiffusion beside PyTorch: a checkpoint as its trainer saves it, converted, and every stage from the window of a
//! signal to the picture. Fixtures by fixtures/dreamdiffusion/make.py.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use candle_core::{Device, Tensor, safetensors};
use wavedream::{
    Stamp,
    diffusion::{
        Conditioning, Model, SignalWords,
        sd::{self, Blend, Embedded, Sampler, Settings, StableDiffusion, Text, Way},
    },
    encoder::{self, Net, mappers::Mappers},
    kernels::Pool,
    latent::{Latent, Shape, npy},
};

use super::packed;

/// Relative errors: a single pass, a run of steps.
const PASS: f64 = 1e-4;
const RUN: f64 = 1e-3;
const KIND: &str = "DreamDiffusion (Stable Diffusion 1.x steered by a signal)";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dreamdiffusion").join(name)
}

fn reference() -> HashMap<String, Tensor> {
    safetensors::load(fixture("reference.safetensors"), &Device::Cpu).unwrap()
}

/// The checkpoint as one file, in a folder with nothing else.
fn converted() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("steered.safetensors");
    sd::convert(&fixture("checkpoint.pth"), &out, false, &mut |_, _| {}).unwrap();
    (folder, out)
}

fn load(path: &Path) -> StableDiffusion {
    StableDiffusion::load(path, Settings::default(), &Pool::new(2)).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The norm of the difference over the norm of what was expected.
fn relative(found: &[f32], expected: &Tensor) -> f64 {
    let expected = numbers(expected);
    assert_eq!(found.len(), expected.len());
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(&expected).map(|(a, b)| f64::from(a - b)));
    difference / norm(&mut expected.iter().map(|b| f64::from(*b)))
}

fn near(what: &str, found: &[f32], expected: &Tensor, limit: f64) {
    let error = relative(found, expected);
    println!("{what}: {error:.2e}");
    assert!(error <= limit, "{what}: relative error {error:.2e}");
}

fn noise(z: &Tensor) -> Latent {
    let (_, channels, height, width) = z.dims4().unwrap();
    Latent { stamp: Stamp::start(), shape: Shape { channels, height, width }, values: Arc::from(numbers(z)) }
}

fn signal(words: &Tensor, weight: f32) -> Option<SignalWords> {
    let width = *words.dims().last().unwrap();
    Some(SignalWords { values: Arc::from(numbers(words)), width, weight })
}

fn by(sampler: Sampler) -> Way {
    Way { sampler: Some(sampler), ..Way::default() }
}

/// Every stage of a folder's checkpoint and case; its encoder has so many heads.
fn goes_from_signal_to_picture(folder: &Path, heads: usize) {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("steered.safetensors");
    sd::convert(&folder.join("checkpoint.pth"), &file, false, &mut |_, _| {}).unwrap();
    let case = safetensors::load(folder.join("reference.safetensors"), &Device::Cpu).unwrap();
    let store = encoder::load(&file, &Device::Cpu).unwrap();
    let net = Net::new(&store.shape().unwrap(), &store, &Device::Cpu).unwrap();
    assert_eq!(net.shape.heads, heads, "as the settings pickled beside the tensors say");
    let tokens = net.tokens(&numbers(&case["window"]), &Device::Cpu).unwrap();
    near("tokens", &numbers(&tokens), &case["tokens"], PASS);
    let mappers = Mappers::new(&store, "head").unwrap();
    let words = mappers.forward(&tokens.unsqueeze(0).unwrap()).unwrap();
    near("words", &numbers(&words), &case["words"], PASS);

    let mut model = load(&file);
    let z = &case["z"];
    let (_, _, h, w) = z.dims4().unwrap();
    let ready = model.ready(&Embedded { words: words.clone(), pooled: None }, [h, w]).unwrap();
    for timestep in [999_u16, 499, 1] {
        let answer = model.answer(z, &[f32::from(timestep)], &ready, None).unwrap();
        near(&format!("eps_{timestep}"), &numbers(&answer), &case[&format!("eps_{timestep}")], PASS);
    }
    // Rows of a batch, each at a timestep of its own, all with the same words.
    let both = Tensor::cat(&[z, z], 0).unwrap();
    let answer = model.answer(&both, &[999.0, 1.0], &ready, None).unwrap();
    near("first row", &numbers(&answer.narrow(0, 0, 1).unwrap()), &case["eps_999"], PASS);
    near("second row", &numbers(&answer.narrow(0, 1, 1).unwrap()), &case["eps_1"], PASS);

    let mut with = Conditioning { signal: signal(&words, 1.0), text: Some(Text::default()), ..Conditioning::default() };
    let raw = model.generate_raw(&noise(z), &with, 20).unwrap();
    near("PLMS, 20 steps", &raw.latent, &case["plms20"], RUN);
    near("picture", &raw.image, &case["image"], RUN);
    with.way = by(Sampler::Ddim);
    near("DDIM, 5 steps", &model.generate_raw(&noise(z), &with, 5).unwrap().latent, &case["ddim5"], RUN);
}

#[test]
fn a_converted_checkpoint_goes_from_signal_to_picture_as_pytorch_does() {
    goes_from_signal_to_picture(&fixture(""), 4);
}

/// For one that is too large to be committed: the published sizes, by make.py with a folder.
#[test]
#[ignore = "needs DREAMDIFFUSION_CASE"]
fn a_checkpoint_of_the_published_sizes_goes_from_signal_to_picture_as_pytorch_does() {
    let folder = std::env::var("DREAMDIFFUSION_CASE").expect("DREAMDIFFUSION_CASE names a folder");
    goes_from_signal_to_picture(Path::new(&folder), 16);
}

#[test]
fn the_branch_is_added_to_the_timestep_and_a_file_without_it_answers_otherwise() {
    let (folder, file) = converted();
    let case = reference();
    let mut tensors = safetensors::load(&file, &Device::Cpu).unwrap();
    let before = tensors.len();
    tensors.retain(|name, _| !name.contains("time_embed_condtion"));
    assert_eq!(before - tensors.len(), 6);
    let without = folder.path().join("without.safetensors");
    safetensors::save(&tensors, &without).unwrap();
    let model = load(&without);
    let z = &case["z"];
    let (_, _, h, w) = z.dims4().unwrap();
    let ready = model.ready(&Embedded { words: case["words"].unsqueeze(0).unwrap(), pooled: None }, [h, w]).unwrap();
    let error = relative(&numbers(&model.answer(z, &[999.0], &ready, None).unwrap()), &case["eps_999"]);
    assert!(error > 0.02, "{error}");
}

#[test]
fn without_a_text_model_a_prompt_changes_nothing_and_that_is_told_once() {
    let (_folder, file) = converted();
    let case = reference();
    let mut model = load(&file);
    let ask = |prompt: &str, guidance| Conditioning {
        signal: signal(&case["words"], 1.0),
        text: Some(Text { prompt: prompt.to_owned(), guidance, ..Text::default() }),
        ..Conditioning::default()
    };
    let latent = noise(&case["z"]);
    let plain = model.generate_raw(&latent, &ask("", None), 2).unwrap().latent;
    assert!(model.notes().is_empty());
    for _ in 0..2 {
        let prompted = model.generate_raw(&latent, &ask("a lighthouse", Some(7.5)), 2).unwrap().latent;
        assert!(prompted == plain);
    }
    let notes = model.notes();
    assert!(notes.len() == 1 && notes[0].contains("has no text model, so nothing reads the prompt"), "{notes:?}");
    // Words of another size are told and leave the picture to the rest.
    let mut misfit = ask("", None);
    misfit.signal = signal(&Tensor::ones((77, 5), candle_core::DType::F32, &Device::Cpu).unwrap(), 1.0);
    let mut nothing = ask("", None);
    nothing.signal = None;
    let found = model.generate_raw(&latent, &misfit, 2).unwrap().latent;
    assert!(found == model.generate_raw(&latent, &nothing, 2).unwrap().latent && found != plain);
    let notes = model.notes();
    assert!(notes.len() == 1 && notes[0].contains("makes 77 words of 5 numbers"), "{notes:?}");
}

#[test]
fn words_of_a_signal_take_the_place_of_the_text_by_their_weight() {
    let folder = packed::unpack("sd15");
    let mut model = load(folder.path());
    let case = safetensors::load(folder.path().join("case.safetensors"), &Device::Cpu).unwrap();
    let latent = noise(&case["z"]);
    let mut paint = |prompt: &str, words: Option<SignalWords>| {
        let text = Text { prompt: prompt.to_owned(), guidance: Some(3.0), ..Text::default() };
        let with = Conditioning { signal: words, text: Some(text), way: by(Sampler::Ddim), ..Conditioning::default() };
        model.generate_raw(&latent, &with, 2).unwrap().latent
    };
    let other = load(folder.path()).embed("ink on paper", Blend::Linear).unwrap().words;
    let of_text = paint("A lighthouse", None);
    let of_signal = paint("ink on paper", None);
    assert!(of_text != of_signal);
    assert!(paint("A lighthouse", signal(&other, 0.0)) == of_text);
    // Words that are those of another text paint what that text paints, and half of each what the blend of both paints.
    assert!(paint("A lighthouse", signal(&other, 1.0)) == of_signal);
    let half = Tensor::new(paint("A lighthouse::1 | ink on paper::1", None), &Device::Cpu).unwrap();
    near("half", &paint("A lighthouse", signal(&other, 0.5)), &half, 1e-5);
    assert!(paint("A lighthouse", None) == of_text, "and back");
}

#[test]
fn a_checkpoint_that_would_call_a_program_is_refused_and_not_converted() {
    let mut bytes = std::fs::read(fixture("checkpoint.pth")).unwrap();
    let class = b"cconfig\nConfig_Generative_Model\n";
    let at = bytes.windows(class.len()).position(|w| w == class).unwrap();
    bytes[at + 1..at + 7].copy_from_slice(b"shutil");
    let folder = tempfile::tempdir().unwrap();
    let (bad, out) = (folder.path().join("bad.pth"), folder.path().join("out.safetensors"));
    std::fs::write(&bad, bytes).unwrap();
    let message = sd::convert(&bad, &out, false, &mut |_, _| {}).unwrap_err().to_string();
    assert!(message.contains("wants to call shutil.Config_Generative_Model") && !out.exists(), "{message}");
    let message = encoder::load(&bad, &Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("wants to call shutil"), "{message}");
}

#[test]
fn checkpoints_whose_parts_do_not_fit_are_refused_by_name() {
    let (folder, file) = converted();
    let refused = |change: &dyn Fn(&mut HashMap<String, Tensor>)| {
        let mut tensors = safetensors::load(&file, &Device::Cpu).unwrap();
        change(&mut tensors);
        let path = folder.path().join("changed.safetensors");
        safetensors::save(&tensors, &path).unwrap();
        StableDiffusion::load(&path, Settings::default(), &Pool::new(1)).err().expect("a refusal").to_string()
    };
    let zeros = |sizes: &[usize]| Tensor::zeros(sizes, candle_core::DType::F32, &Device::Cpu).unwrap();
    let message = refused(&|t| drop(t.remove("cond_stage_model.dim_mapper.weight")));
    assert!(message.contains("lacks cond_stage_model.dim_mapper.weight"), "{message}");
    let message = refused(&|t| drop(t.insert("cond_stage_model.dim_mapper.weight".into(), zeros(&[20, 32]))));
    assert!(message.contains("words of 20 numbers, its U-Net takes words of 24"), "{message}");
    let message = refused(&|t| drop(t.insert("cond_stage_model.channel_mapper.1.weight".into(), zeros(&[70, 8, 1]))));
    assert!(message.contains("70 words come to its U-Net, whose branch takes 77"), "{message}");
    let bias = "model.diffusion_model.time_embed_condtion.1.bias";
    let message = refused(&|t| drop(t.remove(bias)));
    assert!(message.contains("lacks unet.time_embed_condtion.1.bias"), "{message}");
}

fn wavedream(arguments: &[&str]) -> (bool, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_wavedream")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (out.status.success(), text(out.stdout), text(out.stderr))
}

#[test]
fn the_command_line_converts_shows_and_paints_from_words_tokens_and_signals_alike() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let case = reference();
    let (model, raw) = (at("steered.safetensors"), at("raw.safetensors"));
    let (good, said, _) =
        wavedream(&["models", "convert", &fixture("checkpoint.pth").display().to_string(), "-o", &model]);
    assert!(good && said.contains(KIND) && said.contains("config (config.Config_Generative_Model)"), "{said}");
    assert!(said.contains("1 tensors of the image model"), "{said}");
    let (_, shown, _) = wavedream(&["models", "show", &model]);
    assert!(shown.contains(KIND), "{shown}");

    let z = numbers(&case["z"]);
    let sizes = |t: &Tensor| t.dims().to_vec();
    npy::write_array(Path::new(&at("z.npy")), &sizes(&case["z"]), &z).unwrap();
    for name in ["words", "tokens"] {
        npy::write_array(Path::new(&at(&format!("{name}.npy"))), &sizes(&case[name]), &numbers(&case[name])).unwrap();
    }
    // Samples by channels, as recordings are.
    let samples = case["window"].t().unwrap().contiguous().unwrap();
    npy::write_array(Path::new(&at("signal.npy")), &sizes(&samples), &numbers(&samples)).unwrap();
    let recording = format!("{}?rate=1000", at("signal.npy"));
    let (words, tokens) = (at("words.npy"), at("tokens.npy"));
    let dream = |more: &[&str]| {
        let fixed = ["dream", "--model", &model, "--latent", &at("z.npy"), "--steps", "20", "--raw", &raw];
        wavedream(&[&fixed[..], more].concat())
    };
    for more in [&["--cond", &words][..], &["--cond", &tokens], &["--source", &recording, "--raw-input"]] {
        let (good, _, said) = dream(more);
        assert!(good && !said.contains("WARN"), "{said}");
        let found = safetensors::load(&raw, &Device::Cpu).unwrap();
        near(&more.join(" "), &numbers(&found["latent"]), &case["plms20"], RUN);
        near(&more.join(" "), &numbers(&found["image"]), &case["image"], RUN);
    }
    // Less weight is another picture, and every sampler paints one of its own: a thousand times what is left above.
    let mut seen = Vec::new();
    for more in [
        &["--set", "/encoder/amount=0.5"][..],
        &["--scheduler", "ddim"],
        &["--scheduler", "euler"],
        &["--scheduler", "lcm"],
    ] {
        assert!(dream(&[&["--cond", &words], more].concat()).0, "{more:?}");
        seen.push(numbers(&safetensors::load(&raw, &Device::Cpu).unwrap()["latent"]));
        assert!(relative(seen.last().unwrap(), &case["plms20"]) > 1e-4, "{more:?}");
    }
    let (good, _, said) = dream(&["--cond", &words, "--prompt", "a lighthouse"]);
    assert!(good && said.matches("nothing reads the prompt").count() == 1, "{said}");
    let (good, _, said) = dream(&[]);
    assert!(!good && said.contains("paints what a signal says: give it one with --source"), "{said}");
    let (good, _, said) = dream(&["--cond", &at("z.npy")]);
    assert!(!good && said.contains("z.npy") && said.contains("(tokens, numbers) is expected"), "{said}");
    npy::write_array(Path::new(&at("odd.npy")), &[3, 5], &[0.0; 15]).unwrap();
    let (good, _, said) = dream(&["--cond", &at("odd.npy")]);
    assert!(!good && said.contains("is 3x5, but the model steered takes words of 77x24"), "{said}");
}

/// Frames of a short film.
fn film(model: &str, set: &[&str]) -> Vec<Vec<u8>> {
    let out = tempfile::tempdir().unwrap();
    let frames = out.path().join("frames");
    let mut arguments =
        vec!["render", "--model", model, "--source", "synth://rat", "--seconds", "0.3", "--size", "64x64"];
    for setting in [&["/dream/size=256", "/dream/steps=2", "/encoder/every=3"][..], set].concat() {
        arguments.extend(["--set", setting]);
    }
    let output =
        Command::new(env!("CARGO_BIN_EXE_wavedream")).args(&arguments).arg("-o").arg(&frames).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !said.contains("WARN"), "{said}");
    let mut files: Vec<_> = std::fs::read_dir(&frames).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    files.iter().map(|f| std::fs::read(f).unwrap()).collect()
}

#[test]
fn in_a_film_its_own_encoder_reads_the_source_and_the_knob_says_how_much() {
    let (_folder, file) = converted();
    let model = file.display().to_string();
    let steered = film(&model, &[]);
    assert!(film(&model, &[]) == steered, "a film repeats");
    let silent = film(&model, &["/encoder/amount=0"]);
    assert!(silent != steered);
    assert!(film(&model, &["/encoder/amount=0.5"]) != silent);
}

#[test]
fn a_head_of_words_steers_an_ordinary_checkpoint_beside_its_prompt() {
    let folder = packed::unpack("sd15");
    let (model, head) = (folder.path().display().to_string(), folder.path().join("head.safetensors"));
    // The encoder of the fixture, with mappers to the 32 numbers a word that this model has.
    let store = encoder::load(&fixture("checkpoint.pth"), &Device::Cpu).unwrap();
    let mut tensors = store.tensors.clone();
    let wide = |name: &str, sizes: &[usize]| {
        let count: usize = sizes.iter().product();
        let values: Vec<f32> = (0..count).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0) * 0.2).collect();
        (format!("head.dim_mapper.{name}"), Tensor::from_vec(values, sizes, &Device::Cpu).unwrap())
    };
    tensors.extend([wide("weight", &[32, 32]), wide("bias", &[32])]);
    encoder::save(&head, &tensors, &store.head).unwrap();
    let head = format!("/encoder/file={}", head.display());
    let plain = film(&model, &["/dream/prompt=a sea"]);
    assert!(film(&model, &["/dream/prompt=a sea", &head]) == plain, "without a weight the text alone");
    let steered = film(&model, &["/dream/prompt=a sea", &head, "/encoder/amount=1"]);
    assert!(steered != plain);
    let guided = ["/dream/guidance=1", &head, "/encoder/amount=1"];
    let of_signal = |prompt| film(&model, &[&[prompt][..], &guided].concat());
    assert!(of_signal("/dream/prompt=a sea") == of_signal("/dream/prompt=a wood"), "with all of it the signal alone");
}
