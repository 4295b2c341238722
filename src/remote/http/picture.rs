//! The live picture as a JPEG: made when somebody asks, and for all who ask together.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::body::Bytes;
use image::{ExtendedColorType, codecs::jpeg::JpegEncoder};
use tokio::{sync::Mutex, task::spawn_blocking};

use crate::remote::board::{Board, Picture};

/// No more than eight pictures a second: enough to follow, little beside thirty.
const PERIOD: Duration = Duration::from_millis(120);
/// On a machine that is busy, at most this part of the time goes into making pictures small.
const SHARE: u32 = 20;
/// Larger pictures are made smaller until they fit: a phone shows no more.
const LARGEST_PX: usize = 512;
/// For the corner of the page: a quarter of the work.
const SMALL_PX: usize = 256;
const QUALITY: u8 = 72;

/// Makes pictures small.
pub struct Studio {
    board: Arc<Board>,
    small: Mutex<Option<Print>>,
    large: Mutex<Option<Print>>,
}

/// A picture as it is sent.
#[derive(Clone)]
pub struct Print {
    pub number: u64,
    pub jpeg: Bytes,
    again_at: Instant,
}

impl Studio {
    pub fn new(board: Arc<Board>) -> Self {
        Self { board, small: Mutex::new(None), large: Mutex::new(None) }
    }

    /// The newest picture, or the one before while that is fresh; none before the first.
    pub async fn print(&self, small: bool) -> Option<Print> {
        let (slot, largest_px) = if small { (&self.small, SMALL_PX) } else { (&self.large, LARGEST_PX) };
        let mut latest = slot.lock().await;
        if latest.as_ref().is_none_or(|print| print.again_at <= Instant::now()) {
            let board = Arc::clone(&self.board);
            let had = latest.as_ref().map(|print| print.number);
            let begun = Instant::now();
            let make =
                move || board.picture(had).and_then(|picture| Some((picture.number, jpeg(&picture, largest_px)?)));
            let made = spawn_blocking(make).await.inspect_err(|error| tracing::warn!("the live picture: {error}"));
            let again_at = Instant::now() + PERIOD.max(begun.elapsed() * SHARE);
            match made.ok().flatten() {
                Some((number, jpeg)) => *latest = Some(Print { number, jpeg: jpeg.into(), again_at }),
                // The same picture still.
                None => {
                    if let Some(print) = latest.as_mut() {
                        print.again_at = again_at;
                    }
                }
            }
        }
        latest.clone()
    }
}

/// None for a picture that is none.
fn jpeg(picture: &Picture, largest_px: usize) -> Option<Vec<u8>> {
    let Picture { width, height, rgba, .. } = picture;
    if rgba.len() != 4 * width * height || rgba.is_empty() {
        return None;
    }
    let step = width.max(height).div_ceil(largest_px);
    let (wide, high) = ((width / step).max(1), (height / step).max(1));
    let mut rgb = Vec::with_capacity(3 * wide * high);
    for y in 0..high {
        for x in 0..wide {
            rgb.extend(mean(rgba, *width, [x * step, y * step], [step.min(*width), step.min(*height)]));
        }
    }
    let (wide, high) = (u32::try_from(wide).ok()?, u32::try_from(high).ok()?);
    let mut out = Vec::with_capacity(rgb.len() / 8);
    let encoded = JpegEncoder::new_with_quality(&mut out, QUALITY).encode(&rgb, wide, high, ExtendedColorType::Rgb8);
    encoded.inspect_err(|error| tracing::warn!("the live picture: {error}")).ok().map(|()| out)
}

/// The mean colour of a block.
fn mean(rgba: &[u8], width: usize, [left, top]: [usize; 2], [across, down]: [usize; 2]) -> [u8; 3] {
    let mut sum = [0; 3];
    for y in top..top + down {
        for pixel in rgba[4 * (y * width + left)..][..4 * across].as_chunks::<4>().0.iter() {
            (0..3).for_each(|c| sum[c] += usize::from(pixel[c]));
        }
    }
    sum.map(|sum| (sum / (across * down)) as u8)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn picture(width: usize, height: usize) -> Picture {
        let pixel = |at: usize| [(at % width * 255 / width) as u8, (at / width * 255 / height) as u8, 40, 255];
        Picture { number: 7, width, height, rgba: (0..width * height).flat_map(pixel).collect() }
    }

    #[test]
    fn a_picture_becomes_a_jpeg_that_looks_like_it() {
        let bytes = jpeg(&picture(96, 64), 512).unwrap();
        let read = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(read.dimensions(), (96, 64));
        let corner = read.get_pixel(90, 60).0;
        assert!(corner[0] > 220 && corner[1] > 220 && corner[2] < 80, "{corner:?}");
    }

    #[test]
    fn a_large_picture_is_made_smaller_and_a_broken_one_is_none() {
        let read = image::load_from_memory(&jpeg(&picture(1030, 515), 512).unwrap()).unwrap();
        assert_eq!((read.width(), read.height()), (343, 171));
        let thin = image::load_from_memory(&jpeg(&picture(900, 1), 256).unwrap()).unwrap();
        assert_eq!((thin.width(), thin.height()), (225, 1));
        assert_eq!(jpeg(&Picture { number: 1, width: 4, height: 4, rgba: vec![0; 3] }, 512), None);
        assert_eq!(jpeg(&Picture { number: 1, width: 0, height: 0, rgba: Vec::new() }, 512), None);
    }

    #[test]
    fn many_who_ask_at_once_get_one_print() {
        static COPIES: AtomicUsize = AtomicUsize::new(0);
        let pictures = |unless: Option<u64>| {
            COPIES.fetch_add(1, Ordering::Relaxed);
            (unless != Some(7)).then(|| picture(16, 16))
        };
        let studio = Studio::new(Arc::new(Board::new(Box::new(pictures))));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for _ in 0..5 {
            assert_eq!(runtime.block_on(studio.print(true)).unwrap().number, 7);
        }
        assert_eq!(COPIES.load(Ordering::Relaxed), 1);
        let again_at = runtime.block_on(studio.print(true)).unwrap().again_at;
        std::thread::sleep(again_at.saturating_duration_since(Instant::now()));
        assert_eq!(runtime.block_on(studio.print(true)).unwrap().number, 7);
        assert_eq!(COPIES.load(Ordering::Relaxed), 2);
    }
}
