//! Egui's shapes drawn onto the stage, by a renderer of our own.
//!
//! The one of bevy_egui draws into a texture that is then blended over the surface, and converts colours with powers in
//! each pixel: 42 ms a frame of 1280x720 on llvmpipe, seven times what the stage itself took. This one draws onto the
//! surface, converts colours once a vertex, and samples no texture where a shape has none.

use std::{collections::HashMap, ops::Range};

use nannou::prelude::egui::{
    self, TextureId, TextureOptions,
    epaint::{ClippedPrimitive, ImageData, ImageDelta, Mesh, Primitive, Vertex, WHITE_UV},
};

use super::super::{Frame, Gpu};

const SHADER: &str = include_str!("overlay.wgsl");

/// What egui made of a frame.
#[derive(Default)]
pub(in crate::app) struct Shapes {
    pub primitives: Vec<ClippedPrimitive>,
    pub textures: egui::TexturesDelta,
}

/// Draws the newest [`Shapes`].
pub(in crate::app) struct Renderer {
    gpu: Gpu,
    textured: wgpu::RenderPipeline,
    /// For shapes of one colour, which egui gives the white texel of its font.
    solid: wgpu::RenderPipeline,
    layout: wgpu::BindGroupLayout,
    /// Width and height of the window.
    size: wgpu::Buffer,
    linear: wgpu::Sampler,
    nearest: wgpu::Sampler,
    textures: HashMap<TextureId, Texture>,
    vertices: wgpu::Buffer,
    indices: wgpu::Buffer,
    draws: Vec<Draw>,
}

struct Texture {
    texture: wgpu::Texture,
    group: wgpu::BindGroup,
}

/// Triangles that share pipeline, texture and clip rectangle.
struct Draw {
    indices: Range<u32>,
    first_vertex: i32,
    texture: TextureId,
    solid: bool,
    clip: egui::Rect,
}

