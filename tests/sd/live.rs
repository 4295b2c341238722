//! Stable Diffusion while it plays: what may change from picture to picture, and what then comes out.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use candle_core::{DType, Device, Tensor, safetensors};
use wavedream::{
    Stamp,
    diffusion::{
        Conditioning, Feedback, Model, Picture, Raw,
        device::Precision,
        sd::{DecoderChoice, LoraUse, Sampler, Settings, StableDiffusion, Text, Way},
    },
    kernels::Pool,
    latent::{Latent, Shape},
};

use super::packed;

const SHAPE: Shape = Shape { channels: 4, height: 6, width: 8 };

pub struct Player {
    pub model: StableDiffusion,
    pub folder: Arc<tempfile::TempDir>,
    pub z: Vec<f32>,
    hop: u64,
}

impl Player {
    pub fn new(family: &str, settings: Settings) -> Self {
        Self::of(Arc::new(packed::unpack(family)), settings)
    }

    pub fn of(folder: Arc<tempfile::TempDir>, settings: Settings) -> Self {
        let case = safetensors::load(folder.path().join("case.safetensors"), &Device::Cpu).unwrap();
        let z = case["z"].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let model = StableDiffusion::load(folder.path(), settings, &Pool::new(2)).unwrap();
        Self { model, folder, z, hop: 0 }
    }

    pub fn latent(&self, values: &[f32]) -> Latent {
        let stamp = Stamp { hop: self.hop, signal_secs: self.hop as f64 / 30.0, arrived: Instant::now() };
        Latent { stamp, shape: SHAPE, values: values.into() }
    }

    /// The next picture, a thirtieth of a second later.
    pub fn paint(&mut self, with: &Conditioning, steps: usize) -> Raw {
        let z = self.z.clone();
        self.paint_of(&z, with, steps)
    }

    pub fn paint_of(&mut self, z: &[f32], with: &Conditioning, steps: usize) -> Raw {
        self.hop += 1;
        let latent = self.latent(z);
        self.model.generate_raw(&latent, with, steps).unwrap()
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

pub fn said(prompt: &str) -> Conditioning {
    let text = Text { prompt: prompt.to_owned(), guidance: Some(1.0), ..Text::default() };
    Conditioning { text: Some(text), ..Conditioning::default() }
}

pub fn guided(prompt: &str) -> Conditioning {
    let text = Text { prompt: prompt.to_owned(), guidance: Some(7.5), ..Text::default() };
    Conditioning { text: Some(text), ..Conditioning::default() }
}

pub fn with_loras(loras: &[(&Path, f32)]) -> Conditioning {
    let loras = loras.iter().map(|(path, strength)| LoraUse { path: path.to_path_buf(), strength: *strength });
    Conditioning { way: Way { loras: loras.collect(), ..Way::default() }, ..said("A lighthouse, violet dusk") }
}

pub fn relative(found: &[f32], expected: &[f32]) -> f64 {
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(a, b)| f64::from(a - b)));
    difference / norm(&mut expected.iter().map(|b| f64::from(*b)))
}

/// A LoRA on every layer that one can lie beside: matrices, 1x1 and 3x3 convolutions, those that halve, and the text.
pub fn lora_on_everything(folder: &Path, seed: usize) -> std::path::PathBuf {
    let mut tensors = HashMap::new();
    let mut at = seed;
    let mut random = |shape: &[usize]| {
        let values = (0..shape.iter().product()).map(|_| {
            at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((at >> 40) as f32 / (1 << 24) as f32 - 0.5) * 0.3
        });
        Tensor::from_vec(values.collect::<Vec<f32>>(), shape, &Device::Cpu).unwrap()
    };
    for (part, prefix) in [("unet", "lora_unet"), ("text_encoder", "lora_te")] {
        let name = if part == "unet" { "diffusion_pytorch_model" } else { "model" };
        let weights = safetensors::load(folder.join(format!("{part}/{name}.safetensors")), &Device::Cpu).unwrap();
        let mut names: Vec<_> = weights.keys().filter(|n| n.ends_with(".weight")).collect();
        names.sort();
        for name in names.iter().filter(|n| !n.contains("norm") && !n.contains("embedding.weight")) {
            let shape = weights[*name].dims();
            if shape.len() < 2 {
                continue;
            }
            let layer = name.trim_end_matches(".weight").replace('.', "_");
            let ones = vec![1; shape.len() - 2];
            let up = random(&[&[shape[0], 3][..], &ones].concat());
            let down = random(&[&[3][..], &shape[1..]].concat());
            tensors.insert(format!("{prefix}_{layer}.lora_up.weight"), up);
            tensors.insert(format!("{prefix}_{layer}.lora_down.weight"), down);
            tensors.insert(format!("{prefix}_{layer}.alpha"), Tensor::new(1.5_f32, &Device::Cpu).unwrap());
        }
    }
    let file = folder.join(format!("everything{seed}.safetensors"));
    safetensors::save(&tensors, &file).unwrap();
    file
}

