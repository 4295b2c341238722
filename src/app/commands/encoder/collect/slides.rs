//! The pictures that are looked at: all of them once a round, each round in another order, the next one read while one is
//! shown.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, bounded};
use image::{ImageReader, RgbaImage, imageops::FilterType};

use crate::signal::Random;

/// Longest side of a picture in memory.
const LONGEST_PX: u32 = 1920;

pub struct Slides(Receiver<Slide>);

/// A picture and its number.
pub struct Slide {
    pub at: usize,
    pub image: RgbaImage,
}

impl Slides {
    /// What cannot be read is told and passed over; the slides end if that is all of them.
    pub fn start(paths: Vec<PathBuf>, seed: u64) -> Result<Self> {
        let (send, slides) = bounded(1);
        let body = move || {
            let mut random = Random::new(seed);
            let (mut told, mut last) = (vec![false; paths.len()], None);
            loop {
                let mut shown = false;
                for at in round(paths.len(), last, &mut random) {
                    match read(&paths[at]) {
                        Ok(image) => {
                            (shown, last) = (true, Some(at));
                            if send.send(Slide { at, image }).is_err() {
                                return;
                            }
                        }
                        Err(why) if !std::mem::replace(&mut told[at], true) => {
                            eprintln!("{}: is not shown ({why})", paths[at].display());
                        }
                        Err(_) => {}
                    }
                }
                if !shown {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("slides".into()).spawn(body).context("no thread for the pictures")?;
        Ok(Self(slides))
    }

    /// The next one; waits for it if it is not read yet.
    pub fn next(&self) -> Option<Slide> {
        self.0.recv().ok()
    }
}

/// Every number below `count` once; not first the one that was last.
fn round(count: usize, last: Option<usize>, random: &mut Random) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        order.swap(i, (random.unit() * (i + 1) as f64) as usize);
    }
    if count > 1 && order.first().copied() == last {
        order.swap(0, count - 1);
    }
    order
}

fn read(path: &Path) -> Result<RgbaImage, String> {
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(|e| e.to_string())?;
    let image = reader.decode().map_err(|e| e.to_string())?;
    let large = image.width().max(image.height()) > LONGEST_PX;
    let image = if large { image.resize(LONGEST_PX, LONGEST_PX, FilterType::CatmullRom) } else { image };
    Ok(image.to_rgba8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_has_each_picture_once_and_never_the_same_twice_in_a_row() {
        let mut random = Random::new(5);
        let mut last = None;
        let mut firsts = std::collections::BTreeSet::new();
        for _ in 0..40 {
            let order = round(4, last, &mut random);
            assert_ne!(order.first().copied(), last);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3]);
            firsts.insert(order[0]);
            last = order.last().copied();
        }
        assert_eq!(firsts.len(), 4);
        assert_eq!(round(1, Some(0), &mut random), [0]);
    }

    #[test]
    fn what_is_no_picture_is_passed_over_and_nothing_but_such_is_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let (good, bad) = (folder.path().join("good.png"), folder.path().join("bad.png"));
        RgbaImage::from_pixel(3, 2, image::Rgba([9, 8, 7, 255])).save(&good).unwrap();
        std::fs::write(&bad, b"no picture").unwrap();
        let slides = Slides::start(vec![bad.clone(), good], 1).unwrap();
        for _ in 0..3 {
            let slide = slides.next().unwrap();
            assert_eq!((slide.at, slide.image.dimensions()), (1, (3, 2)));
        }
        assert!(Slides::start(vec![bad], 1).unwrap().next().is_none());
    }
}
