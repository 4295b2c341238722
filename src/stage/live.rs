//! The live picture: the last two pictures mixed at their own size, and fitted to the stage.
//!
//! A fade starts from what was seen when the picture came, which may itself have been a fade: nothing jumps however
//! irregularly pictures come. Textures are made once a picture size; two are written in turn by `show`, two hold mixes.

use super::{
    Fill, Look, StageError,
    gpu::{Block, Canvas, Gpu, PipelineBuilder, View},
    pace::Pace,
    pyramid::Pyramid,
};
use crate::diffusion::Picture;

const SHADER: &str = concat!(include_str!("../../shaders/prelude.wgsl"), include_str!("../../shaders/picture.wgsl"));

/// An image at picture size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Image {
    Picture(usize),
    Mix(usize),
}

/// What an arrival means for the stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    Nothing,
    Faded,
    /// The new picture has another size than the last: it cannot be mixed with it pixel by pixel.
    OtherSize,
}

/// What the fitted image on the stage was made from: if it is the same again, nothing is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Drawn {
    arrivals: u64,
    blend: f32,
    fit: (super::Fit, Fill),
}

pub(super) struct Live {
    blend: wgpu::RenderPipeline,
    fit: wgpu::RenderPipeline,
    pictures: [Option<Canvas>; 2],
    mixes: [Option<Canvas>; 2],
    newest: usize,
    pending: u32,
    arrivals: u64,
    before: Image,
    seen: Image,
    pub pace: Pace,
    drawn: Option<Drawn>,
}

impl Live {
    pub fn new(builder: &PipelineBuilder) -> Result<Self, String> {
        let entries = [("fs_blend", builder.canvas_format, None), ("fs_fit", builder.canvas_format, None)];
        let [blend, fit] = builder.build("stage picture", SHADER, entries)?;
        Ok(Self {
            blend,
            fit,
            pictures: [None, None],
            mixes: [None, None],
            newest: 0,
            pending: 0,
            arrivals: 0,
            before: Image::Picture(0),
            seen: Image::Picture(0),
            pace: Pace::default(),
            drawn: None,
        })
    }

