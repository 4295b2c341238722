//! A stage without a window: a device of its own, and frames read back as bytes.
//!
//! Two frames may be on their way at once: while one is read back the next is drawn.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use crossbeam_channel::{Receiver, bounded};

use super::{Compositor, FrameClock, Look, ShaderLibrary, SignalTrace, StageError, gpu, gpu::Precision};
use crate::diffusion::Picture;

/// sRGB values as they are: what is read back is what a film takes.
const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;
/// Frames that may be on their way.
pub const IN_FLIGHT: usize = 2;

struct Pending {
    buffer: usize,
    submission: wgpu::SubmissionIndex,
    mapped: Receiver<Result<(), wgpu::BufferAsyncError>>,
}

/// Runs on the thread of whoever renders.
pub struct Headless {
    adapter: wgpu::AdapterInfo,
    device: wgpu::Device,
    queue: wgpu::Queue,
    compositor: Compositor,
    target: wgpu::Texture,
    view: wgpu::TextureView,
    row_bytes: u32,
    buffers: [wgpu::Buffer; IN_FLIGHT],
    free: Vec<usize>,
    pending: VecDeque<Pending>,
    failure: Arc<Mutex<Option<String>>>,
}

impl Headless {
    /// Takes the fastest adapter there is, a software one if need be.
    pub fn new(size: (u32, u32), library: ShaderLibrary) -> Result<Self, StageError> {
        Self::with_precision(size, library, Precision::Auto)
    }

    /// As [`Self::new`], with the precision between passes chosen.
    pub fn with_precision(size: (u32, u32), library: ShaderLibrary, precision: Precision) -> Result<Self, StageError> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
        let adapter = find_adapter(&instance)?;
        let info = adapter.get_info();
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("stage"),
            required_limits: adapter.limits(),
            ..Default::default()
        }))
        .map_err(|error| StageError::Device { adapter: info.name.clone(), why: error.to_string() })?;
        // The default handler panics. What goes wrong here is told by the next `fetch`.
        let failure = Arc::new(Mutex::new(None));
        let noted = failure.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            tracing::error!("graphics device: {error}");
            if let Ok(mut slot) = noted.lock() {
                slot.get_or_insert_with(|| error.to_string());
            }
        }));
        let compositor = Compositor::with_precision(device.clone(), queue.clone(), size, FORMAT, library, precision)?;
        let target = gpu::create_texture(&device, "stage target", size, FORMAT, 1);
        let row_bytes = (4 * size.0).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
        let buffers = [0; IN_FLIGHT].map(|_| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("stage read-back"),
                size: u64::from(row_bytes) * u64::from(size.1),
                usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                mapped_at_creation: false,
            })
        });
        Ok(Self {
            view: target.create_view(&Default::default()),
            adapter: info,
            device,
            queue,
            compositor,
            target,
            row_bytes,
            buffers,
            free: (0..IN_FLIGHT).rev().collect(),
            pending: VecDeque::new(),
            failure,
        })
    }

    /// Name of the adapter and how it is reached: "llvmpipe (LLVM 19.1.7, 256 bits), Vulkan".
    pub fn adapter(&self) -> String {
        format!("{}, {:?}", self.adapter.name, self.adapter.backend)
    }

    /// The adapter calculates on the CPU.
    pub fn is_software(&self) -> bool {
        self.adapter.device_type == wgpu::DeviceType::Cpu
    }

    pub fn compositor(&mut self) -> &mut Compositor {
        &mut self.compositor
    }

    /// Draws a frame and sends it on its way. At most [`IN_FLIGHT`] may be on their way: [`Self::fetch`] the oldest
    /// before submitting more.
    pub fn submit(&mut self, clock: &FrameClock, look: &Look, signal: &SignalTrace) -> Result<(), StageError> {
        let Some(buffer) = self.free.pop() else {
            return Err(StageError::ReadBack(format!("{IN_FLIGHT} frames are on their way already: fetch one first")));
        };
        self.compositor.frame(&self.view, clock, look, signal);
        let (width, height) = self.compositor.size();
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_texture_to_buffer(
            self.target.as_image_copy(),
            wgpu::TexelCopyBufferInfo {
                buffer: &self.buffers[buffer],
                layout: wgpu::TexelCopyBufferLayout {
                    offset: 0,
                    bytes_per_row: Some(self.row_bytes),
                    rows_per_image: None,
                },
            },
            wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        );
        let submission = self.queue.submit([encoder.finish()]);
        let (mapped_tx, mapped) = bounded(1);
        self.buffers[buffer].map_async(wgpu::MapMode::Read, .., move |result| {
            let _ = mapped_tx.try_send(result);
        });
        self.pending.push_back(Pending { buffer, submission, mapped });
        Ok(())
    }

    /// Waits for the oldest frame on its way and writes it to `rgba` (rows from the top, 4 bytes a pixel); false if
    /// none is on its way.
    pub fn fetch(&mut self, rgba: &mut Vec<u8>) -> Result<bool, StageError> {
        let Some(frame) = self.pending.pop_front() else {
            return Ok(false);
        };
        self.device
            .poll(wgpu::PollType::Wait { submission_index: Some(frame.submission), timeout: None })
            .map_err(|error| StageError::ReadBack(error.to_string()))?;
        match frame.mapped.try_recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(StageError::ReadBack(error.to_string())),
            Err(_) => return Err(StageError::ReadBack("the device did not answer".to_owned())),
        }
        let buffer = &self.buffers[frame.buffer];
        let row = 4 * self.compositor.size().0 as usize;
        rgba.clear();
        {
            let bytes = buffer.get_mapped_range(..);
            for line in bytes.chunks_exact(self.row_bytes as usize) {
                rgba.extend_from_slice(&line[..row]);
            }
        }
        buffer.unmap();
        self.free.push(frame.buffer);
        match self.failure.lock().ok().and_then(|mut slot| slot.take()) {
            Some(why) => Err(StageError::ReadBack(why)),
            None => Ok(true),
        }
    }

    /// Shows a picture, and waits until it lies on the device.
    pub fn upload(&mut self, picture: &Picture) -> Result<(), StageError> {
        self.compositor.show(picture);
        // What was written to textures goes with the next submission.
        self.queue.submit([]);
        self.settle()
    }

    /// Draws a frame and waits until it stands in the target, as a screen would have it: nothing is read back.
    pub fn draw(&mut self, clock: &FrameClock, look: &Look, signal: &SignalTrace) -> Result<(), StageError> {
        self.compositor.frame(&self.view, clock, look, signal);
        self.settle()
    }

    fn settle(&self) -> Result<(), StageError> {
        self.device
            .poll(wgpu::PollType::wait_indefinitely())
            .map(|_| ())
            .map_err(|error| StageError::ReadBack(error.to_string()))
    }

    /// One frame, drawn and read back.
    pub fn frame(&mut self, clock: &FrameClock, look: &Look, signal: &SignalTrace) -> Result<Vec<u8>, StageError> {
        let mut rgba = Vec::new();
        while self.fetch(&mut rgba)? {}
        self.submit(clock, look, signal)?;
        self.fetch(&mut rgba)?;
        Ok(rgba)
    }
}

fn find_adapter(instance: &wgpu::Instance) -> Result<wgpu::Adapter, StageError> {
    let ask = |force_fallback_adapter| {
        pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            force_fallback_adapter,
            compatible_surface: None,
        }))
    };
    ask(false).or_else(|_| ask(true)).map_err(|_| StageError::NoAdapter)
}
