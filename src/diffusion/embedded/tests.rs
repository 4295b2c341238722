//! The model in the box against network.py, on every instruction set that this CPU has.
//!
//! tests/fixtures/box_reference.safetensors is written by models/training/export.py together with the weights.

use std::{collections::BTreeSet, sync::Arc};

use super::*;
use crate::{
    Stamp,
    diffusion::{Feedback, Start},
};

/// Norm of the difference over the norm.
const TOLERANCE: f64 = 1e-4;

struct Reference(safetensors::SafeTensors<'static>);

impl Reference {
    fn open() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/box_reference.safetensors");
        let bytes = std::fs::read(path).unwrap();
        Self(safetensors::SafeTensors::deserialize(bytes.leak()).unwrap())
    }
    fn has(&self, name: &str) -> bool {
        self.0.tensor(name).is_ok()
    }
    fn get(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let view = self.0.tensor(name).unwrap();
        let values = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        (view.shape().to_vec(), values)
    }
    fn latent(&self, name: &str) -> Latent {
        let (shape, values) = self.get(name);
        latent(shape[2], shape[3], values)
    }
    /// The conditioning with its scene as values, as finished tokens, or without one.
    fn conditioning(&self, case: &str) -> Conditioning {
        let mood = self.get("mood").1;
        Conditioning {
            genres: self.get("genre").1.iter().map(|w| 3.0 * w).collect(),
            vivid: mood[0],
            bright: mood[1],
            scene: if case == ".scene" { self.get("scene").1 } else { vec![] },
            context: if case == ".context" { self.get("context").1 } else { vec![] },
            ..Conditioning::default()
        }
    }
}

fn latent(height: usize, width: usize, values: Vec<f32>) -> Latent {
    let stamp = Stamp { hop: 3, signal_secs: 0.1, arrived: Instant::now() };
    Latent { stamp, shape: Shape { channels: 4, height, width }, values: values.into() }
}

fn noise(height: usize, width: usize) -> Latent {
    let values = (0..4 * height * width).map(|i| ((i * 7919 % 1009) as f32 / 1009.0 - 0.5) * 3.4);
    latent(height, width, values.collect())
}

fn models() -> impl Iterator<Item = Embedded> {
    let weights = Weights::parse(WEIGHTS).unwrap();
    let pool = Pool::new(2);
    Instructions::present()
        .into_iter()
        .map(move |set| Embedded::new(&weights, Way::of(set, Precision::Auto), &pool).unwrap())
}

fn blank() -> Picture {
    Picture { stamp: noise(4, 4).stamp, ..Picture::empty() }
}

