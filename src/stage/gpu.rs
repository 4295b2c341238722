//! One way to run a pass: a triangle over a target, three images in, a block of parameters.
//!
//! All pipelines share one layout, so that any shader runs with any images: binding 0 what holds for the whole frame,
//! 1 the parameters of this pass (one buffer, a block of 256 bytes a pass), 2 and 3 samplers, 4 to 6 images. Uniforms
//! and textures only, so that GL works too. Buffers are written once a frame, bind groups are kept.

use std::collections::HashMap;

use super::{FrameClock, SignalTrace, TRACE_POINTS};

/// Images that must not round: feedback would stick at dark values, blurs would band.
pub(super) const FINE_FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba16Float;
/// Bytes of a pass's parameters: the smallest stride that every device allows for dynamic offsets.
const BLOCK_BYTES: usize = 256;
/// Passes a frame; what goes beyond is left out.
const MOST_PASSES: usize = 128;
/// Numbers in [`Globals`] before the trace.
const FRAME_WORDS: usize = 8;

/// What images between passes are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Half floats on a GPU, bytes where the adapter is a CPU: llvmpipe filters bytes several times faster.
    #[default]
    Auto,
    Bytes,
    Halves,
}

/// A texture view with a number by which bind groups are kept.
#[derive(Debug, Clone)]
pub(super) struct View {
    id: u64,
    pub view: wgpu::TextureView,
}

/// A texture that passes read and write.
#[derive(Debug, Clone)]
pub(super) struct Canvas {
    pub texture: wgpu::Texture,
    pub view: View,
    pub size: (u32, u32),
}

/// The parameters of one pass, in the order of the shader's struct.
#[derive(Debug, Clone)]
pub(super) struct Block {
    words: [u32; BLOCK_BYTES / 4],
    len: usize,
}

impl Block {
    pub fn new(values: &[f32]) -> Self {
        let mut block = Self { words: [0; BLOCK_BYTES / 4], len: 0 };
        for &value in values {
            block.push(value);
        }
        block
    }

    pub fn push(&mut self, value: f32) {
        self.push_word(value.to_bits());
    }

    pub fn push_int(&mut self, value: f32) {
        self.push_word(value.round() as i32 as u32);
    }

    fn push_word(&mut self, word: u32) {
        if let Some(slot) = self.words.get_mut(self.len) {
            *slot = word;
            self.len += 1;
        }
    }
}

pub(super) struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    /// Format of the images between passes.
    pub canvas_format: wgpu::TextureFormat,
    layout: wgpu::BindGroupLayout,
    pipeline_layout: wgpu::PipelineLayout,
    mirrored: wgpu::Sampler,
    clamped: wgpu::Sampler,
    frame_buffer: wgpu::Buffer,
    block_buffer: wgpu::Buffer,
    blocks: Vec<u32>,
    groups: HashMap<[u64; 3], wgpu::BindGroup>,
    ids: u64,
    /// One black pixel, for images that a pass does not use.
    pub nothing: View,
}

