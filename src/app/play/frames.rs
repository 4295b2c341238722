//! The show as the window calls it: each displayed frame, its keys, its overlay and its panel.

use std::time::Instant;

use anyhow::Result;

use super::{MAPPED, MESSAGE, Show};
use crate::{
    app::{
        panel::{self, Move, PanelData},
        trace_from_pulse,
        window::{Frame, Gpu, Key, KeyHelp, KeyPress, Level, OverlayData, PanelPlace, StageApp, WindowState},
    },
    control::{KEY_HELP, Origin, Value},
    diffusion::Timing,
    stage::{Compositor, FrameClock, ShaderLibrary},
};

impl StageApp for Show {
    fn start(&mut self, gpu: &Gpu) -> Result<()> {
        let shaders = self.shaders.take().unwrap_or_else(ShaderLibrary::builtin);
        let size = (gpu.size_px[0], gpu.size_px[1]);
        let mut compositor = Compositor::new(gpu.device.clone(), gpu.queue.clone(), size, gpu.format, shaders)?;
        compositor.prepare();
        self.deck.device_lost();
        self.compositor = Some(compositor);
        self.shown = None;
        Ok(())
    }

    fn tick(&mut self, window: &mut WindowState) {
        self.frames_per_s = window.pace.frames_per_s;
        let overlay_moved = self.overlay_wanted.moved(&mut self.overlay_seen);
        if overlay_moved {
            window.overlay = self.overlay_wanted.is_on();
        } else if window.overlay != self.overlay_wanted.is_on() {
            self.set("/stage/overlay", Value::Bool(window.overlay));
            self.overlay_seen = self.overlay_wanted.changed();
        }
        if self.panel_wanted.moved(&mut self.panel_seen) {
            window.panel = PanelPlace::from_word(&self.panel_wanted.text());
        } else if window.panel.word() != &*self.panel_wanted.text() {
            self.set("/stage/panel", Value::text(window.panel.word()));
            self.panel_seen = self.panel_wanted.changed();
        }
        self.keep_history(window.pace);
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        self.follow_desk(frame.delta_secs);
        self.follow_shaders();
        let messages: Vec<_> = self.live.messages().chain(self.outside.messages()).collect();
        for text in messages {
            self.say(Level::Warning, text);
        }
        let report = self.live.report();
        for text in self.vitals.follow(frame.now, &report.health, report.flow.as_ref()) {
            self.say(Level::Info, text);
        }
        if self.outside.is_due() {
            self.outside.put(self.status());
        }
        let size = (frame.size_px[0], frame.size_px[1]);
        let picture = self.dreamer.latest().filter(|p| self.shown != Some((p.stamp.hop, p.model)));
        if let (Some(picture), Some((_, model))) = (&picture, self.shown)
            && picture.model != model
        {
            // The first picture of another model comes in as a preset does.
            self.begin_transition();
        }
        let Some(compositor) = &mut self.compositor else { return };
        if compositor.size() != size
            && let Err(error) = compositor.resize(size)
        {
            tracing::warn!("{error}");
            return;
        }
        if let Some(picture) = picture {
            self.shown = Some((picture.stamp.hop, picture.model));
            self.latency_ms = picture.stamp.arrived.elapsed().as_secs_f32() * 1e3;
            self.vitals.shown(&self.playing_source, self.latency_ms);
            compositor.show(&picture);
        }
        self.dials.fill(&mut self.look);
        trace_from_pulse(&self.live.moving().0, &mut self.trace);
        let clock = FrameClock {
            time_secs: (frame.now - self.begun).as_secs_f64(),
            delta_secs: frame.delta_secs,
            frame: frame.number,
        };
        compositor.frame(frame.target, &clock, &self.look, &self.trace);
    }

    fn closing(&mut self) {
        for text in self.deck.close(self.compositor.as_mut()) {
            eprintln!("{text}");
        }
    }

    fn key(&mut self, press: KeyPress) {
        if press.pressed {
            self.desk.key(&name_of(press.key), press.modifiers.shift, press.repeat);
        }
    }

    fn keys(&self) -> Vec<KeyHelp> {
        KEY_HELP.iter().chain(&panel::PANEL_KEYS).map(|(key, what)| KeyHelp::new(*key, *what)).collect()
    }

    fn overlay(&mut self, data: &mut OverlayData) {
        let report = self.live.report();
        let stats = self.dreamer.stats();
        data.source = report.source.to_string();
        data.source_state = report.state.to_string();
        data.mapping = report.mapping.to_owned();
        data.latent.clone_from(&report.latent);
        self.residents.plays().clone_into(&mut data.model);
        data.preset = self.desk.current().map(|preset| preset.name.clone()).unwrap_or_default();
        data.pictures_per_s = stats.pictures_per_s;
        data.latency_ms = self.latency_ms;
        data.timing = Timing { denoise_ms: stats.denoise.p50_ms, decode_ms: stats.decode.p50_ms };
        data.steps = self.steps.index();
        if let Some(picture) = self.dreamer.latest() {
            data.picture_px = [picture.width, picture.height];
        }
        if let Some(trace) = &report.scope {
            panel::feed::scope(&mut data.scope, trace, &report.health);
        }
        data.messages.clear();
        data.messages.extend(self.shader_messages().chain(self.log.since(Instant::now(), MESSAGE)));
    }

    fn panel(&mut self, data: &mut PanelData) {
        panel::feed::signal(data, &self.live.report());
        let latency_ms = self.vitals.latency_ms();
        if latency_ms > 0.0 {
            data.source_state.push_str(&format!(", {latency_ms:.0} ms to the picture"));
        }
        panel::feed::picture(data, self.dreamer.latest());
        panel::feed::presets(data, self.desk.presets(), self.desk.current().map(|preset| preset.id.as_str()));
        panel::feed::models(data, &self.dreamer.residents(), &self.residents.loading().collect::<Vec<_>>());
        data.follow(self.desk.table());
        if self.mapped_at.is_none_or(|at| at.elapsed() >= MAPPED) {
            self.mapped_at = Some(Instant::now());
            let movers = self
                .midi
                .movers()
                .chain(self.motion.movers())
                .chain(self.steering.movers())
                .chain(self.outside.movers());
            data.map(&movers.collect::<Vec<_>>());
        }
        data.history.clone_from(&self.history);
        data.messages.clear();
        data.messages.extend(self.log.all(Instant::now()).chain(self.shader_messages()));
    }

    fn panel_moves(&mut self, moves: &[Move]) {
        for Move { path, value } in moves {
            if let Err(error) = self.desk.table().set(path, value.clone(), Origin::Panel) {
                self.say(Level::Error, error.to_string());
            }
        }
    }

    fn told(&mut self, level: Level, text: String) {
        self.say(level, text);
    }
}

/// A key as [`crate::control::Desk::key`] knows it.
fn name_of(key: Key) -> String {
    match key {
        Key::Character(typed) => typed.to_string(),
        Key::Digit(digit) => digit.to_string(),
        named => format!("{named:?}"),
    }
}