impl Renderer {
    pub fn new(gpu: &Gpu) -> Self {
        let device = &gpu.device;
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("overlay"),
            source: wgpu::ShaderSource::Wgsl(SHADER.into()),
        });
        let entry = |binding, visibility, ty| wgpu::BindGroupLayoutEntry { binding, visibility, ty, count: None };
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("overlay"),
            entries: &[
                entry(
                    0,
                    wgpu::ShaderStages::VERTEX,
                    wgpu::BindingType::Buffer {
                        ty: wgpu::BufferBindingType::Uniform,
                        has_dynamic_offset: false,
                        min_binding_size: None,
                    },
                ),
                entry(
                    1,
                    wgpu::ShaderStages::FRAGMENT,
                    wgpu::BindingType::Texture {
                        sample_type: wgpu::TextureSampleType::Float { filterable: true },
                        view_dimension: wgpu::TextureViewDimension::D2,
                        multisampled: false,
                    },
                ),
                entry(2, wgpu::ShaderStages::FRAGMENT, wgpu::BindingType::Sampler(wgpu::SamplerBindingType::Filtering)),
            ],
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("overlay"),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = |fragment| {
            device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
                label: Some("overlay"),
                layout: Some(&pipeline_layout),
                vertex: wgpu::VertexState {
                    module: &module,
                    entry_point: Some("vertex"),
                    compilation_options: Default::default(),
                    buffers: &[wgpu::VertexBufferLayout {
                        array_stride: size_of::<Vertex>() as u64,
                        step_mode: wgpu::VertexStepMode::Vertex,
                        attributes: &wgpu::vertex_attr_array![0 => Float32x2, 1 => Float32x2, 2 => Unorm8x4],
                    }],
                },
                primitive: Default::default(),
                depth_stencil: None,
                multisample: Default::default(),
                fragment: Some(wgpu::FragmentState {
                    module: &module,
                    entry_point: Some(fragment),
                    compilation_options: Default::default(),
                    targets: &[Some(wgpu::ColorTargetState {
                        format: gpu.format,
                        blend: Some(wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING),
                        write_mask: wgpu::ColorWrites::ALL,
                    })],
                }),
                multiview_mask: None,
                cache: None,
            })
        };
        let sampler = |filter| {
            device.create_sampler(&wgpu::SamplerDescriptor {
                mag_filter: filter,
                min_filter: filter,
                ..Default::default()
            })
        };
        Self {
            gpu: gpu.clone(),
            textured: pipeline("textured"),
            solid: pipeline("solid"),
            layout,
            size: buffer(device, wgpu::BufferUsages::UNIFORM, 16),
            linear: sampler(wgpu::FilterMode::Linear),
            nearest: sampler(wgpu::FilterMode::Nearest),
            textures: HashMap::new(),
            vertices: buffer(device, wgpu::BufferUsages::VERTEX, 1 << 16),
            indices: buffer(device, wgpu::BufferUsages::INDEX, 1 << 16),
            draws: Vec::new(),
        }
    }

    /// Takes over new shapes and the textures that came with them.
    pub fn take(&mut self, shapes: Shapes) {
        for (id, delta) in &shapes.textures.set {
            self.write_texture(*id, delta);
        }
        for id in &shapes.textures.free {
            self.textures.remove(id);
        }
        self.draws.clear();
        let (mut vertices, mut indices) = (Vec::<Vertex>::new(), Vec::<u32>::new());
        for clipped in shapes.primitives {
            let Primitive::Mesh(mesh) = clipped.primitive else {
                continue;
            };
            let first_index = indices.len() as u32;
            let first_vertex = vertices.len() as i32;
            indices.extend(&mesh.indices);
            vertices.extend(&mesh.vertices);
            for (solid, part) in runs(&mesh) {
                self.draws.push(Draw {
                    indices: first_index + part.start..first_index + part.end,
                    first_vertex,
                    texture: mesh.texture_id,
                    solid,
                    clip: clipped.clip_rect,
                });
            }
        }
        let Gpu { device, queue, .. } = &self.gpu;
        for (kept, bytes) in
            [(&mut self.vertices, bytemuck::cast_slice(&vertices)), (&mut self.indices, bytemuck::cast_slice(&indices))]
        {
            let needed = bytes.len() as u64;
            if kept.size() < needed {
                *kept = buffer(device, kept.usage(), needed.next_power_of_two());
            }
            queue.write_buffer(kept, 0, bytes);
        }
    }

    /// Draws over what is in `frame`.
    pub fn draw(&self, frame: &Frame<'_>) {
        let Gpu { device, queue, .. } = &self.gpu;
        let [width, height] = frame.size_px;
        queue.write_buffer(&self.size, 0, bytemuck::bytes_of(&[width as f32, height as f32, 0.0, 0.0]));
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("overlay") });
        {
            let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
                label: Some("overlay"),
                color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                    view: frame.target,
                    depth_slice: None,
                    resolve_target: None,
                    ops: wgpu::Operations { load: wgpu::LoadOp::Load, store: wgpu::StoreOp::Store },
                })],
                ..Default::default()
            });
            pass.set_vertex_buffer(0, self.vertices.slice(..));
            pass.set_index_buffer(self.indices.slice(..), wgpu::IndexFormat::Uint32);
            for draw in &self.draws {
                let (Some(texture), Some([x, y, w, h])) =
                    (self.textures.get(&draw.texture), scissor(draw.clip, frame.size_px))
                else {
                    continue;
                };
                pass.set_pipeline(if draw.solid { &self.solid } else { &self.textured });
                pass.set_scissor_rect(x, y, w, h);
                pass.set_bind_group(0, &texture.group, &[]);
                pass.draw_indexed(draw.indices.clone(), draw.first_vertex, 0..1);
            }
        }
        queue.submit([encoder.finish()]);
    }

    fn write_texture(&mut self, id: TextureId, delta: &ImageDelta) {
        let ImageData::Color(image) = &delta.image;
        let [width, height] = delta.image.size().map(|side| side as u32);
        if delta.is_whole() && !self.textures.get(&id).is_some_and(|kept| holds(&kept.texture, [width, height])) {
            let made = self.make_texture(id, [width, height], delta.options);
            self.textures.insert(id, made);
        }
        let Some(kept) = self.textures.get(&id) else {
            return;
        };
        let [x, y] = delta.pos.unwrap_or_default().map(|place| place as u32);
        self.gpu.queue.write_texture(
            wgpu::TexelCopyTextureInfo {
                texture: &kept.texture,
                mip_level: 0,
                origin: wgpu::Origin3d { x, y, z: 0 },
                aspect: wgpu::TextureAspect::All,
            },
            bytemuck::cast_slice(&image.pixels),
            wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(4 * width), rows_per_image: None },
            extent(width, height),
        );
    }

    fn make_texture(&self, id: TextureId, [width, height]: [u32; 2], options: TextureOptions) -> Texture {
        let device = &self.gpu.device;
        // The font's texels are coverage, those of pictures are colours.
        let is_font = id == TextureId::default();
        let texture = device.create_texture(&wgpu::TextureDescriptor {
            label: Some("overlay"),
            size: extent(width, height),
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: if is_font { wgpu::TextureFormat::Rgba8Unorm } else { wgpu::TextureFormat::Rgba8UnormSrgb },
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let is_linear = options.magnification == egui::TextureFilter::Linear;
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("overlay"),
            layout: &self.layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: self.size.as_entire_binding() },
                wgpu::BindGroupEntry {
                    binding: 1,
                    resource: wgpu::BindingResource::TextureView(&texture.create_view(&Default::default())),
                },
                wgpu::BindGroupEntry {
                    binding: 2,
                    resource: wgpu::BindingResource::Sampler(if is_linear { &self.linear } else { &self.nearest }),
                },
            ],
        });
        Texture { texture, group }
    }
}