#[test]
fn a_lora_beside_the_weights_is_the_one_that_diffusers_merged() {
    for family in ["sd15", "sd21", "sdxl"] {
        let player = Player::new(family, Settings::default());
        let case = safetensors::load(player.file("case.safetensors"), &Device::Cpu).unwrap();
        let mut player = player;
        let lora = player.file("lora.safetensors");
        player.paint(&with_loras(&[(&lora, 0.7)]), 1);
        let text = player.model.embed("A lighthouse, violet dusk", Default::default()).unwrap();
        let ready = player.model.ready(&text, [6, 8]).unwrap();
        let found = player.model.answer(&case["z"], &[999.0], &ready, None).unwrap();
        let numbers = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let error = relative(&numbers(&found), &numbers(&case["lora07_eps_999"]));
        println!("{family}: {error:.2e}");
        assert!(error <= 1e-4, "{family}: {error}");
    }
}

#[test]
fn loras_beside_the_weights_paint_what_merged_ones_paint() {
    for family in ["sd15", "sd21"] {
        let mut live = Player::new(family, Settings::default());
        let first = live.file("lora.safetensors");
        let second = lora_on_everything(live.folder.path(), 7);
        let plain = live.paint(&said("A lighthouse, violet dusk"), 2);
        for (a, b) in [(0.7, 0.0), (-0.4, 0.5), (0.0, 1.0)] {
            let loras =
                [(&first, a), (&second, b)].map(|(path, strength)| LoraUse { path: path.clone(), strength }).to_vec();
            let mut merged = Player::of(live.folder.clone(), Settings { loras, ..Settings::default() });
            let expected = merged.paint(&said("A lighthouse, violet dusk"), 2);
            let found = live.paint(&with_loras(&[(&first, a), (&second, b)]), 2);
            let error = relative(&found.latent, &expected.latent);
            println!("{family} {a} {b}: {error:.2e}");
            assert!(error <= 1e-4, "{family} {a} {b}: {error}");
            assert!(relative(&found.latent, &plain.latent) > 1e-3, "the LoRA does something");
        }
        // Turned down, nothing is left of them.
        let found = live.paint(&with_loras(&[(&first, 0.0), (&second, 0.0)]), 2);
        assert_eq!(found.latent, plain.latent);
        assert!(live.model.notes().is_empty());
    }
}

/// Bfloat16 has eight bits of a number: the two ways may differ by what is rounded on them, the LoRA is much more.
#[test]
fn in_bfloat16_loras_beside_the_weights_are_heard_alike() {
    let rough = || Settings { precision: Precision::Bfloat16, ..Settings::default() };
    let mut live = Player::new("sd15", rough());
    let lora = lora_on_everything(live.folder.path(), 7);
    let loras = vec![LoraUse { path: lora.clone(), strength: 1.0 }];
    let mut merged = Player::of(live.folder.clone(), Settings { loras, ..rough() });
    let expected = merged.paint(&said("A lighthouse, violet dusk"), 1).latent;
    let plain = live.paint(&said("A lighthouse, violet dusk"), 1).latent;
    let found = live.paint(&with_loras(&[(&lora, 1.0)]), 1).latent;
    let (error, change) = (relative(&found, &expected), relative(&plain, &expected));
    println!("{error:.2e} of {change:.2e}");
    assert!(error <= 0.1 * change, "{error} of {change}");
}

#[test]
fn a_picture_that_is_given_up_ends_in_a_sentence_with_and_without_a_lora() {
    let mut player = Player::new("sd15", Settings::default());
    let lora = lora_on_everything(player.folder.path(), 7);
    let flag = Arc::new(AtomicBool::new(false));
    player.model.give_up_when(flag.clone());
    for with in [said("a sea"), with_loras(&[(&lora, 0.5)])] {
        let before = player.paint(&with, 1);
        flag.store(true, Ordering::Relaxed);
        let given_up = player.model.generate_raw(&player.latent(&player.z), &with, 1);
        assert!(given_up.is_err_and(|e| e.to_string().contains("given up")));
        flag.store(false, Ordering::Relaxed);
        assert_eq!(player.paint(&with, 1).latent, before.latent);
    }
}

