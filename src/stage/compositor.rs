//! From pictures to the frame on the stage. Lives on the thread that makes frames; never waits for another.

use super::{
    Camera, FrameClock, Look, SignalTrace, StageError, capture,
    declaration::Kind,
    effects::Effects,
    gpu::{Block, Canvas, Gpu, Precision},
    library::{DISSOLVE, ShaderLibrary},
    live::{Arrival, Live},
    pace::Fader,
    programs::Programs,
    pyramid::Pyramid,
};
use crate::diffusion::Picture;

/// Blackout and back take this long: at once to the eye, but no click.
const BLACKOUT_SECS: f32 = 0.2;

const OUTPUT: &str = concat!(include_str!("../../shaders/prelude.wgsl"), include_str!("../../shaders/output.wgsl"));

/// A transition on its way.
#[derive(Debug, Clone)]
struct Transition {
    name: String,
    start_secs: f64,
    secs: f64,
}

pub struct Compositor {
    gpu: Gpu,
    size: (u32, u32),
    linear_target: bool,
    library: ShaderLibrary,
    programs: Programs,
    live: Live,
    pyramid: Pyramid,
    effects: Effects,
    output: wgpu::RenderPipeline,
    film_output: wgpu::RenderPipeline,
    camera: Option<Camera>,
    base: Canvas,
    /// What the last frame showed, before brightness.
    seen: Option<Canvas>,
    /// What a transition leads away from.
    held: Option<Canvas>,
    wanted: Option<(String, f64)>,
    transition: Option<Transition>,
    scrub: Option<f32>,
    frozen_secs: f64,
    light: Fader,
    message: Option<String>,
}

impl Compositor {
    /// A stage of `size` pixels for targets of `format`. A format that is linear or encodes sRGB itself gets linear
    /// light, any other gets sRGB values as they are.
    pub fn new(
        device: wgpu::Device,
        queue: wgpu::Queue,
        size: (u32, u32),
        format: wgpu::TextureFormat,
        library: ShaderLibrary,
    ) -> Result<Self, StageError> {
        Self::with_precision(device, queue, size, format, library, Precision::Auto)
    }

    /// As [`Self::new`], with the precision between passes chosen.
    pub fn with_precision(
        device: wgpu::Device,
        queue: wgpu::Queue,
        size: (u32, u32),
        format: wgpu::TextureFormat,
        library: ShaderLibrary,
        precision: Precision,
    ) -> Result<Self, StageError> {
        check_size(&device, size)?;
        let refused = |what: &str| {
            let what = what.to_owned();
            move |why| StageError::Refused { what, why }
        };
        let mut gpu = Gpu::new(device, queue, precision);
        let builder = gpu.builder();
        let live = Live::new(&builder).map_err(refused("the picture's shader"))?;
        let mut pyramid = Pyramid::new(&builder).map_err(refused("the blur's shader"))?;
        pyramid.resize(size);
        let [output, film_output] = builder
            .build("stage output", OUTPUT, [("fs_output", format, None), ("fs_film", capture::FORMAT, None)])
            .map_err(refused("the target's format"))?;
        let linear = matches!(format, wgpu::TextureFormat::Rgba16Float | wgpu::TextureFormat::Rgba32Float);
        let effects = Effects::new(&mut gpu, size);
        let base = gpu.canvas("stage live", size, gpu.canvas_format);
        Ok(Self {
            programs: Programs::new(builder),
            gpu,
            size,
            linear_target: linear || format.is_srgb(),
            library,
            live,
            pyramid,
            effects,
            output,
            film_output,
            camera: None,
            base,
            seen: None,
            held: None,
            wanted: None,
            transition: None,
            scrub: None,
            frozen_secs: 0.0,
            light: Fader::new(1.0, BLACKOUT_SECS),
            message: None,
        })
    }

