//! Stable Diffusion beside diffusers: every stage against what diffusers computed in float32 on the CPU.
//!
//! The cases under fixtures/sd are small models with random weights, packed by fixtures/sd/make.py. Larger ones of the
//! same layout (a diffusers folder with case.safetensors in it) are compared by
//! `SD_CASES=folder:folder cargo test --release --test sd -- --ignored`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on shall stop")]

#[path = "sd/case.rs"]
mod case;
#[path = "sd/command.rs"]
mod command;
#[path = "sd/device.rs"]
mod device;
#[path = "sd/dreamdiffusion.rs"]
mod dreamdiffusion;
#[path = "sd/live.rs"]
mod live;
#[path = "sd/packed.rs"]
mod packed;
#[path = "sd/refusals.rs"]
mod refusals;

use case::Case;

/// Committed cases, one a family.
const FAMILIES: [&str; 3] = ["sd15", "sd21", "sdxl"];

fn each(test: impl Fn(&Case)) {
    for family in FAMILIES {
        let folder = packed::unpack(family);
        test(&Case::open(folder.path()));
    }
}

#[test]
fn prompts_become_the_same_words_and_vectors() {
    each(Case::text);
}

#[test]
fn the_unet_answers_as_diffusers_at_each_timestep_and_in_batches_of_unlike_ones() {
    each(Case::unet);
}

#[test]
fn every_sampler_goes_the_same_way_as_diffusers() {
    each(Case::samplers);
}

#[test]
fn a_run_starts_from_pictures_begins_where_diffusers_begins_it() {
    each(Case::starts_from_pictures);
}

#[test]
fn prediction_spacing_and_betas_are_those_of_the_checkpoint() {
    each(Case::own_schedulers);
}

#[test]
fn guidance_is_that_of_diffusers() {
    each(Case::guidance);
}

#[test]
fn both_decoders_and_both_encoders_are_those_of_diffusers() {
    each(Case::autoencoders);
}

#[test]
fn a_lora_of_kohya_and_one_of_peft_change_the_model_alike() {
    each(Case::loras);
}

#[test]
fn a_single_file_in_half_precision_is_the_same_model() {
    each(Case::single_file);
}

/// For cases that are too large to be committed.
#[test]
#[ignore = "needs SD_CASES"]
fn cases_of_other_seeds_widths_and_shapes_are_met() {
    let cases = std::env::var("SD_CASES").expect("SD_CASES names folders with case.safetensors");
    for folder in cases.split(':') {
        let case = Case::open(std::path::Path::new(folder));
        case.text();
        case.unet();
        case.samplers();
        case.guidance();
        case.autoencoders();
        case.loras();
        case.single_file();
    }
}