#[test]
fn a_lora_with_a_fault_is_one_sentence_and_the_picture_goes_on() {
    let mut player = Player::new("sd15", Settings::default());
    let plain = player.paint(&said("A lighthouse, violet dusk"), 1);
    let bad = player.file("bad.safetensors");
    std::fs::write(&bad, b"no LoRA at all").unwrap();
    let gone = player.file("gone.safetensors");
    for _ in 0..3 {
        let found = player.paint(&with_loras(&[(&bad, 1.0), (&gone, 1.0)]), 1);
        assert_eq!(found.latent, plain.latent);
    }
    let notes = player.model.notes();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].contains("bad.safetensors") && notes[0].ends_with("goes on without it"), "{notes:?}");
    assert!(notes[1].contains("gone.safetensors"), "{notes:?}");
}

#[test]
fn in_a_show_a_lora_and_a_text_come_when_they_are_ready() {
    let mut player = Player::new("sd15", Settings::default());
    let lora = lora_on_everything(player.folder.path(), 3);
    let before = player.paint(&said("a sea"), 1);
    let wanted = Conditioning { text: said("a wood").text, ..with_loras(&[(&lora, 1.0)]) };
    let expected = player.paint(&wanted, 1);

    let mut show = Player::of(player.folder.clone(), Settings::default());
    let live = |with: &Conditioning| Conditioning { live: true, ..with.clone() };
    assert_eq!(show.paint(&live(&said("a sea")), 1).latent, before.latent);
    let began = Instant::now();
    loop {
        let found = show.paint(&live(&wanted), 1);
        if relative(&found.latent, &expected.latent) < 1e-5 {
            break;
        }
        assert!(began.elapsed().as_secs() < 60, "they never came");
    }
    assert!(show.model.notes().is_empty());
}

#[test]
fn sampler_and_decoder_change_from_picture_to_picture() {
    let mut player = Player::new("sd15", Settings::default());
    for (_, sampler) in Sampler::NAMES {
        for decoder in [DecoderChoice::Own, DecoderChoice::Tiny] {
            let way = Way { sampler: Some(sampler), decoder: Some(decoder), ..Way::default() };
            let found = player.paint(&Conditioning { way, ..guided("A lighthouse, violet dusk") }, 3);
            let settings = Settings { sampler: Some(sampler), decoder, ..Settings::default() };
            let mut loaded = Player::of(player.folder.clone(), settings);
            let expected = loaded.paint(&guided("A lighthouse, violet dusk"), 3);
            assert_eq!((found.latent, found.image), (expected.latent, expected.image), "{sampler:?} {decoder:?}");
        }
    }
}

#[test]
fn a_decoder_that_is_not_there_is_told_once_and_the_own_one_decodes() {
    let mut player = Player::new("sd21", Settings::default());
    let own = player.paint(&said("a sea"), 1);
    let way = Way { decoder: Some(DecoderChoice::Tiny), ..Way::default() };
    for _ in 0..2 {
        let found = player.paint(&Conditioning { way: way.clone(), ..said("a sea") }, 1);
        assert_eq!(found.image, own.image);
    }
    let notes = player.model.notes();
    assert!(notes.len() == 1 && notes[0].contains("has no TAESD beside it"), "{notes:?}");
}

