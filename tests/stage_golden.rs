//! Each effect and each transition against a recorded picture of 160x90. `UPDATE_FIXTURES=1` records them anew: look at
//! what changed in tests/golden before committing it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on shall stop")]

mod stage_pictures;

use std::path::PathBuf;

use stage_pictures::{aurora, headless, marble, signal, vivid_effects};
use wavedream::stage::{FrameClock, Headless, Kind, Look, ShaderLibrary};

const SIZE: (u32, u32) = (160, 90);

/// Adapters filter textures with weights of 8 bits (GPUs) or floats (lavapipe) and differ in the last bits of sin, exp
/// and pow. That moves every pixel by a step or two at most, and puts a few pixels on the other side of a hard edge
/// (glitch, posterise, the seams of mirrors). So: the mean over all bytes may differ by 1.5 of 255, and one pixel in
/// fifty by more than 24. A wrong sign, a missing parameter or a lost pass is far beyond either.
const MEAN: f64 = 1.5;
const FAR: u8 = 24;
const FAR_SHARE: f64 = 0.02;

fn check(name: &str, rgba: &[u8], wrong: &mut Vec<String>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.png"));
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        image::save_buffer(&path, rgba, SIZE.0, SIZE.1, image::ExtendedColorType::Rgba8).unwrap();
        return;
    }
    let golden = image::open(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; UPDATE_FIXTURES=1 records it", path.display()))
        .to_rgba8()
        .into_raw();
    assert_eq!(golden.len(), rgba.len());
    let differences: Vec<u8> = golden.iter().zip(rgba).map(|(a, b)| a.abs_diff(*b)).collect();
    let mean = differences.iter().map(|&d| f64::from(d)).sum::<f64>() / differences.len() as f64;
    let pixels = differences.as_chunks::<4>().0.iter();
    let far = pixels.clone().filter(|pixel| pixel.iter().any(|&d| d > FAR)).count() as f64 / pixels.len() as f64;
    if mean > MEAN || far > FAR_SHARE {
        wrong.push(format!("{name}: mean difference {mean:.2}, {:.1} % of pixels far off", 100.0 * far));
    }
}

fn run(stage: &mut Headless, frames: std::ops::Range<u64>, look: &Look) -> Vec<u8> {
    let mut rgba = Vec::new();
    for frame in frames {
        rgba = stage.frame(&FrameClock::of_film(frame, 30.0), look, &signal(frame as f32 * 0.2)).unwrap();
    }
    rgba
}

#[test]
fn effects_look_as_recorded() {
    let mut wrong = Vec::new();
    for used in vivid_effects() {
        // A stage of its own each: feedback and time begin at 0.
        let Some(mut stage) = headless(SIZE) else { return };
        let name = format!("effect_{}", used.name);
        let look = Look { effects: vec![used], ..Look::default() };
        stage.compositor().show(&aurora(160, 90));
        let rgba = run(&mut stage, 0..6, &look);
        check(&name, &rgba, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn transitions_look_as_recorded() {
    let mut wrong = Vec::new();
    let library = ShaderLibrary::builtin();
    for declared in library.declarations().filter(|declared| declared.kind == Kind::Transition) {
        let Some(mut stage) = headless(SIZE) else { return };
        let look = Look::default();
        stage.compositor().show(&aurora(160, 90));
        run(&mut stage, 0..6, &look);
        stage.compositor().show(&marble(160, 90));
        stage.compositor().begin_transition(&declared.name, 10.0);
        stage.compositor().scrub(Some(0.45));
        let rgba = run(&mut stage, 6..16, &look);
        check(&format!("transition_{}", declared.name), &rgba, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