/// The triangles of a mesh as runs that need a texture or need none, as ranges of its indices.
fn runs(mesh: &Mesh) -> Vec<(bool, Range<u32>)> {
    let is_solid = |triangle: &[u32]| triangle.iter().all(|index| mesh.vertices[*index as usize].uv == WHITE_UV);
    let mut runs: Vec<(bool, Range<u32>)> = Vec::new();
    for (i, triangle) in mesh.indices.as_chunks::<3>().0.iter().enumerate() {
        let (solid, start) = (is_solid(triangle), 3 * i as u32);
        match runs.last_mut() {
            Some((kind, run)) if *kind == solid => run.end = start + 3,
            _ => runs.push((solid, start..start + 3)),
        }
    }
    runs
}

fn buffer(device: &wgpu::Device, usage: wgpu::BufferUsages, size: u64) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("overlay"),
        size,
        usage: usage | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

fn extent(width: u32, height: u32) -> wgpu::Extent3d {
    wgpu::Extent3d { width, height, depth_or_array_layers: 1 }
}

fn holds(texture: &wgpu::Texture, [width, height]: [u32; 2]) -> bool {
    texture.width() == width && texture.height() == height
}

/// Left, top, width and height in whole pixels within the window; None where nothing is left.
fn scissor(clip: egui::Rect, size_px: [u32; 2]) -> Option<[u32; 4]> {
    let [width, height] = size_px;
    let within = |at: f32, end: u32| (at.round().max(0.0) as u32).min(end);
    let (left, top) = (within(clip.left(), width), within(clip.top(), height));
    let (right, bottom) = (within(clip.right(), width), within(clip.bottom(), height));
    (right > left && bottom > top).then(|| [left, top, right - left, bottom - top])
}

#[cfg(test)]
mod tests {
    use wgpu::naga;

    use super::*;

    #[test]
    fn the_shader_is_valid() {
        let module = naga::front::wgsl::parse_str(SHADER).unwrap_or_else(|e| panic!("{}", e.emit_to_string(SHADER)));
        let flags = naga::valid::ValidationFlags::all();
        naga::valid::Validator::new(flags, naga::valid::Capabilities::empty()).validate(&module).unwrap();
    }

    #[test]
    fn triangles_are_split_where_textures_begin_and_end() {
        let mut mesh = Mesh::default();
        let at = |x| egui::Rect::from_min_size(egui::pos2(x, 0.0), egui::vec2(1.0, 1.0));
        let uv = egui::Rect::from_min_max(egui::pos2(0.2, 0.2), egui::pos2(0.3, 0.3));
        for x in 0..2 {
            mesh.add_colored_rect(at(x as f32), egui::Color32::RED);
        }
        mesh.add_rect_with_uv(at(2.0), uv, egui::Color32::RED);
        mesh.add_colored_rect(at(3.0), egui::Color32::RED);
        assert_eq!(runs(&mesh), [(true, 0..12), (false, 12..18), (true, 18..24)]);
        assert!(runs(&Mesh::default()).is_empty());
    }

    #[test]
    fn scissors_stay_in_the_window() {
        let rect = |x0, y0, x1, y1| egui::Rect::from_min_max(egui::pos2(x0, y0), egui::pos2(x1, y1));
        assert_eq!(scissor(rect(-5.0, -5.0, 500.0, 20.4), [100, 50]), Some([0, 0, 100, 20]));
        assert_eq!(scissor(rect(10.0, 10.0, 20.0, 30.0), [100, 50]), Some([10, 10, 10, 20]));
        assert_eq!(scissor(rect(200.0, 0.0, 300.0, 50.0), [100, 50]), None);
        assert_eq!(scissor(egui::Rect::EVERYTHING, [100, 50]), Some([0, 0, 100, 50]));
        assert_eq!(scissor(egui::Rect::NOTHING, [100, 50]), None);
    }
}
