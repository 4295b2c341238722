//! The way of GPUs, where layers are candle's tensors: walked on the CPU, it must come to what diffusers computed, and to
//! what the CPU's kernels come to. With SD_DEVICE=cuda it is walked on a card, or on what pretends to be one
//! (tests/cuda/card).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use wavedream::{
    diffusion::{
        Conditioning, Dreamer, Feedback, Model, Picture,
        device::{DeviceChoice, How, Precision},
        sd::{DecoderChoice, LoraUse, Sampler, Settings, Way},
    },
    kernels::{Element, Instructions},
};

use super::{
    FAMILIES,
    case::Case,
    live::{Player, guided, lora_on_everything, relative, said, with_loras},
    packed,
};

fn gpu() -> DeviceChoice {
    std::env::var("SD_DEVICE").map_or(DeviceChoice::Plain, |name| name.parse().unwrap())
}

fn exact() -> How {
    How { device: gpu(), precision: Precision::Float32 }
}

fn half() -> How {
    How { device: gpu(), precision: Precision::Half }
}

/// On the kernels.
const CPU: How = How { device: DeviceChoice::Cpu, precision: Precision::Float32 };
const HALF_ON_CPU: How = How { device: DeviceChoice::Cpu, precision: Precision::Half };

fn each(how: How, slack: f64, test: impl Fn(&Case)) {
    for family in FAMILIES {
        let folder = packed::unpack(family);
        test(&Case::open(folder.path()).loaded(how, slack));
    }
}

fn settings(how: How) -> Settings {
    Settings { device: how.device, precision: how.precision, ..Settings::default() }
}

#[test]
fn the_unet_answers_as_diffusers() {
    each(exact(), 1.0, Case::unet);
}

#[test]
fn samplers_guidance_and_runs_from_pictures_go_the_same_way_as_diffusers() {
    each(exact(), 1.0, |case| {
        case.samplers();
        case.guidance();
        case.starts_from_pictures();
    });
}

#[test]
fn decoders_encoders_loras_and_single_files_are_those_of_diffusers() {
    each(exact(), 1.0, |case| {
        case.autoencoders();
        case.loras();
        case.single_file();
    });
}

/// Half has eleven bits of a number: forty times the limits of float32, 4e-3 for a pass.
#[test]
fn in_half_precision_answers_and_pictures_differ_by_what_is_rounded() {
    each(half(), 40.0, |case| {
        case.unet();
        case.guidance();
        case.autoencoders();
        case.loras();
    });
}

#[test]
fn loras_beside_the_weights_paint_what_merged_ones_paint() {
    for (how, limit) in [(exact(), 1e-4), (half(), 4e-3), (HALF_ON_CPU, 1e-2)] {
        let mut live = Player::new("sd15", settings(how));
        let lora = lora_on_everything(live.folder.path(), 7);
        let plain = live.paint(&said("A lighthouse, violet dusk"), 2).latent;
        let loras = vec![LoraUse { path: lora.clone(), strength: 1.0 }];
        let mut merged = Player::of(live.folder.clone(), Settings { loras, ..settings(how) });
        let expected = merged.paint(&said("A lighthouse, violet dusk"), 2).latent;
        let found = live.paint(&with_loras(&[(&lora, 1.0)]), 2).latent;
        let error = relative(&found, &expected);
        println!("{how:?}: {error:.2e}");
        assert!(error <= limit, "{how:?}: {error}");
        assert!(relative(&plain, &expected) > 2.0 * limit, "the LoRA does something");
        assert!(live.model.notes().is_empty());
    }
}

/// What the kernels paint and what tensors paint, as bytes; in half precision a level or two apart.
#[test]
fn pictures_are_those_of_the_kernels() {
    for family in FAMILIES {
        let folder = Arc::new(packed::unpack(family));
        let bytes = |how: How, with: &Conditioning| {
            let mut player = Player::of(folder.clone(), Settings { sampler: Some(Sampler::Lcm), ..settings(how) });
            let mut picture = Picture::empty();
            let latent = player.latent(&player.z);
            player.model.generate(&latent, with, 2, &mut picture).unwrap();
            assert_eq!((picture.width, picture.height, picture.rgba.len()), (64, 48, 4 * 64 * 48));
            picture.rgba
        };
        for with in [said("A lighthouse, violet dusk"), guided("A lighthouse, violet dusk")] {
            let expected = bytes(CPU, &with);
            for (how, most, mean) in [(exact(), 1, 0.01), (half(), 24, 1.0)] {
                let found = bytes(how, &with);
                let apart: Vec<u8> = found.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).collect();
                let average = apart.iter().map(|d| f64::from(*d)).sum::<f64>() / apart.len() as f64;
                let largest = apart.iter().max().unwrap();
                println!("{family} {how:?}: {largest} at most, {average:.4} in the mean");
                assert!(*largest <= most && average <= mean, "{family} {how:?}: {largest}, {average}");
            }
        }
    }
}

