//! Samples from the sound card's call-back to a thread that polls: written without allocation, lock or wait. Who reads
//! too slowly loses the oldest, and is told how many.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// A ring of samples with one writer and one reader.
#[derive(Debug)]
pub struct SampleRing {
    slots: Box<[AtomicU32]>,
    written: AtomicU64,
    /// Samples of a frame: what is lost are whole frames.
    frame: usize,
}

impl SampleRing {
    /// Room for twice as many samples as may be behind, for blocks of at most half of it: what the writer is just
    /// overwriting is never told as heard.
    pub fn new(samples: usize, frame: usize) -> Self {
        let frame = frame.max(1);
        let length = 2 * samples.div_ceil(frame).max(1) * frame;
        Self { slots: (0..length).map(|_| AtomicU32::new(0)).collect(), written: AtomicU64::new(0), frame }
    }

    /// Lives on the audio thread.
    pub fn write(&self, samples: impl Iterator<Item = f32>) {
        let mut at = self.written.load(Ordering::Relaxed);
        // Whoever sees a sample of this block sees also how far the blocks before it went.
        fence(Ordering::Release);
        for sample in samples {
            self.slots[(at % self.slots.len() as u64) as usize].store(sample.to_bits(), Ordering::Relaxed);
            at += 1;
        }
        self.written.store(at, Ordering::Release);
    }

    /// Appends what was written since `read`; returns how many samples are lost.
    pub fn read(&self, read: &mut u64, out: &mut Vec<f32>) -> usize {
        let written = self.written.load(Ordering::Acquire);
        let most = (self.slots.len() / 2) as u64;
        let behind = written.saturating_sub(*read);
        let mut dropped = 0;
        if behind > most {
            dropped = (behind - most).div_ceil(self.frame as u64) * self.frame as u64;
            *read += dropped;
        }
        let (first, kept) = (*read, out.len());
        while *read < written {
            let slot = &self.slots[(*read % self.slots.len() as u64) as usize];
            out.push(f32::from_bits(slot.load(Ordering::Relaxed)));
            *read += 1;
        }
        // A reader that was held up meanwhile may have read what the writer came round to: that is lost too.
        fence(Ordering::Acquire);
        let oldest = self.written.load(Ordering::Relaxed).saturating_sub(most);
        if oldest > first {
            let late = (oldest - first).div_ceil(self.frame as u64) * self.frame as u64;
            let late = late.min(written - first);
            out.drain(kept..kept + late as usize);
            dropped += late;
        }
        dropped as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_in_time_comes_whole_and_in_order() {
        let ring = SampleRing::new(64, 2);
        let (mut read, mut out) = (0, Vec::new());
        for block in 0..100 {
            ring.write((0..30).map(|n| (block * 30 + n) as f32));
            assert_eq!(ring.read(&mut read, &mut out), 0);
        }
        assert!(out.iter().enumerate().all(|(n, x)| *x == n as f32) && out.len() == 3000);
    }

    #[test]
    fn who_reads_too_slowly_loses_whole_frames_and_is_told() {
        let ring = SampleRing::new(64, 2);
        let (mut read, mut out) = (0, Vec::new());
        ring.write((0..1001).map(|n| n as f32));
        let dropped = ring.read(&mut read, &mut out);
        assert!(dropped.is_multiple_of(2) && out[0] == dropped as f32);
        assert_eq!((dropped + out.len(), *out.last().unwrap()), (1001, 1000.0));
    }

    #[test]
    fn a_writer_on_another_thread_loses_nothing_unseen() {
        let ring = std::sync::Arc::new(SampleRing::new(4096, 1));
        let writer = std::sync::Arc::clone(&ring);
        let thread = std::thread::spawn(move || {
            for block in 0..2000u32 {
                writer.write((0..64).map(|n| (block * 64 + n) as f32));
                if block % 16 == 0 {
                    std::thread::yield_now();
                }
            }
        });
        let (mut read, mut expected) = (0, 0u64);
        while expected < 128_000 {
            let mut out = Vec::new();
            expected += ring.read(&mut read, &mut out) as u64;
            for x in out {
                assert_eq!(x, expected as f32);
                expected += 1;
            }
        }
        thread.join().unwrap();
    }
}
