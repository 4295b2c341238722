//! A stage app without model or signal, to see and measure the window itself:
//!
//! ```text
//! xvfb-run -a -s "-screen 0 1280x720x24" cargo test --release --lib app::window -- --ignored --nocapture
//! ```
//!
//! `WINDOW_SECS` (default 4), `WINDOW_SIZE` (1280x720), `WINDOW_OVERLAY=1`, `WINDOW_HELP=1`, `WINDOW_FULLSCREEN=1`,
//! `WINDOW_DISPLAY=N` and `WINDOW_FPS=N` change what is seen.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    Stamp,
    diffusion::Timing,
    latent::{Latent, Shape},
};

const SHADER: &str = "
@group(0) @binding(0) var<uniform> time_secs: vec4<f32>;
@vertex fn vertex(@builtin(vertex_index) i: u32) -> @builtin(position) vec4<f32> {
    return vec4(f32(i & 1u) * 4.0 - 1.0, f32(i & 2u) * 2.0 - 1.0, 0.0, 1.0);
}
@fragment fn fragment(@builtin(position) at: vec4<f32>) -> @location(0) vec4<f32> {
    let t = time_secs.x;
    let p = at.xy * 0.008;
    return vec4(vec3(0.3) + 0.3 * vec3(sin(p.x + t), sin(p.y - t * 0.7), sin(p.x + p.y + t * 1.3)), 1.0);
}";

/// What happened in the window, for the test that opened it.
#[derive(Debug, Default)]
struct Log {
    starts: usize,
    frames: u64,
    sizes: Vec<[u32; 2]>,
    keys: Vec<Key>,
    closings: usize,
    pace: Pace,
}

struct StandIn {
    log: Arc<Mutex<Log>>,
    help: bool,
    began: Instant,
    drawing: Option<Drawing>,
}

struct Drawing {
    gpu: Gpu,
    pipeline: wgpu::RenderPipeline,
    uniform: wgpu::Buffer,
    group: wgpu::BindGroup,
}

impl StageApp for StandIn {
    fn start(&mut self, gpu: &Gpu) -> anyhow::Result<()> {
        eprintln!("start: {} {:?} {:?}", gpu.adapter.name, gpu.format, gpu.size_px);
        self.log.lock().unwrap().starts += 1;
        let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(SHADER.into()),
        });
        let uniform = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 16,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let pipeline = gpu.device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: None,
            layout: None,
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: None,
                compilation_options: Default::default(),
                buffers: &[],
            },
            primitive: Default::default(),
            depth_stencil: None,
            multisample: Default::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: None,
                compilation_options: Default::default(),
                targets: &[Some(gpu.format.into())],
            }),
            multiview_mask: None,
            cache: None,
        });
        let group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: uniform.as_entire_binding() }],
        });
        self.drawing = Some(Drawing { gpu: gpu.clone(), pipeline, uniform, group });
        Ok(())
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        let mut log = self.log.lock().unwrap();
        log.frames += 1;
        if log.sizes.last() != Some(&frame.size_px) {
            log.sizes.push(frame.size_px);
        }
        let drawing = self.drawing.as_ref().expect("started");
        let Gpu { device, queue, .. } = &drawing.gpu;
        let secs = self.began.elapsed().as_secs_f32();
        queue.write_buffer(&drawing.uniform, 0, bytemuck::bytes_of(&[secs, 0.0, 0.0, 0.0]));
        let mut encoder = device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
                color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                    view: frame.target,
                    depth_slice: None,
                    resolve_target: None,
                    ops: wgpu::Operations {
                        load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                        store: wgpu::StoreOp::Store,
                    },
                })],
                ..Default::default()
            });
            pass.set_pipeline(&drawing.pipeline);
            pass.set_bind_group(0, &drawing.group, &[]);
            pass.draw(0..3, 0..1);
        }
        queue.submit([encoder.finish()]);
    }

    fn tick(&mut self, window: &mut WindowState) {
        window.help |= std::mem::take(&mut self.help);
        self.log.lock().unwrap().pace = window.pace;
    }

    fn key(&mut self, press: KeyPress) {
        eprintln!("{press:?}");
        if press.pressed {
            self.log.lock().unwrap().keys.push(press.key);
        }
    }

    fn keys(&self) -> Vec<KeyHelp> {
        ["1 … 9|preset", "Space|freeze", "B|blackout", "M|next model", "T|next transition", "S|save the picture"]
            .iter()
            .filter_map(|line| line.split_once('|'))
            .map(|(key, what)| KeyHelp::new(key, what))
            .collect()
    }

    fn overlay(&mut self, data: &mut OverlayData) {
        let secs = self.began.elapsed().as_secs_f32();
        let wave = |channel: usize, i: usize| {
            let t = secs + i as f32 / 512.0;
            let noise = ((i * 7919 + channel * 104_729) % 1000) as f32 / 1000.0 - 0.5;
            (50.0 * t + channel as f32 * 0.2).sin() + 0.4 * (300.0 * t).sin() * (7.0 * t).sin() + noise
        };
        data.scope.span_secs = 2.0;
        data.scope.traces.resize_with(32, Default::default);
        for (channel, trace) in data.scope.traces.iter_mut().enumerate() {
            trace.name = format!("CA1 {:02}", channel + 1);
            trace.samples.clear();
            trace.health = match channel {
                7 => Health::Flat,
                12 => Health::Clipped,
                _ => Health::Good,
            };
            let flat = trace.health == Health::Flat;
            trace.samples.extend((0..1024).map(|i| if flat { 0.0 } else { wave(channel, i) }));
        }
        let shape = Shape { channels: 4, height: 64, width: 64 };
        let hop = (secs * 30.0) as u64;
        let value = |i: usize| ((i as u64 * 2_654_435_761 + hop * 40_503) % 10_007) as f32 / 1667.0 - 3.0;
        data.latent = Some(Latent {
            stamp: Stamp { hop, signal_secs: hop as f64 / 30.0, arrived: Instant::now() },
            shape,
            values: (0..shape.len()).map(value).collect(),
        });
        data.source = "synth://rat".into();
        data.source_state = "awake".into();
        data.mapping = "flow".into();
        data.model = "box".into();
        data.preset = "Aurora over the ridge".into();
        data.pictures_per_s = 11.7;
        data.latency_ms = 143.0;
        data.timing = Timing { denoise_ms: 52.0, decode_ms: 33.0 };
        data.steps = 1;
        data.picture_px = [512, 512];
        data.messages = vec![
            Message { level: Level::Info, text: "preset Aurora over the ridge".into(), age_secs: 12.0 },
            Message {
                level: Level::Error,
                text: "ripple.wgsl line 12: unknown identifier `tme`; the shader before it plays on".into(),
                age_secs: secs,
            },
        ];
    }

    fn closing(&mut self) {
        self.log.lock().unwrap().closings += 1;
    }
}