#[test]
fn a_picture_of_the_stream_is_the_one_that_its_noise_makes_alone() {
    for (sampler, steps) in [(Sampler::Ddim, 4), (Sampler::Lcm, 3), (Sampler::Euler, 2), (Sampler::Plms, 4)] {
        for (words, lora) in [(said as fn(&str) -> _, false), (guided, false), (guided, true)] {
            let settings = Settings { sampler: Some(sampler), ..Settings::default() };
            let mut stream = Player::new("sd15", settings.clone());
            let mut alone = Player::of(stream.folder.clone(), settings);
            let loras = lora.then(|| LoraUse { path: lora_on_everything(stream.folder.path(), 7), strength: 0.5 });
            let way = Way { loras: loras.into_iter().collect(), ..Way::default() };
            let words = Conditioning { way: way.clone(), ..words("A lighthouse, violet dusk") };
            let passes = alone.model.schedule(steps).steps().len();
            let noises: Vec<Vec<f32>> = (0..7)
                .map(|turn| {
                    let mut z = stream.z.clone();
                    z.rotate_left(11 * turn);
                    z
                })
                .collect();
            let expected: Vec<Raw> = noises.iter().map(|z| alone.paint_of(z, &words, steps)).collect();
            let with = Conditioning { way: Way { stream: true, ..way }, ..words };
            for (i, z) in noises.iter().enumerate() {
                let found = stream.paint_of(z, &with, steps);
                let expected = &expected[(i + 1).saturating_sub(passes)];
                let error = relative(&found.latent, &expected.latent).max(relative(&found.image, &expected.image));
                assert!(error <= 1e-4, "{sampler:?} {steps} steps, picture {i}: {error}");
            }
        }
    }
}

#[test]
fn a_stream_tells_the_moment_of_the_picture_that_comes_out() {
    let mut player = Player::new("sd15", Settings::default());
    let with = Conditioning { way: Way { stream: true, ..Way::default() }, ..said("a sea") };
    let mut picture = Picture::empty();
    let hops: Vec<u64> = (1..=6)
        .map(|hop| {
            player.hop = hop;
            let latent = player.latent(&player.z);
            player.model.generate(&latent, &with, 3, &mut picture).unwrap();
            picture.stamp.hop
        })
        .collect();
    assert_eq!(hops, [1, 1, 1, 2, 3, 4]);
}

#[test]
fn feedback_that_is_off_changes_nothing_and_films_repeat() {
    let noise = |player: &Player, turn: usize| {
        let mut z = player.z.clone();
        z.rotate_left(5 * turn);
        z
    };
    let play = |feedback: Feedback, decoder: DecoderChoice| {
        let mut player = Player::new("sd15", Settings { sampler: Some(Sampler::Ddim), ..Settings::default() });
        let way = Way { decoder: Some(decoder), ..Way::default() };
        let with = Conditioning { feedback, way, ..said("a sea") };
        (0..4).map(|turn| player.paint_of(&noise(&player, turn), &with, 4).image).collect::<Vec<_>>()
    };
    let off = play(Feedback::default(), DecoderChoice::Own);
    let moving = Feedback { strength: 0.0, zoom: 1.0, pan_x: 0.5, pan_y: 0.5, rotate: 20.0 };
    assert_eq!(play(moving, DecoderChoice::Own), off);
    for decoder in [DecoderChoice::Own, DecoderChoice::Tiny] {
        let feedback = Feedback { strength: 0.6, ..moving };
        let (first, second) = (play(feedback, decoder), play(feedback, decoder));
        assert_eq!(first, second);
        assert!(first.iter().flatten().all(|v| v.is_finite()));
        // The first picture has none before it.
        let off = play(Feedback::default(), decoder);
        assert_eq!(first[0], off[0]);
        assert!(relative(&first[3], &off[3]) > 1e-3);
    }
}

#[test]
fn the_more_of_the_last_picture_stays_the_less_changes() {
    let change = |strength: f32| {
        let mut player = Player::new("sd15", Settings { sampler: Some(Sampler::Ddim), ..Settings::default() });
        let with = Conditioning { feedback: Feedback { strength, ..Feedback::default() }, ..said("a sea") };
        let first = player.paint(&with, 4);
        let mut other = player.z.clone();
        other.rotate_left(50);
        relative(&player.paint_of(&other, &with, 4).latent, &first.latent)
    };
    let changes: Vec<f64> = [0.0, 0.3, 0.6, 0.9].map(change).to_vec();
    assert!(changes.windows(2).all(|pair| pair[0] > pair[1]), "{changes:?}");
}

