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
/// Larger pictures are thinned out until they fit: a phone shows no more.
const LARGEST_PX: usize = 512;
const QUALITY: u8 = 72;

/// Makes pictures small.
pub struct Studio {
    board: Arc<Board>,
    latest: Mutex<Option<Print>>,
}

/// A picture as it is sent.
#[derive(Clone)]
pub struct Print {
    pub number: u64,
    pub jpeg: Bytes,
    made: Instant,
}

impl Studio {
    pub fn new(board: Arc<Board>) -> Self {
        Self { board, latest: Mutex::new(None) }
    }

    /// The newest picture, at most [`PERIOD`] old; none before the first.
    pub async fn print(&self) -> Option<Print> {
        let mut latest = self.latest.lock().await;
        if latest.as_ref().is_none_or(|print| print.made.elapsed() >= PERIOD) {
            let board = Arc::clone(&self.board);
            let had = latest.as_ref().map(|print| print.number);
            let made =
                spawn_blocking(move || board.picture(had).and_then(|picture| Some((picture.number, jpeg(&picture)?))));
            match made.await {
                Ok(Some((number, jpeg))) => *latest = Some(Print { number, jpeg: jpeg.into(), made: Instant::now() }),
                // The same picture still.
                Ok(None) => {
                    if let Some(print) = latest.as_mut() {
                        print.made = Instant::now();
                    }
                }
                Err(error) => tracing::warn!("the live picture: {error}"),
            }
        }
        latest.clone()
    }
}

/// None for a picture that is none.
fn jpeg(picture: &Picture) -> Option<Vec<u8>> {
    let Picture { width, height, rgba, .. } = picture;
    if rgba.len() != 4 * width * height || rgba.is_empty() {
        return None;
    }
    let step = width.max(height).div_ceil(LARGEST_PX);
    let rows = rgba.chunks_exact(4 * width).step_by(step);
    let rgb: Vec<u8> =
        rows.flat_map(|row| row.chunks_exact(4).step_by(step)).flat_map(|p| [p[0], p[1], p[2]]).collect();
    let [width, height] = [*width, *height].map(|side| u32::try_from(side.div_ceil(step)).unwrap_or(u32::MAX));
    let mut out = Vec::with_capacity(rgb.len() / 8);
    let encoded = JpegEncoder::new_with_quality(&mut out, QUALITY).encode(&rgb, width, height, ExtendedColorType::Rgb8);
    encoded.inspect_err(|error| tracing::warn!("the live picture: {error}")).ok().map(|()| out)
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
        let bytes = jpeg(&picture(96, 64)).unwrap();
        let read = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(read.dimensions(), (96, 64));
        let corner = read.get_pixel(90, 60).0;
        assert!(corner[0] > 220 && corner[1] > 220 && corner[2] < 80, "{corner:?}");
    }

    #[test]
    fn a_large_picture_is_thinned_out_and_a_broken_one_is_none() {
        let read = image::load_from_memory(&jpeg(&picture(1030, 515)).unwrap()).unwrap();
        assert_eq!((read.width(), read.height()), (344, 172));
        assert_eq!(jpeg(&Picture { number: 1, width: 4, height: 4, rgba: vec![0; 3] }), None);
        assert_eq!(jpeg(&Picture { number: 1, width: 0, height: 0, rgba: Vec::new() }), None);
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
            assert_eq!(runtime.block_on(studio.print()).unwrap().number, 7);
        }
        assert_eq!(COPIES.load(Ordering::Relaxed), 1);
        std::thread::sleep(PERIOD);
        assert_eq!(runtime.block_on(studio.print()).unwrap().number, 7);
        assert_eq!(COPIES.load(Ordering::Relaxed), 2);
    }
}