#[track_caller]
fn close(model: &Embedded, what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let off = norm(&mut found.iter().zip(expected).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let error = off / norm(&mut expected.iter().map(|v| f64::from(*v)));
    println!("{what} on {}: {error:.1e}", model.way.set.name());
    assert!(error <= TOLERANCE, "{what} on {}: {error:.2e}", model.way.set.name());
}

#[test]
fn every_entry_of_the_reference_is_reproduced() {
    let reference = Reference::open();
    let mut left: BTreeSet<String> = reference.0.names().iter().map(|n| (*n).to_owned()).collect();
    for name in ["genre", "mood", "scene", "context", "square.z", "wide.z"] {
        left.remove(name);
    }
    for mut model in models() {
        for size in ["square", "wide"] {
            let z = reference.latent(&format!("{size}.z"));
            for case in ["", ".scene", ".context"] {
                let with = reference.conditioning(case);
                for steps in [1, 2, 4] {
                    let raw = model.generate_raw(&z, &with, steps).unwrap();
                    let name = format!("{size}.latent.steps{steps}{case}");
                    close(&model, &name, &raw.latent, &reference.get(&name).1);
                    left.remove(&name);
                    let name = format!("{size}.picture.steps{steps}{case}");
                    if reference.has(&name) {
                        close(&model, &name, &raw.image, &reference.get(&name).1);
                        left.remove(&name);
                    }
                }
            }
        }
        let scene = reference.conditioning(".scene");
        for (name, first, count) in [("square.blurs", 0, 28), ("wide.guides", denoiser::PLACE_AT + 2, guides::GUIDES)] {
            let z = reference.latent(&format!("{}.z", name.split('.').next().unwrap()));
            model.denoise(&z, &Conditioning::default(), 1).unwrap();
            let canvas = model.canvas.as_mut().unwrap();
            canvas.latent.fill_from(&z.values);
            let moments = denoiser::whole(&canvas.latent);
            let (rows, columns) = (z.shape.height, z.shape.width);
            let asked = Asked::new(&scene, moments, rows, columns);
            let seen = canvas.denoiser.see(&model.pool, &canvas.latent, &asked);
            let cells = (0..count).flat_map(|c| (0..rows * columns).map(move |i| (c, i / columns, i % columns)));
            let values: Vec<f32> = cells.map(|(c, y, x)| seen.get(first + c, y, x)).collect();
            close(&model, name, &values, &reference.get(name).1);
            left.remove(name);
            if name == "square.blurs" {
                close(&model, "square.whole", &moments, &reference.get("square.whole").1);
                left.remove("square.whole");
            }
        }
        let (shape, image) = reference.get("wide.picture.steps1.scene");
        let image: Vec<f32> = image.iter().map(|v| v.clamp(-1.0, 1.0)).collect();
        let encoded = model.encoder.run(&model.pool, &image, shape[2], shape[3]);
        close(&model, "wide.encoded", &encoded, &reference.get("wide.encoded").1);
        left.remove("wide.encoded");
    }
    assert!(left.is_empty(), "not compared: {left:?}");
}

#[test]
fn half_precision_is_seen_by_nobody() {
    let mut exact = best();
    let way = Way::of(Instructions::best(), Precision::Half);
    let mut half = Embedded::new(&Weights::parse(WEIGHTS).unwrap(), way, &Pool::new(2)).unwrap();
    let told = if way.set.has(Element::Float16) { "half" } else { "float32" };
    assert_eq!((half.runtime().precision, exact.runtime().precision), (told, "float32"));
    let z = noise(32, 32);
    for genre in 0..exact.card().genres.len() {
        let mut genres = vec![0.0; exact.card().genres.len()];
        genres[genre] = 1.0;
        for steps in [1, 4] {
            let with = Conditioning { genres: genres.clone(), ..Conditioning::default() };
            let [a, b] = [&mut exact, &mut half].map(|model| {
                let mut picture = blank();
                model.generate(&z, &with, steps, &mut picture).unwrap();
                picture.rgba
            });
            let squares = a.iter().zip(&b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>();
            let decibels = 10.0 * f64::log10(255.0 * 255.0 * a.len() as f64 / squares.max(1e-9));
            println!("genre {genre}, {steps} steps: {decibels:.1} dB");
            assert!(decibels > 40.0, "genre {genre}, {steps} steps: {decibels}");
        }
    }
}

#[test]
fn the_bytes_of_a_picture_are_its_floats_within_the_dither_and_opaque() {
    for mut model in models() {
        let with = Conditioning::default();
        for z in [noise(12, 20), noise(8, 4)] {
            let raw = model.generate_raw(&z, &with, 1).unwrap();
            let mut picture = blank();
            model.generate(&z, &with, 1, &mut picture).unwrap();
            assert_eq!((picture.height, picture.width), (8 * z.shape.height, 8 * z.shape.width));
            assert_eq!((picture.stamp.hop, picture.rgba.len()), (3, 4 * picture.height * picture.width));
            for (i, pixel) in picture.rgba.as_chunks::<4>().0.iter().enumerate() {
                assert_eq!(pixel[3], 255);
                for (c, byte) in pixel[..3].iter().enumerate() {
                    let value = (raw.image[c * picture.height * picture.width + i] * 127.5 + 127.5).clamp(0.0, 255.0);
                    assert!((f32::from(*byte) - value).abs() < 1.0, "{byte} for {value}");
                }
            }
        }
    }
}

#[test]
fn the_same_latent_gives_the_same_bytes_whatever_was_painted_before_and_on_any_number_of_threads() {
    let weights = Weights::parse(WEIGHTS).unwrap();
    let with = Conditioning { scene: vec![0.5], vivid: 0.3, ..Conditioning::default() };
    let paint = |model: &mut Embedded, z: &Latent, with: &Conditioning, steps| {
        let mut picture = blank();
        model.generate(z, with, steps, &mut picture).unwrap();
        picture.rgba
    };
    let mut one = Embedded::new(&weights, Way::of(Instructions::best(), Precision::Auto), &Pool::new(1)).unwrap();
    let expected = paint(&mut one, &noise(16, 12), &with, 2);
    let mut three = Embedded::new(&weights, Way::of(Instructions::best(), Precision::Auto), &Pool::new(3)).unwrap();
    paint(&mut three, &noise(16, 12), &Conditioning::default(), 4);
    paint(&mut three, &noise(8, 20), &with, 1);
    assert!(paint(&mut three, &noise(16, 12), &with, 2) == expected);
}

#[test]
fn genre_weights_count_by_their_share_and_none_means_all() {
    let weights = Weights::parse(WEIGHTS).unwrap();
    let mut model = Embedded::new(&weights, Way::of(Instructions::best(), Precision::Auto), &Pool::new(2)).unwrap();
    let mut latent_of = |genres: &[f32]| {
        let with = Conditioning { genres: genres.to_vec(), ..Conditioning::default() };
        model.generate_raw(&noise(8, 8), &with, 1).unwrap().latent
    };
    assert_eq!(latent_of(&[1.0, 1.0]), latent_of(&[7.0, 7.0, -3.0, f32::NAN]));
    assert_eq!(latent_of(&[]), latent_of(&[0.5; 8]));
    assert_ne!(latent_of(&[1.0]), latent_of(&[0.0, 1.0]));
}

#[test]
fn what_does_not_fit_is_refused_in_a_sentence_and_the_model_goes_on() {
    let weights = Weights::parse(WEIGHTS).unwrap();
    let mut model = Embedded::new(&weights, Way::of(Instructions::best(), Precision::Auto), &Pool::new(2)).unwrap();
    let mut picture = blank();
    for (height, width) in [(6, 8), (8, 0), (8, 516)] {
        let error = model.generate(&noise(height, width), &Conditioning::default(), 1, &mut picture).unwrap_err();
        assert!(error.to_string().contains("multiples of 4"), "{error}");
    }
    let short = Latent { values: Arc::new([0.0; 7]), ..noise(8, 8) };
    assert!(model.generate(&short, &Conditioning::default(), 1, &mut picture).is_err());
    let with = Conditioning { context: vec![0.0; 65], ..Conditioning::default() };
    let error = model.generate(&noise(8, 8), &with, 1, &mut picture).unwrap_err();
    assert!(error.to_string().contains("64 numbers each"), "{error}");
    assert!(model.generate(&noise(8, 8), &Conditioning::default(), 9, &mut picture).is_ok());
}

#[test]
fn broken_numbers_in_latent_and_conditioning_leave_no_trace_in_the_next_picture() {
    let weights = Weights::parse(WEIGHTS).unwrap();
    let mut model = Embedded::new(&weights, Way::of(Instructions::best(), Precision::Auto), &Pool::new(2)).unwrap();
    let mut paint = |z: &Latent, with: &Conditioning| {
        let mut picture = blank();
        model.generate(z, with, 1, &mut picture).unwrap();
        picture.rgba
    };
    let calm = Conditioning::default();
    let before = paint(&noise(8, 8), &calm);
    let broken = Conditioning { vivid: f32::NAN, bright: f32::INFINITY, scene: vec![f32::NAN; 9], ..calm.clone() };
    paint(&latent(8, 8, vec![f32::NAN; 256]), &broken);
    assert!(paint(&noise(8, 8), &calm) == before);
}

#[test]
fn a_picture_goes_through_the_encoder_to_a_finite_latent() {
    let model = models().next().unwrap();
    let picture = Picture { width: 32, height: 16, rgba: vec![128; 4 * 32 * 16], ..blank() };
    let latent = model.encode(&picture).unwrap();
    assert!(latent.len() == 4 * 4 * 2 && latent.iter().all(|v| v.is_finite()));
    assert!(model.encode(&Picture { width: 30, ..picture }).is_err());
}

#[test]
fn the_cost_is_that_which_network_py_counts() {
    let model = models().next().unwrap();
    let gflop = |height, width, steps| model.flops(Shape { channels: 4, height, width }, steps) as f64 / 1e9;
    // `python models/training/network.py` prints 6.89 for one step at 512x512.
    assert!((gflop(64, 64, 1) - 6.89).abs() < 0.01, "{}", gflop(64, 64, 1));
    let denoiser = gflop(64, 64, 2) - gflop(64, 64, 1);
    assert!((gflop(64, 64, 4) - gflop(64, 64, 1) - 3.0 * denoiser).abs() < 1e-9);
}

fn best() -> Embedded {
    Embedded::new(&Weights::parse(WEIGHTS).unwrap(), Way::of(Instructions::best(), Precision::Auto), &Pool::new(2))
        .unwrap()
}

fn at_hop(hop: u64, turn: usize) -> Latent {
    let mut latent = noise(16, 16);
    let mut values = latent.values.to_vec();
    values.rotate_left(turn);
    latent.values = values.into();
    latent.stamp.hop = hop;
    latent
}

#[test]
fn feedback_that_is_off_is_bit_equal_and_films_with_it_repeat() {
    let play = |feedback: Feedback| {
        let mut model = best();
        let with = Conditioning { feedback, genres: vec![1.0], ..Conditioning::default() };
        let picture = |hop| {
            let mut picture = blank();
            model.generate(&at_hop(hop, hop as usize), &with, 1, &mut picture).unwrap();
            picture.rgba
        };
        (1..5).map(picture).collect::<Vec<_>>()
    };
    let moving = Feedback { strength: 0.0, zoom: 1.0, pan_x: 0.3, pan_y: 0.2, rotate: 10.0 };
    let off = play(Feedback::default());
    assert_eq!(play(moving), off);
    let on = Feedback { strength: 0.8, ..moving };
    let fed = play(on);
    assert_eq!(fed, play(on));
    assert!(fed[0] == off[0] && fed[3] != off[3]);
}

#[test]
fn the_more_of_the_last_picture_stays_the_less_the_next_one_differs_from_it() {
    let change = |strength: f32| {
        let mut model = best();
        let feedback = Feedback { strength, ..Feedback::default() };
        let with = Conditioning { feedback, genres: vec![1.0], ..Conditioning::default() };
        let first = model.generate_raw(&at_hop(1, 0), &with, 1).unwrap().image;
        let next = model.generate_raw(&at_hop(2, 300), &with, 1).unwrap().image;
        first.iter().zip(&next).map(|(a, b)| (a - b).abs()).sum::<f32>()
    };
    let changes = [0.0, 0.4, 0.8, 1.0].map(change);
    assert!(changes.windows(2).all(|pair| pair[1] < pair[0]), "{changes:?}");
}

#[test]
fn a_picture_to_start_from_shows_through() {
    let mut model = best();
    let with = Conditioning { genres: vec![1.0], ..Conditioning::default() };
    let mut picture = blank();
    model.generate(&at_hop(1, 0), &with, 1, &mut picture).unwrap();
    let start = Some(Start { picture: Arc::new(picture.clone()), strength: 0.2 });
    let mut near = blank();
    model.generate(&at_hop(1, 300), &Conditioning { start, ..with.clone() }, 1, &mut near).unwrap();
    let mut far = blank();
    model.generate(&at_hop(1, 300), &with, 1, &mut far).unwrap();
    let distance = |p: &Picture| p.rgba.iter().zip(&picture.rgba).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>();
    assert!(2 * distance(&near) < distance(&far), "{} {}", distance(&near), distance(&far));
    let start = Some(Start { picture: Arc::new(picture.clone()), strength: 0.5 });
    let error = model.generate(&noise(8, 8), &Conditioning { start, ..with }, 1, &mut near).unwrap_err();
    assert!(error.to_string().contains("the picture to start from is 128x128"), "{error}");
}

/// Means over the picture: distance from grey, and from the pixel beside.
fn colour_and_edges(image: &[f32]) -> [f32; 2] {
    let plane = image.len() / 3;
    let apart = |i: usize| {
        let (r, g, b) = (image[i], image[plane + i], image[2 * plane + i]);
        (g - (r + b) / 2.0).abs() + (r - b).abs()
    };
    let edges = image.windows(2).map(|pair| (pair[0] - pair[1]).abs()).sum::<f32>();
    [(0..plane).map(apart).sum::<f32>() / plane as f32, edges / image.len() as f32]
}

#[test]
fn what_is_fed_back_for_seconds_grows_neither_colours_nor_stripes() {
    let slow = Feedback { strength: 0.85, zoom: 0.1, rotate: 2.0, ..Feedback::default() };
    let fast = Feedback { strength: 0.97, zoom: 0.8, rotate: 6.0, ..Feedback::default() };
    let count = best().card().genres.len();
    for (genre, feedback) in (0..count).flat_map(|genre| [(genre, slow), (genre, fast)]) {
        let mut model = best();
        let mut genres = vec![0.0; count];
        genres[genre] = 1.0;
        let mut paint = |hop, feedback| {
            let with = Conditioning { feedback, genres: genres.clone(), ..Conditioning::default() };
            colour_and_edges(&model.generate_raw(&at_hop(hop, 0), &with, 1).unwrap().image)
        };
        let alone = paint(0, Feedback::default());
        let most = (1..150).map(|hop| paint(hop, feedback)).fold([0.0_f32; 2], |a, b| [a[0].max(b[0]), a[1].max(b[1])]);
        println!("genre {genre}, zoom {}: {most:.3?} from {alone:.3?}", feedback.zoom);
        assert!(most[0] < 1.4 * alone[0] + 0.05 && most[1] < 2.0 * alone[1], "genre {genre}: {most:?} from {alone:?}");
    }
}