impl Gpu {
    pub fn new(device: wgpu::Device, queue: wgpu::Queue, precision: Precision) -> Self {
        let uniform = |binding, dynamic, bytes: usize| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Uniform,
                has_dynamic_offset: dynamic,
                min_binding_size: wgpu::BufferSize::new(bytes as u64),
            },
            count: None,
        };
        let sampler = |binding| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty: wgpu::BindingType::Sampler(wgpu::SamplerBindingType::Filtering),
            count: None,
        };
        let image = |binding| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty: wgpu::BindingType::Texture {
                sample_type: wgpu::TextureSampleType::Float { filterable: true },
                view_dimension: wgpu::TextureViewDimension::D2,
                multisampled: false,
            },
            count: None,
        };
        let frame_bytes = (FRAME_WORDS + TRACE_POINTS) * 4;
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("stage"),
            entries: &[
                uniform(0, false, frame_bytes),
                uniform(1, true, BLOCK_BYTES),
                sampler(2),
                sampler(3),
                image(4),
                image(5),
                image(6),
            ],
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("stage"),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let make_sampler = |mode| {
            device.create_sampler(&wgpu::SamplerDescriptor {
                label: Some("stage"),
                address_mode_u: mode,
                address_mode_v: mode,
                mag_filter: wgpu::FilterMode::Linear,
                min_filter: wgpu::FilterMode::Linear,
                mipmap_filter: wgpu::MipmapFilterMode::Linear,
                ..Default::default()
            })
        };
        let buffer = |label, bytes: usize| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: bytes as u64,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        let nothing = create_texture(&device, "stage nothing", (1, 1), wgpu::TextureFormat::Rgba8Unorm, 1);
        Self {
            canvas_format: match (precision, device.adapter_info().device_type) {
                (Precision::Bytes, _) | (Precision::Auto, wgpu::DeviceType::Cpu) => wgpu::TextureFormat::Rgba8Unorm,
                (Precision::Halves, _) | (Precision::Auto, _) => FINE_FORMAT,
            },
            layout,
            pipeline_layout,
            mirrored: make_sampler(wgpu::AddressMode::MirrorRepeat),
            clamped: make_sampler(wgpu::AddressMode::ClampToEdge),
            frame_buffer: buffer("stage frame", frame_bytes),
            block_buffer: buffer("stage parameters", MOST_PASSES * BLOCK_BYTES),
            blocks: Vec::with_capacity(MOST_PASSES * BLOCK_BYTES / 4),
            groups: HashMap::new(),
            ids: 1,
            nothing: View { id: 0, view: nothing.create_view(&Default::default()) },
            device,
            queue,
        }
    }

    /// What builds pipelines, for this or another thread.
    pub fn builder(&self) -> PipelineBuilder {
        PipelineBuilder {
            device: self.device.clone(),
            layout: self.pipeline_layout.clone(),
            canvas_format: self.canvas_format,
        }
    }

    pub fn view(&mut self, texture: &wgpu::Texture, level: Option<u32>) -> View {
        self.ids += 1;
        View {
            id: self.ids,
            view: texture.create_view(&wgpu::TextureViewDescriptor {
                base_mip_level: level.unwrap_or(0),
                mip_level_count: level.map(|_| 1),
                ..Default::default()
            }),
        }
    }

    pub fn canvas(&mut self, label: &str, size: (u32, u32), format: wgpu::TextureFormat) -> Canvas {
        let texture = create_texture(&self.device, label, size, format, 1);
        let view = self.view(&texture, None);
        Canvas { texture, view, size }
    }

    /// Call when canvases are given up, else their bind groups keep them.
    pub fn forget(&mut self) {
        self.groups.clear();
    }

    /// Runs one pass over the whole of `target`.
    pub fn run(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        pipeline: &wgpu::RenderPipeline,
        target: &wgpu::TextureView,
        images: [&View; 3],
        block: &Block,
        load: wgpu::LoadOp<wgpu::Color>,
    ) {
        let offset = self.blocks.len() * 4;
        if offset >= MOST_PASSES * BLOCK_BYTES {
            return;
        }
        self.blocks.extend_from_slice(&block.words);
        let key = images.map(|image| image.id);
        if !self.groups.contains_key(&key) {
            let group = self.group(images);
            self.groups.insert(key, group);
        }
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("stage"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: target,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations { load, store: wgpu::StoreOp::Store },
            })],
            ..Default::default()
        });
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, self.groups.get(&key), &[offset as u32]);
        pass.draw(0..3, 0..1);
    }

    fn group(&self, images: [&View; 3]) -> wgpu::BindGroup {
        fn image(binding: u32, view: &View) -> wgpu::BindGroupEntry<'_> {
            wgpu::BindGroupEntry { binding, resource: wgpu::BindingResource::TextureView(&view.view) }
        }
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("stage"),
            layout: &self.layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: self.frame_buffer.as_entire_binding() },
                wgpu::BindGroupEntry {
                    binding: 1,
                    resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                        buffer: &self.block_buffer,
                        offset: 0,
                        size: wgpu::BufferSize::new(BLOCK_BYTES as u64),
                    }),
                },
                wgpu::BindGroupEntry { binding: 2, resource: wgpu::BindingResource::Sampler(&self.mirrored) },
                wgpu::BindGroupEntry { binding: 3, resource: wgpu::BindingResource::Sampler(&self.clamped) },
                image(4, images[0]),
                image(5, images[1]),
                image(6, images[2]),
            ],
        })
    }

    /// Sends what the passes of this frame need, and the passes.
    pub fn submit(
        &mut self,
        encoder: wgpu::CommandEncoder,
        size: (u32, u32),
        clock: &FrameClock,
        signal: &SignalTrace,
    ) -> wgpu::SubmissionIndex {
        let mut words = [0f32; FRAME_WORDS + TRACE_POINTS];
        words[..FRAME_WORDS].copy_from_slice(&[
            size.0 as f32,
            size.1 as f32,
            size.0 as f32 / size.1 as f32,
            (clock.time_secs % 4096.0) as f32,
            clock.delta_secs as f32,
            signal.level,
            signal.onset,
            (clock.frame % 65_536) as f32,
        ]);
        for (word, point) in words[FRAME_WORDS..].iter_mut().zip(&signal.points) {
            *word = if point.is_finite() { point.clamp(-1.0, 1.0) } else { 0.0 };
        }
        self.queue.write_buffer(&self.frame_buffer, 0, bytemuck::cast_slice(&words));
        self.queue.write_buffer(&self.block_buffer, 0, bytemuck::cast_slice(&self.blocks));
        self.blocks.clear();
        self.queue.submit([encoder.finish()])
    }
}

