//! The screen, filmed while it plays: frames go from the graphics device to a thread of their own, and nothing waits.
//!
//! The compositor draws the film's frame in the same submission as the screen's, into a texture that belongs to the film,
//! and asks for it to be copied into one of a few buffers. When the device has done so, sooner or later, the buffer itself
//! goes to the film's thread, which reads it and hands it back. If all buffers are away the frame is left out: the film
//! shows the one before a little longer, the screen has it all the same.

use crossbeam_channel::{Receiver, Sender};

use super::gpu::create_texture;

/// sRGB values as they are: what a film takes.
pub(super) const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;
/// Buffers on their way: the device is some frames behind, the encoder some more.
pub(super) const BUFFERS: usize = 6;

/// A frame of the film, readable now.
#[derive(Debug)]
pub struct Shot {
    /// Which frame of the film, counted from 0.
    pub number: u64,
    pub buffer: wgpu::Buffer,
    /// Bytes from one row to the next.
    pub row_bytes: u32,
}

/// Films what a compositor shows. Lives on the thread that makes frames.
#[derive(Debug)]
pub struct Camera {
    device: wgpu::Device,
    size: (u32, u32),
    fps: f64,
    texture: wgpu::Texture,
    pub(super) view: wgpu::TextureView,
    row_bytes: u32,
    begun_secs: Option<f64>,
    next: u64,
    shots: Sender<Shot>,
    free: Receiver<wgpu::Buffer>,
}

impl Camera {
    /// `shots` takes what was filmed, `free` brings the buffers back; both hold [`BUFFERS`].
    pub(super) fn new(
        device: &wgpu::Device,
        size: (u32, u32),
        fps: f64,
        shots: Sender<Shot>,
        (give, free): (&Sender<wgpu::Buffer>, Receiver<wgpu::Buffer>),
    ) -> Self {
        let texture = create_texture(device, "stage film", size, FORMAT, 1);
        let row_bytes = (4 * size.0).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
        for _ in 0..BUFFERS {
            let buffer = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("stage film"),
                size: u64::from(row_bytes) * u64::from(size.1),
                usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                mapped_at_creation: false,
            });
            // There is room for as many as there are.
            let _ = give.try_send(buffer);
        }
        Self {
            device: device.clone(),
            size,
            fps,
            view: texture.create_view(&Default::default()),
            texture,
            row_bytes,
            begun_secs: None,
            next: 0,
            shots,
            free,
        }
    }

    /// The film's frame for this moment and a buffer for it; None while it has one, or no buffer is there.
    pub(super) fn due(&mut self, now_secs: f64) -> Option<(u64, wgpu::Buffer)> {
        let begun_secs = *self.begun_secs.get_or_insert(now_secs);
        // A frame that comes a little early, by the jitter of the screen, is the one that is due.
        let number = ((now_secs - begun_secs) * self.fps + 0.25).max(0.0) as u64;
        if number < self.next {
            return None;
        }
        let buffer = self.free.try_recv().ok()?;
        self.next = number + 1;
        Some((number, buffer))
    }

    pub(super) fn copy(&self, encoder: &mut wgpu::CommandEncoder, buffer: &wgpu::Buffer) {
        let layout =
            wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(self.row_bytes), rows_per_image: None };
        encoder.copy_texture_to_buffer(
            self.texture.as_image_copy(),
            wgpu::TexelCopyBufferInfo { buffer, layout },
            wgpu::Extent3d { width: self.size.0, height: self.size.1, depth_or_array_layers: 1 },
        );
    }

    /// The frame has been submitted: it goes to the film's thread as soon as the device is done with it.
    pub(super) fn submitted(&self, number: u64, buffer: wgpu::Buffer) {
        let (shots, row_bytes, to_read) = (self.shots.clone(), self.row_bytes, buffer.clone());
        buffer.map_async(wgpu::MapMode::Read, .., move |mapped| {
            if mapped.is_ok() {
                // As many as there are buffers have room; if the film has ended nobody wants it.
                let _ = shots.try_send(Shot { number, buffer: to_read, row_bytes });
            }
        });
    }

    /// Lets the device say what is done, without waiting for it.
    pub(super) fn poll(&self) {
        if let Err(error) = self.device.poll(wgpu::PollType::Poll) {
            tracing::debug!("{error}");
        }
    }

    /// Waits for what is on its way; for the end of the program, when no more frames come.
    pub(super) fn settle(&self) {
        if let Err(error) = self.device.poll(wgpu::PollType::wait_indefinitely()) {
            tracing::debug!("{error}");
        }
    }
}
