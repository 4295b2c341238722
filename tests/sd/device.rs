//! The way of GPUs, where layers are candle's tensors: walked on the CPU, it must come to what diffusers computed, and to
//! what the CPU's kernels come to.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use wavedream::{
    diffusion::{
        Conditioning, Feedback, Model, Picture,
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

const PLAIN: How = How { device: DeviceChoice::Plain, precision: Precision::Float32 };
const HALF: How = How { device: DeviceChoice::Plain, precision: Precision::Half };

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
    each(PLAIN, 1.0, Case::unet);
}

#[test]
fn samplers_guidance_and_runs_from_pictures_go_the_same_way_as_diffusers() {
    each(PLAIN, 1.0, |case| {
        case.samplers();
        case.guidance();
        case.starts_from_pictures();
    });
}

#[test]
fn decoders_encoders_loras_and_single_files_are_those_of_diffusers() {
    each(PLAIN, 1.0, |case| {
        case.autoencoders();
        case.loras();
        case.single_file();
    });
}

/// Half has eleven bits of a number: forty times the limits of float32, 4e-3 for a pass.
#[test]
fn in_half_precision_answers_and_pictures_differ_by_what_is_rounded() {
    each(HALF, 40.0, |case| {
        case.unet();
        case.guidance();
        case.autoencoders();
        case.loras();
    });
}

#[test]
fn loras_beside_the_weights_paint_what_merged_ones_paint() {
    for (how, limit) in [(PLAIN, 1e-4), (HALF, 4e-3), (HALF_ON_CPU, 1e-2)] {
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
            let expected = bytes(How::default(), &with);
            for (how, most, mean) in [(PLAIN, 1, 0.01), (HALF, 24, 1.0)] {
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
        let error = relative(&film(PLAIN), &film(How::default()));
        println!("stream {stream}, {feedback:?}: {error:.2e}");
        assert!(error <= 1e-3, "stream {stream}, {feedback:?}: {error}");
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
    let mut player = Player::of(Arc::new(folder), settings(HALF));
    assert!(player.paint(&said("a sea"), 1).image.iter().all(|v| v.is_finite()));
}

#[test]
fn a_picture_that_is_given_up_ends_in_a_sentence() {
    let mut player = Player::new("sd15", settings(PLAIN));
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
    let (cpu, half) = (runtime(How { device: DeviceChoice::Cpu, ..How::default() }), runtime(HALF));
    assert_eq!((cpu.device.as_str(), cpu.precision), ("cpu", "float32"));
    assert_eq!((half.device.as_str(), half.precision), ("plain", "half"));
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