#[test]
fn streams_and_feedback_paint_what_they_paint_on_the_kernels() {
    let folder = Arc::new(packed::unpack("sd15"));
    let moving = Feedback { strength: 0.6, zoom: 1.0, pan_x: 0.5, pan_y: 0.5, rotate: 20.0 };
    let still = Feedback { strength: 0.6, ..Feedback::default() };
    for (stream, feedback) in [(true, Feedback::default()), (false, moving), (false, still)] {
        let film = |how: How| {
            let mut player = Player::of(folder.clone(), Settings { sampler: Some(Sampler::Plms), ..settings(how) });
            let way = Way { stream, decoder: Some(DecoderChoice::Tiny), ..Way::default() };
            let with = Conditioning { way, feedback, ..guided("A lighthouse, violet dusk") };
            let noise = |turn: usize| {
                let mut z = player.z.clone();
                z.rotate_left(5 * turn);
                z
            };
            let noises: Vec<_> = (0..5).map(noise).collect();
            noises.iter().flat_map(|z| player.paint_of(z, &with, 3).image).collect::<Vec<f32>>()
        };
        let error = relative(&film(exact()), &film(CPU));
        println!("stream {stream}, {feedback:?}: {error:.2e}");
        assert!(error <= 1e-3, "stream {stream}, {feedback:?}: {error}");
    }
}

/// A show in which all changes that may change: some of the work comes often enough to be recorded, and
/// what was recorded meets other texts, other LoRAs and other strengths.
#[test]
fn what_is_recorded_paints_what_is_painted_step_by_step() {
    let folder = Arc::new(packed::unpack("sd15"));
    let lora = lora_on_everything(folder.path(), 7);
    let decoder = |decoder| Way { decoder: Some(decoder), ..Way::default() };
    let show: Vec<Conditioning> = [
        vec![said("A lighthouse, violet dusk"); 5],
        vec![said("a sea"); 4],
        vec![guided("a sea"); 5],
        vec![Conditioning { way: decoder(DecoderChoice::Tiny), ..said("a sea") }; 5],
        vec![with_loras(&[(&lora, 1.0)]); 5],
        [0.8, 0.6, 0.4].map(|strength| with_loras(&[(&lora, strength)])).to_vec(),
        vec![with_loras(&[(&lora, 0.4)]); 4],
        vec![with_loras(&[(&lora, 0.0)]); 4],
        vec![said("A lighthouse, violet dusk"); 4],
    ]
    .concat();
    for (how, limit) in [(exact(), 1e-3), (half(), 3e-2)] {
        let [mut found, mut expected] = [how, CPU].map(|how| Player::of(folder.clone(), settings(how)));
        let mut worst = 0.0_f64;
        for (turn, with) in show.iter().enumerate() {
            let mut z = found.z.clone();
            z.rotate_left(5 * turn);
            let steps = 1 + turn % 2;
            let [found, expected] = [&mut found, &mut expected].map(|player| player.paint_of(&z, with, steps).image);
            let error = relative(&found, &expected);
            assert!(error <= limit, "{how:?}, picture {turn}: {error}");
            worst = worst.max(error);
        }
        println!("{how:?}: {worst:.2e} at most");
        assert!(found.model.notes().is_empty());
    }
}