#[test]
fn a_text_glides_from_the_old_to_the_new_and_the_same_text_again_is_nothing_new() {
    let with = |prompt: &str, secs: f32| {
        let way = Way { glide_secs: secs, ..Way::default() };
        Conditioning { way, ..guided(prompt) }
    };
    let mut player = Player::new("sdxl", Settings::default());
    let old = player.paint(&with("a sea", 0.0), 1).latent;
    let new = player.paint(&with("A lighthouse, violet dusk", 0.0), 1).latent;
    player.paint(&with("a sea", 0.0), 1);
    // Six pictures of a thirtieth of a second.
    let glide: Vec<f64> = (0..7)
        .map(|_| {
            let found = player.paint(&with("A lighthouse, violet dusk", 0.2), 1).latent;
            relative(&found, &old) / relative(&new, &old)
        })
        .collect();
    assert!(glide[0] > 0.0 && glide.windows(2).all(|pair| pair[1] >= pair[0]), "{glide:?}");
    assert!((glide[2] - 0.5).abs() < 0.25 && (glide[6] - 1.0).abs() < 1e-6, "{glide:?}");
    assert_eq!(player.paint(&with("A lighthouse, violet dusk", 0.2), 1).latent, new);
}

#[test]
fn moved_shares_of_a_blend_are_followed_at_once() {
    let with = |share: f32| {
        let way = Way { glide_secs: 5.0, ..Way::default() };
        Conditioning { way, ..said(&format!("a sea::{} | ink on paper::{share}", 1.0 - share)) }
    };
    let mut gliding = Player::new("sd15", Settings::default());
    let mut fresh = Player::of(gliding.folder.clone(), Settings::default());
    for share in [0.2, 0.5, 0.9] {
        let expected = Player::of(fresh.folder.clone(), Settings::default()).paint(&with(share), 1);
        assert_eq!(gliding.paint(&with(share), 1).latent, expected.latent);
    }
    fresh.paint(&with(0.5), 1);
}

#[test]
fn an_empty_text_on_both_sides_is_one_pass_whatever_the_guidance() {
    let mut player = Player::new("sd15", Settings::default());
    let mut boundless = guided("");
    boundless.text.as_mut().unwrap().guidance = Some(f32::INFINITY);
    // Two passes would be infinitely far from each other's nothing.
    assert_eq!(player.paint(&boundless, 2).latent, player.paint(&said(""), 2).latent);
    boundless.text.as_mut().unwrap().prompt = "a sea".to_owned();
    assert!(player.paint(&boundless, 2).latent.iter().any(|v| !v.is_finite()));
}

/// Half precision holds what it holds: what is said in a file of it is the same model, so the overflow of SDXL's decoder
/// in half precision is none here.
#[test]
fn a_decoder_whose_numbers_are_large_does_not_overflow() {
    let folder = packed::unpack("sdxl");
    let file = folder.path().join("vae/diffusion_pytorch_model.safetensors");
    let mut tensors = safetensors::load(&file, &Device::Cpu).unwrap();
    for name in ["decoder.conv_in.weight", "decoder.mid_block.resnets.0.conv2.weight"] {
        let large = (tensors[name].to_dtype(DType::F32).unwrap() * 3000.0).unwrap();
        tensors.insert(name.to_owned(), large);
    }
    safetensors::save(&tensors, &file).unwrap();
    let mut player = Player::of(Arc::new(folder), Settings::default());
    let found = player.paint(&said("a sea"), 1);
    assert!(found.image.iter().all(|v| v.is_finite()));
}

/// How long a pass takes by its pictures: `SD_MODEL=folder SD_CELLS=32 cargo test --release --test sd -- --ignored pass`.
#[test]
#[ignore = "prints times of SD_MODEL"]
fn a_pass_of_several_pictures_is_timed() {
    let path = std::env::var("SD_MODEL").expect("SD_MODEL names a checkpoint");
    let cells: usize = std::env::var("SD_CELLS").map_or(32, |n| n.parse().unwrap());
    let pool = Pool::new(wavedream::kernels::physical_cores());
    let model = StableDiffusion::load(Path::new(&path), Settings::default(), &pool).unwrap();
    let text = model.embed("a sea", Default::default()).unwrap();
    let ready = model.ready(&text, [cells; 2]).unwrap();
    let timesteps = [999.0, 749.0, 499.0, 249.0];
    let mut best = [f64::INFINITY; 4];
    for _ in 0..3 {
        for n in [1, 2, 4] {
            let x = Tensor::ones((n, 4, cells, cells), DType::F32, &Device::Cpu).unwrap();
            let began = Instant::now();
            model.answer(&x, &timesteps[..n], &ready, None).unwrap();
            best[n - 1] = best[n - 1].min(began.elapsed().as_secs_f64());
        }
    }
    for n in [1, 2, 4] {
        let secs = best[n - 1];
        println!("{n} pictures: {:.0} ms, {:.2} times as fast as one by one", secs * 1e3, n as f64 * best[0] / secs);
    }
}