/// Plays the stand-in for as long as the environment says.
fn play() -> (Result<(), WindowError>, Log) {
    let setting = |name: &str| std::env::var(name).ok();
    let number = |name: &str| setting(name).and_then(|text| text.parse::<f64>().ok());
    let secs = number("WINDOW_SECS").unwrap_or(4.0);
    let log = Arc::new(Mutex::new(Log::default()));
    let stop = Arc::new(AtomicBool::new(false));
    let size = setting("WINDOW_SIZE").and_then(|text| {
        let (width, height) = text.split_once('x')?;
        Some([width.parse().ok()?, height.parse().ok()?])
    });
    let options = WindowOptions {
        size: size.unwrap_or([1280, 720]),
        overlay: setting("WINDOW_OVERLAY").is_some(),
        fullscreen: setting("WINDOW_FULLSCREEN").is_some(),
        display: setting("WINDOW_DISPLAY").and_then(|text| text.parse().ok()),
        max_fps: number("WINDOW_FPS"),
        stop: stop.clone(),
        ..Default::default()
    };
    let stage =
        StandIn { log: log.clone(), help: setting("WINDOW_HELP").is_some(), began: Instant::now(), drawing: None };
    let timer = thread::spawn(move || {
        thread::sleep(Duration::from_secs_f64(secs));
        stop.store(true, Ordering::Relaxed);
    });
    let outcome = run(stage, options);
    timer.join().unwrap();
    let log = std::mem::take(&mut *log.lock().unwrap());
    (outcome, log)
}

#[test]
#[ignore = "opens a window, so it needs a display and an adapter"]
fn the_stand_in_plays_until_it_is_stopped() {
    tracing_subscriber::fmt().with_env_filter(format!("info,{LOG_FILTER}")).with_writer(std::io::stderr).init();
    let (outcome, log) = play();
    eprintln!("{outcome:?} {log:?}");
    outcome.unwrap();
    assert!(log.starts >= 1);
    assert!(log.frames > 10, "{}", log.frames);
    assert_eq!(log.closings, 1);
}