    /// Builds every effect and transition now, so that none has to be built when it is first used.
    pub fn prepare(&mut self) {
        self.programs.prepare(&mut self.library);
    }

    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// The window has another size. The picture stays; trails and a running transition end.
    pub fn resize(&mut self, size: (u32, u32)) -> Result<(), StageError> {
        if size == self.size {
            return Ok(());
        }
        check_size(&self.gpu.device, size)?;
        self.size = size;
        self.gpu.forget();
        self.pyramid.resize(size);
        self.effects = Effects::new(&mut self.gpu, size);
        self.base = self.gpu.canvas("stage live", size, self.gpu.canvas_format);
        self.seen = None;
        self.held = None;
        self.transition = None;
        self.live.redraw();
        Ok(())
    }

    /// A new picture has arrived; the next frame takes it up. If several arrive between two frames the last wins.
    pub fn show(&mut self, picture: &Picture) {
        if let Err(error) = self.live.show(&mut self.gpu, picture) {
            self.message = Some(error.to_string());
        }
    }

    /// Holds what is on stage now and leads from it to the live picture by the transition `name`, in `secs`.
    pub fn begin_transition(&mut self, name: &str, secs: f32) {
        self.wanted = Some((name.to_owned(), f64::from(secs.max(0.0))));
    }

    /// Takes the running transition by hand: it stays at this progress (0..1) until `None` lets it go on by itself.
    pub fn scrub(&mut self, progress: Option<f32>) {
        self.scrub = progress.filter(|progress| progress.is_finite());
    }

    pub fn in_transition(&self) -> bool {
        self.transition.is_some() || self.wanted.is_some()
    }

    /// The measured time between pictures.
    pub fn interval_secs(&self) -> Option<f64> {
        self.live.pace.interval_secs()
    }

    pub fn library(&self) -> &ShaderLibrary {
        &self.library
    }

    /// What is wrong just now: shader files with errors, a picture that could not be shown.
    pub fn messages(&self) -> impl Iterator<Item = &str> {
        self.library.messages().chain(self.message.as_deref())
    }

