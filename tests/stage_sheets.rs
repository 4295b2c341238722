//! Sheets to look at: `SHEETS=folder cargo test --release --test stage_sheets -- --ignored`. The shaders of the
//! checkout are read when it runs, so that a change of a shader needs no build.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on shall stop")]

mod stage_pictures;

use std::{path::Path, time::Instant};

use stage_pictures::{aurora, marble, signal, vivid_effects};
use wavedream::stage::{FrameClock, Headless, Kind, Look, ShaderLibrary, Use};

fn stage(size: (u32, u32)) -> Headless {
    let shaders = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let library =
        ShaderLibrary::builtin().with_folder(shaders.join("effects")).with_folder(shaders.join("transitions"));
    for message in library.messages() {
        eprintln!("{message}");
    }
    Headless::new(size, library).unwrap()
}

fn wanted(name: &str) -> bool {
    std::env::var("ONLY").map_or(true, |only| only.split(',').any(|one| name.contains(one)))
}

fn save(name: &str, rgba: &[u8], width: u32, height: u32) {
    let folder = std::env::var("SHEETS").unwrap();
    std::fs::create_dir_all(&folder).unwrap();
    let path = Path::new(&folder).join(format!("{name}.png"));
    image::save_buffer(&path, rgba, width, height, image::ExtendedColorType::Rgba8).unwrap();
}

/// What this process has kept CPUs busy for; a software adapter's threads belong to it. A tick is 10 ms on Linux.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |field: usize| after.split_whitespace().nth(field).and_then(|text| text.parse::<f64>().ok());
    10.0 * (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0))
}

/// Frames side by side, two in a row.
fn sheet(frames: &[Vec<u8>], (width, height): (u32, u32), columns: usize) -> (Vec<u8>, u32, u32) {
    let rows = frames.len().div_ceil(columns);
    let (w, h) = (width as usize, height as usize);
    let mut rgba = vec![255; 4 * w * h * columns * rows];
    for (i, frame) in frames.iter().enumerate() {
        let (column, row) = (i % columns, i / columns);
        for (y, line) in frame.chunks_exact(4 * w).enumerate() {
            let at = 4 * ((row * h + y) * w * columns + column * w);
            rgba[at..at + 4 * w].copy_from_slice(line);
        }
    }
    (rgba, width * columns as u32, height * rows as u32)
}

#[test]
#[ignore = "draws sheets to look at"]
fn transitions() {
    let size = (640, 360);
    let mut stage = stage(size);
    let (a, b) = (aurora(640, 360), marble(512, 512));
    let names: Vec<String> = stage
        .compositor()
        .library()
        .declarations()
        .filter(|declared| declared.kind == Kind::Transition && wanted(&declared.name))
        .map(|declared| declared.name.clone())
        .collect();
    let look = Look::default();
    let mut at = 0;
    let mut step = |stage: &mut Headless| {
        at += 1;
        stage.frame(&FrameClock::of_film(at, 30.0), &look, &signal(at as f32 * 0.1)).unwrap()
    };
    for name in names {
        stage.compositor().scrub(None);
        stage.compositor().begin_transition("dissolve", 0.0);
        stage.compositor().show(&a);
        for _ in 0..30 {
            step(&mut stage);
        }
        stage.compositor().begin_transition(&name, 100.0);
        stage.compositor().show(&b);
        let frames: Vec<_> = [0.1, 0.25, 0.4, 0.55, 0.7, 0.88]
            .into_iter()
            .map(|progress| {
                stage.compositor().scrub(Some(progress));
                step(&mut stage)
            })
            .collect();
        let (rgba, width, height) = sheet(&frames, size, 2);
        save(&format!("transition_{name}"), &rgba, width, height);
    }
}

#[test]
#[ignore = "draws sheets to look at"]
fn effects() {
    let size = (960, 540);
    for used in vivid_effects() {
        if !wanted(&used.name) {
            continue;
        }
        let mut stage = stage(size);
        let name = used.name.clone();
        let look = Look { crossfade: 0.0, effects: vec![used], ..Look::default() };
        let mut frames = Vec::new();
        for (i, picture) in [aurora(512, 512), marble(512, 512)].iter().enumerate() {
            let mut rgba = Vec::new();
            for frame in 0..45 {
                if frame == 0 {
                    stage.compositor().show(picture);
                }
                let frame = 100 * i as u64 + frame;
                rgba = stage.frame(&FrameClock::of_film(frame, 30.0), &look, &signal(frame as f32 * 0.15)).unwrap();
            }
            frames.push(rgba);
        }
        let (rgba, width, height) = sheet(&frames, size, 1);
        save(&format!("effect_{name}"), &rgba, width, height);
    }
}

#[test]
#[ignore = "measures the time of a frame"]
fn speed() {
    for (width, height) in [(1280, 720), (1920, 1080)] {
        for effects in [
            vec![],
            vec![Use::new("trails", 1.0, &[]), Use::new("colour", 1.0, &[]), Use::new("vignette", 1.0, &[])],
            vec![Use::new("displace", 1.0, &[]), Use::new("bloom", 1.0, &[]), Use::new("grain", 1.0, &[])],
        ] {
            let mut stage = stage((width, height));
            let names: Vec<_> = effects.iter().map(|used| used.name.clone()).collect();
            let look = Look { effects, ..Look::default() };
            let pictures = [aurora(512, 512), marble(512, 512)];
            let mut rgba = Vec::new();
            let mut start = Instant::now();
            for frame in 0..40 {
                if frame == 10 {
                    start = Instant::now();
                }
                if frame % 3 == 0 {
                    stage.compositor().show(&pictures[frame % 2]);
                }
                stage.submit(&FrameClock::of_film(frame as u64, 30.0), &look, &signal(frame as f32)).unwrap();
                if frame > 0 {
                    stage.fetch(&mut rgba).unwrap();
                }
            }
            println!(
                "{} {width}x{height} {names:?}: {:.1} ms a frame",
                stage.adapter(),
                start.elapsed().as_secs_f64() * 1000.0 / 30.0
            );
        }
    }
}

#[test]
#[ignore = "measures each effect and transition"]
fn cost() {
    let mut stage = stage((1280, 720));
    let pictures = [aurora(512, 512), marble(512, 512)];
    let mut at = 0;
    let mut time = |stage: &mut Headless, look: &Look, name: &str| {
        // Two frames to compile and allocate, then ten that count.
        for _ in 0..2 {
            at += 1;
            stage.frame(&FrameClock::of_film(at, 30.0), look, &signal(1.0)).unwrap();
        }
        let (start, busy) = (Instant::now(), cpu_ms());
        for _ in 0..10 {
            at += 1;
            stage.compositor().show(&pictures[at as usize % 2]);
            stage.frame(&FrameClock::of_film(at, 30.0), look, &signal(1.0)).unwrap();
        }
        println!(
            "{name}: {:.0} ms, of the CPU {:.0} ms",
            start.elapsed().as_secs_f64() * 100.0,
            (cpu_ms() - busy) / 10.0
        );
    };
    time(&mut stage, &Look::default(), "nothing");
    for used in vivid_effects() {
        let name = used.name.clone();
        let look = Look { effects: vec![used], ..Look::default() };
        time(&mut stage, &look, &name);
    }
    let names: Vec<String> = stage
        .compositor()
        .library()
        .declarations()
        .filter(|declared| declared.kind == Kind::Transition)
        .map(|declared| declared.name.clone())
        .collect();
    for name in names {
        stage.compositor().begin_transition(&name, 100.0);
        stage.compositor().scrub(Some(0.5));
        time(&mut stage, &Look::default(), &name);
    }
}