/// Pictures of a show: what arrives from a device while the next one is painted is what was asked for.
#[test]
fn a_dreamer_shows_the_pictures_that_the_model_paints_alone() {
    let folder = Arc::new(packed::unpack("sd15"));
    let player = || Player::of(folder.clone(), settings(exact()));
    let (mut alone, shown) = (player(), player());
    let noise = shown.z.clone();
    let (dreamer, playing) = Dreamer::start("sd15", Box::new(shown.model)).unwrap();
    let with = said("A lighthouse, violet dusk");
    for turn in 0..6 {
        let mut z = noise.clone();
        z.rotate_left(5 * turn);
        let mut latent = alone.latent(&z);
        latent.stamp.hop = 1 + turn as u64;
        let mut expected = Picture::empty();
        alone.model.generate(&latent, &with, 1, &mut expected).unwrap();
        dreamer.submit(playing.serial, latent, with.clone(), 1);
        let begun = Instant::now();
        let found = loop {
            assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain: {:?}", dreamer.stats().error);
            match dreamer.latest().filter(|picture| picture.stamp.hop == 1 + turn as u64) {
                Some(found) => break found,
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        assert_eq!((found.width, found.height), (expected.width, expected.height));
        assert!(found.rgba == expected.rgba, "picture {turn} is another one");
    }
}

/// The decoder of SDXL as it is published overflows in half precision, so it is float32 there.
#[test]
fn the_own_decoder_of_sdxl_does_not_overflow_in_half_precision() {
    use candle_core::{DType, Device, safetensors};
    let folder = packed::unpack("sdxl");
    let file = folder.path().join("vae/diffusion_pytorch_model.safetensors");
    let mut tensors = safetensors::load(&file, &Device::Cpu).unwrap();
    for name in ["decoder.conv_in.weight", "decoder.mid_block.resnets.0.conv2.weight"] {
        let large = (tensors[name].to_dtype(DType::F32).unwrap() * 3000.0).unwrap();
        tensors.insert(name.to_owned(), large);
    }
    safetensors::save(&tensors, &file).unwrap();
    let mut player = Player::of(Arc::new(folder), settings(half()));
    assert!(player.paint(&said("a sea"), 1).image.iter().all(|v| v.is_finite()));
}

#[test]
fn a_picture_that_is_given_up_ends_in_a_sentence() {
    let mut player = Player::new("sd15", settings(exact()));
    let flag = Arc::new(AtomicBool::new(true));
    player.model.give_up_when(flag.clone());
    let given_up = player.model.generate_raw(&player.latent(&player.z), &said("a sea"), 1);
    assert!(given_up.is_err_and(|e| e.to_string().contains("given up")));
    flag.store(false, Ordering::Relaxed);
    player.paint(&said("a sea"), 1);
}

#[test]
fn what_a_model_runs_on_is_told() {
    let runtime = |how: How| Player::new("sd15", settings(how)).model.runtime();
    let (cpu, half) = (runtime(CPU), runtime(half()));
    assert_eq!((cpu.device.as_str(), cpu.precision), ("cpu", "float32"));
    assert!(half.device.starts_with(&gpu().to_string()) && half.precision == "half", "{half:?}");
}

/// The kernels' half precision: sums are of eleven bits for a while, and Winograd's way costs a digit.
#[test]
fn half_precision_of_the_cpu_differs_by_what_is_rounded() {
    if !Instructions::best().has(Element::Float16) {
        println!("not compared: this processor does not multiply half precision");
        return;
    }
    each(HALF_ON_CPU, 100.0, |case| {
        case.unet();
        case.guidance();
        case.autoencoders();
        case.loras();
    });
}

/// On a CPU that does not multiply half precision bfloat16 takes its place, and that is said.
#[test]
fn half_precision_that_the_cpu_does_not_have_is_bfloat16_and_told_once() {
    let mut player = Player::new("sd15", settings(HALF_ON_CPU));
    if Instructions::best().has(Element::Float16) {
        assert_eq!((player.model.runtime().precision, player.model.notes().len()), ("half", 0));
        return;
    }
    assert_eq!(player.model.runtime().precision, "bfloat16");
    let notes = player.model.notes();
    assert!(notes.len() == 1 && notes[0].contains("bfloat16"), "{notes:?}");
    assert!(player.model.notes().is_empty());
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_device_that_is_not_built_in_is_a_sentence_that_says_what_to_build_with() {
    let folder = packed::unpack("sd15");
    let load = |device| {
        let pool = wavedream::kernels::Pool::new(2);
        let settings = Settings { device, ..Settings::default() };
        wavedream::diffusion::sd::StableDiffusion::load(folder.path(), settings, &pool).err().unwrap().to_string()
    };
    let why = load(DeviceChoice::Cuda(0));
    assert!(why.contains("--features cuda") && !why.contains('\n'), "{why}");
}
