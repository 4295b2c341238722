//! The film of the screen: what the screen showed, at the film's own rate, without the screen ever waiting for it.
//! Without an adapter these tests say so and check nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on shall stop")]

mod stage_pictures;

use std::{path::Path, time::Duration};

use stage_pictures::{aurora, headless, signal};
use wavedream::stage::{FrameClock, Headless, Look, film::ScreenFilm};

const SIZE: (u32, u32) = (96, 54);

/// Draws the frame of this moment, a little darker each time, gives the film's thread time, and returns the screen.
fn frame(stage: &mut Headless, time_secs: f64) -> Vec<u8> {
    let clock = FrameClock { time_secs, delta_secs: 1.0 / 60.0, frame: (time_secs * 60.0) as u64 };
    let look = Look { master: 1.0 - time_secs as f32 * 0.5, ..Look::default() };
    let screen = stage.frame(&clock, &look, &signal(1.0)).unwrap();
    std::thread::sleep(Duration::from_millis(8));
    screen
}

fn start(stage: &mut Headless, path: &Path) -> ScreenFilm {
    stage.compositor().show(&aurora(96, 54));
    let (device, size) = (stage.compositor().device().clone(), stage.compositor().size());
    let (film, camera) = ScreenFilm::start(path, &device, size, 30.0).unwrap();
    stage.compositor().film(Some(camera));
    film
}

fn pictures(folder: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| image::open(file).unwrap().to_rgba8().into_raw()).collect()
}

#[test]
fn a_film_at_half_the_rate_of_the_screen_has_every_second_frame_of_it() {
    let Some(mut stage) = headless(SIZE) else { return };
    let folder = tempfile::tempdir().unwrap();
    let film = start(&mut stage, folder.path());
    // The screen's frames are not quite on the beat.
    let jitter = |n: u64| if n.is_multiple_of(3) { 0.002 } else { -0.001 };
    let screens: Vec<_> = (0..40).map(|n| frame(&mut stage, n as f64 / 60.0 + 0.01 + jitter(n))).collect();
    stage.compositor().end_film();
    let made = film.finish().unwrap();
    assert_eq!((made.frames, made.repeated, made.left_out), (20, 0, 0));
    for (filmed, screen) in pictures(folder.path()).iter().zip(screens.iter().step_by(2)) {
        let most = filmed.iter().zip(screen).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(most <= Some(1), "{most:?}");
    }
}

#[test]
fn frames_that_were_missed_are_repeated_so_that_the_film_keeps_its_length() {
    let Some(mut stage) = headless(SIZE) else { return };
    let folder = tempfile::tempdir().unwrap();
    let film = start(&mut stage, folder.path());
    for time_secs in [0.0, 1.0 / 30.0, 8.0 / 30.0, 9.0 / 30.0] {
        frame(&mut stage, time_secs);
    }
    assert!(!film.has_ended());
    stage.compositor().end_film();
    let made = film.finish().unwrap();
    assert_eq!((made.frames, made.repeated), (10, 6));
    let shown = pictures(folder.path());
    assert!(shown[1..8].iter().all(|picture| *picture == shown[1]));
    assert!(shown[0] != shown[1] && shown[8] != shown[7]);
}

#[test]
fn the_screen_goes_on_when_the_film_cannot_be_written() {
    let Some(mut stage) = headless(SIZE) else { return };
    let folder = tempfile::tempdir().unwrap();
    let film = start(&mut stage, &folder.path().join("no/such/folder/film.mp4"));
    let before = frame(&mut stage, 0.0);
    // More frames than there are buffers, which nobody brings back.
    let after = (1..30).map(|n| frame(&mut stage, f64::from(n) / 30.0)).last().unwrap();
    assert_ne!(before, after);
    stage.compositor().end_film();
    let error = film.finish().unwrap_err().to_string();
    assert!(error.contains("no/such/folder") && error.contains("does not exist"), "{error}");
}

#[test]
fn a_film_survives_a_window_of_another_size() {
    let Some(mut stage) = headless(SIZE) else { return };
    let folder = tempfile::tempdir().unwrap();
    let film = start(&mut stage, folder.path());
    frame(&mut stage, 0.0);
    // The screen's own target cannot be resized here; the film's has another size than the stage all the same.
    let (film_2, camera) = {
        let device = stage.compositor().device().clone();
        ScreenFilm::start(&folder.path().join("small"), &device, (48, 37), 30.0).unwrap()
    };
    stage.compositor().film(Some(camera));
    let screen = frame(&mut stage, 1.0 / 30.0);
    stage.compositor().end_film();
    assert_eq!(film.finish().unwrap().frames, 1);
    assert_eq!(film_2.finish().unwrap().frames, 1);
    let small = pictures(&folder.path().join("small")).remove(0);
    assert_eq!(small.len(), 4 * 48 * 36, "even sides");
    let mean = |rgba: &[u8]| rgba.iter().map(|value| f64::from(*value)).sum::<f64>() / rgba.len() as f64;
    assert!((mean(&small) - mean(&screen)).abs() < 4.0, "the whole picture, smaller");
}