    /// Puts a picture into the texture that is not seen; the next frame takes it up.
    pub fn show(&mut self, gpu: &mut Gpu, picture: &Picture) -> Result<(), StageError> {
        let size = picture_size(gpu, picture)?;
        let slot = 1 - self.newest;
        if self.pictures[slot].as_ref().is_none_or(|canvas| canvas.size != size) {
            gpu.forget();
            self.pictures[slot] = Some(gpu.canvas("stage picture", size, wgpu::TextureFormat::Rgba8Unorm));
        }
        let Some(canvas) = &self.pictures[slot] else {
            return Ok(());
        };
        gpu.queue.write_texture(
            canvas.texture.as_image_copy(),
            &picture.rgba,
            wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(4 * size.0), rows_per_image: None },
            canvas.texture.size(),
        );
        self.pending += 1;
        Ok(())
    }

    /// Takes up what was shown since the last frame.
    pub fn arrive(&mut self, now_secs: f64) -> Arrival {
        if self.pending == 0 {
            return Arrival::Nothing;
        }
        self.pace.arrived(now_secs, self.pending);
        self.pending = 0;
        let first = self.arrivals == 0;
        self.arrivals += 1;
        self.before = self.seen;
        self.newest = 1 - self.newest;
        if first || self.size_of(self.before) == self.size_of(Image::Picture(self.newest)) {
            return Arrival::Faded;
        }
        self.before = Image::Picture(self.newest);
        Arrival::OtherSize
    }

    /// Draws the live picture into `onto`, unless it is there already.
    #[expect(clippy::too_many_arguments, reason = "what a pass needs, and the moment")]
    pub fn draw(
        &mut self,
        gpu: &mut Gpu,
        encoder: &mut wgpu::CommandEncoder,
        pyramid: &mut Pyramid,
        onto: &Canvas,
        look: &Look,
        now_secs: f64,
        delta_secs: f64,
    ) {
        let newest = Image::Picture(self.newest);
        let blend = match self.arrivals > 1 && self.before != newest {
            true => self.pace.blend(now_secs, delta_secs, look.crossfade),
            false => 1.0,
        };
        let drawn = Drawn { arrivals: self.arrivals, blend, fit: (look.fit, look.fill) };
        if self.drawn == Some(drawn) {
            return;
        }
        self.drawn = Some(drawn);
        self.seen = self.mixed(gpu, encoder, blend);
        let Some((view, size)) = self.get(self.seen).map(|canvas| (canvas.view.clone(), canvas.size)) else {
            let (nothing, block) = (gpu.nothing.clone(), Block::new(&[]));
            clear(gpu, encoder, &self.blend, onto, &nothing, &block);
            return;
        };
        self.fitted(gpu, encoder, pyramid, onto, look, &view, size);
    }

    /// The image of `blend` parts the newest picture, drawn if it is none of those at hand.
    fn mixed(&mut self, gpu: &mut Gpu, encoder: &mut wgpu::CommandEncoder, blend: f32) -> Image {
        let newest = Image::Picture(self.newest);
        if blend >= 1.0 {
            return newest;
        }
        let slot = match self.before {
            Image::Mix(used) => 1 - used,
            Image::Picture(_) => 0,
        };
        let Some(size) = self.size_of(newest) else {
            return newest;
        };
        if self.mixes[slot].as_ref().is_none_or(|canvas| canvas.size != size) {
            gpu.forget();
            self.mixes[slot] = Some(gpu.canvas("stage mix", size, gpu.canvas_format));
        }
        let (Some(onto), Some(before), Some(after)) = (&self.mixes[slot], self.get(self.before), self.get(newest))
        else {
            return newest;
        };
        let nothing = gpu.nothing.clone();
        let images = [&before.view, &after.view, &nothing];
        let load = wgpu::LoadOp::Clear(wgpu::Color::BLACK);
        gpu.run(encoder, &self.blend, &onto.view.view, images, &Block::new(&[blend]), load);
        Image::Mix(slot)
    }

    #[expect(clippy::too_many_arguments, reason = "what a pass needs, and the picture")]
    fn fitted(
        &self,
        gpu: &mut Gpu,
        encoder: &mut wgpu::CommandEncoder,
        pyramid: &mut Pyramid,
        onto: &Canvas,
        look: &Look,
        view: &View,
        size: (u32, u32),
    ) {
        let scale = look.fit.picture_from_stage(size, onto.size);
        let fill_scale = super::Fit::Crop.picture_from_stage(size, onto.size);
        let beside = scale[0] > 1.0 || scale[1] > 1.0;
        let blurred = look.fill == Fill::Blur && beside;
        let nothing = gpu.nothing.clone();
        let blur = match blurred {
            true => pyramid.fill(gpu, encoder, view, None, 0.6),
            false => nothing.clone(),
        };
        // Texels of the picture under one pixel of the stage.
        let texels = (scale[0] * size.0 as f32 / onto.size.0 as f32).max(scale[1] * size.1 as f32 / onto.size.1 as f32);
        let taps = if texels > 1.25 { texels.ceil().clamp(2.0, 8.0) } else { 1.0 };
        let block = Block::new(&[
            1.0,
            if blurred { 1.0 } else { 0.0 },
            size.0 as f32,
            size.1 as f32,
            scale[0],
            scale[1],
            fill_scale[0],
            fill_scale[1],
            taps,
        ]);
        let load = wgpu::LoadOp::Clear(wgpu::Color::BLACK);
        gpu.run(encoder, &self.fit, &onto.view.view, [view, &nothing, &blur], &block, load);
    }

    /// The stage has another size: draw again whatever is there.
    pub fn redraw(&mut self) {
        self.drawn = None;
    }

    fn get(&self, image: Image) -> Option<&Canvas> {
        match image {
            Image::Picture(slot) => self.pictures[slot].as_ref(),
            Image::Mix(slot) => self.mixes[slot].as_ref(),
        }
    }

    fn size_of(&self, image: Image) -> Option<(u32, u32)> {
        self.get(image).map(|canvas| canvas.size)
    }
}

/// Black: no picture has come yet.
fn clear(
    gpu: &mut Gpu,
    encoder: &mut wgpu::CommandEncoder,
    any: &wgpu::RenderPipeline,
    onto: &Canvas,
    nothing: &View,
    block: &Block,
) {
    let load = wgpu::LoadOp::Clear(wgpu::Color::BLACK);
    gpu.run(encoder, any, &onto.view.view, [nothing, nothing, nothing], block, load);
}

fn picture_size(gpu: &Gpu, picture: &Picture) -> Result<(u32, u32), StageError> {
    let limit = gpu.device.limits().max_texture_dimension_2d;
    let side = |pixels: usize| u32::try_from(pixels).ok().filter(|side| (1..=limit).contains(side));
    let bytes = picture.width.checked_mul(picture.height).and_then(|pixels| pixels.checked_mul(4));
    match (side(picture.width), side(picture.height)) {
        (Some(width), Some(height)) if bytes == Some(picture.rgba.len()) => Ok((width, height)),
        _ => Err(StageError::Picture { width: picture.width, height: picture.height, bytes: picture.rgba.len() }),
    }
}