pub(super) fn create_texture(
    device: &wgpu::Device,
    label: &str,
    (width, height): (u32, u32),
    format: wgpu::TextureFormat,
    levels: u32,
) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: Some(label),
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: levels,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT
            | wgpu::TextureUsages::TEXTURE_BINDING
            | wgpu::TextureUsages::COPY_SRC
            | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    })
}

/// Makes pipelines of the shared layout, on whatever thread.
#[derive(Clone)]
pub(super) struct PipelineBuilder {
    device: wgpu::Device,
    layout: wgpu::PipelineLayout,
    pub canvas_format: wgpu::TextureFormat,
}

impl PipelineBuilder {
    /// A pipeline for each fragment entry of `module`. The driver's refusal comes back as a sentence, not as a panic.
    pub fn build<const N: usize>(
        &self,
        label: &str,
        module: &str,
        entries: [(&str, wgpu::TextureFormat, Option<wgpu::BlendState>); N],
    ) -> Result<[wgpu::RenderPipeline; N], String> {
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(label),
            source: wgpu::ShaderSource::Wgsl(module.into()),
        });
        let pipelines = entries.map(|(entry, format, blend)| {
            self.device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
                label: Some(label),
                layout: Some(&self.layout),
                vertex: wgpu::VertexState {
                    module: &module,
                    entry_point: Some("vs_main"),
                    compilation_options: Default::default(),
                    buffers: &[],
                },
                primitive: Default::default(),
                depth_stencil: None,
                multisample: Default::default(),
                fragment: Some(wgpu::FragmentState {
                    module: &module,
                    entry_point: Some(entry),
                    compilation_options: Default::default(),
                    targets: &[Some(wgpu::ColorTargetState { format, blend, write_mask: wgpu::ColorWrites::ALL })],
                }),
                multiview_mask: None,
                cache: None,
            })
        });
        match pollster::block_on(scope.pop()) {
            None => Ok(pipelines),
            Some(error) => Err(error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")),
        }
    }
}