    /// Draws the frame for this moment into `target`, which must have the size and format of this stage.
    pub fn frame(&mut self, target: &wgpu::TextureView, clock: &FrameClock, look: &Look, signal: &SignalTrace) {
        self.programs.poll(&mut self.library);
        let mut encoder =
            self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("stage") });
        let delta_secs = clock.delta_secs.max(0.0);
        let mut now_secs = clock.time_secs - self.frozen_secs;
        let seen = match (&self.seen, look.freeze) {
            (Some(seen), true) => {
                self.frozen_secs += delta_secs;
                now_secs -= delta_secs;
                seen.clone()
            }
            _ => self.compose(&mut encoder, now_secs, delta_secs, look),
        };
        let lit = self.light.toward(if look.blackout { 0.0 } else { 1.0 }, delta_secs);
        // Ease-in of light looks even; black is exactly black.
        let brightness = look.master.clamp(0.0, 1.0) * lit * lit;
        let block = Block::new(&[brightness, if self.linear_target { 1.0 } else { 0.0 }]);
        let nothing = self.gpu.nothing.clone();
        let load = wgpu::LoadOp::Clear(wgpu::Color::BLACK);
        let images = [&seen.view, &nothing, &nothing];
        self.gpu.run(&mut encoder, &self.output, target, images, &block, load);
        let shot = self.camera.as_mut().and_then(|camera| camera.due(clock.time_secs));
        if let (Some(camera), Some((_, buffer))) = (&self.camera, &shot) {
            self.gpu.run(&mut encoder, &self.film_output, &camera.view, images, &block, load);
            camera.copy(&mut encoder, buffer);
        }
        self.seen = Some(seen);
        let clock = FrameClock { time_secs: now_secs, ..*clock };
        self.gpu.submit(encoder, self.size, &clock, signal);
        if let Some(camera) = &self.camera {
            if let Some((number, buffer)) = shot {
                camera.submitted(number, buffer);
            }
            camera.poll();
        }
    }

    /// From the next frame on `camera` films what is shown; without one the film ends.
    pub fn film(&mut self, camera: Option<Camera>) {
        self.camera = camera;
    }

    /// Ends the film when no more frames come: waits for those that are on their way.
    pub fn end_film(&mut self) {
        if let Some(camera) = self.camera.take() {
            camera.settle();
        }
    }

    /// The device that this stage draws with.
    pub fn device(&self) -> &wgpu::Device {
        &self.gpu.device
    }

    /// Everything before brightness; gives where it is.
    fn compose(&mut self, encoder: &mut wgpu::CommandEncoder, now_secs: f64, delta_secs: f64, look: &Look) -> Canvas {
        let arrival = self.live.arrive(now_secs);
        if arrival == Arrival::OtherSize && self.wanted.is_none() && !self.leads_away(now_secs) {
            // Pictures of two sizes cannot be mixed, but two stages can.
            let secs = self.live.pace.interval_secs().unwrap_or(0.0) * f64::from(look.crossfade);
            self.wanted = Some((DISSOLVE.to_owned(), secs.min(1.0)));
        }
        if let Some((name, secs)) = self.wanted.take() {
            self.hold(encoder, name, secs, now_secs - delta_secs);
        }
        let base = self.base.clone();
        let (gpu, pyramid) = (&mut self.gpu, &mut self.pyramid);
        self.live.draw(gpu, encoder, pyramid, &base, look, now_secs, delta_secs);
        let live = self.effects.run(gpu, encoder, pyramid, &mut self.programs, &mut self.library, look, &base);
        self.crossed(encoder, live, now_secs, look)
    }

    /// A transition is in its first half: what is live is hardly seen yet.
    fn leads_away(&self, now_secs: f64) -> bool {
        self.transition.as_ref().is_some_and(|transition| now_secs < transition.start_secs + 0.5 * transition.secs)
    }

    fn hold(&mut self, encoder: &mut wgpu::CommandEncoder, name: String, secs: f64, start_secs: f64) {
        // Trails would drag the old look into the new.
        self.effects.forget_histories();
        self.transition = None;
        let Some(seen) = self.seen.clone().filter(|_| secs > 0.0) else {
            return;
        };
        let name = match self.programs.ensure(&mut self.library, Kind::Transition, &name) {
            true => name,
            false => {
                self.message = Some(format!("there is no transition named {name:?}: it dissolves instead"));
                DISSOLVE.to_owned()
            }
        };
        if !self.programs.ensure(&mut self.library, Kind::Transition, &name) {
            return;
        }
        let format = seen.texture.format();
        let held = match self.held.take().filter(|held| held.texture.format() == format) {
            Some(held) => held,
            None => {
                self.gpu.forget();
                self.gpu.canvas("stage held", self.size, format)
            }
        };
        encoder.copy_texture_to_texture(
            seen.texture.as_image_copy(),
            held.texture.as_image_copy(),
            seen.texture.size(),
        );
        self.held = Some(held);
        self.transition = Some(Transition { name, start_secs, secs });
    }

    fn crossed(&mut self, encoder: &mut wgpu::CommandEncoder, live: Canvas, now_secs: f64, look: &Look) -> Canvas {
        let (Some(transition), Some(held)) = (&self.transition, &self.held) else {
            return live;
        };
        let along = ((now_secs - transition.start_secs) / transition.secs) as f32;
        let progress = match self.scrub {
            Some(progress) => progress.clamp(0.0, 1.0),
            // Begins and ends gently.
            None => along * along * (3.0 - 2.0 * along),
        };
        if self.scrub.is_none() && along >= 1.0 {
            self.transition = None;
            return live;
        }
        let Some(program) = self.programs.get(Kind::Transition, &transition.name) else {
            return live;
        };
        let settings = look.transitions.iter().find(|known| known.name == transition.name);
        let onto = self.effects.other_than(&live);
        let nothing = self.gpu.nothing.clone();
        let images = [&held.view, &live.view, &nothing];
        let block = program.block(progress, settings);
        let load = wgpu::LoadOp::Clear(wgpu::Color::BLACK);
        self.gpu.run(encoder, &program.pipeline, &onto.view.view, images, &block, load);
        onto
    }
}

fn check_size(device: &wgpu::Device, (width, height): (u32, u32)) -> Result<(), StageError> {
    let limit = device.limits().max_texture_dimension_2d;
    let fits = |side| (1..=limit).contains(&side);
    if fits(width) && fits(height) { Ok(()) } else { Err(StageError::Size { width, height, limit }) }
}
