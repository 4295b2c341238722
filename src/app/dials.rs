//! The parameters as each room wants them: handles of the table, read into plain settings structs.
//!
//! Each thread holds its own dials; reading them never waits.

use std::sync::Arc;

use crate::{
    control::{Handle, SetError, Table},
    diffusion::{Card, Conditioning, sd::Text},
    encoder::head::Steering,
    latent::Shape,
    signal::{Mains, Settings},
    stage::{Fit, Kind, Look, ShaderLibrary, Use},
};

/// What the signal thread reads.
pub struct SignalDials {
    dc_hz: Handle,
    notch: Handle,
    low_hz: Handle,
    high_hz: Handle,
    gain: Handle,
    state: Handle,
    mapping: Handle,
    knobs: Vec<(&'static str, Handle)>,
    beats: Handle,
}

/// Knobs of mappings, by the last part of their path.
const MAPPING_KNOBS: [&str; 3] = ["beat_secs", "memory_secs", "drive"];

impl SignalDials {
    pub fn new(table: &Table) -> Result<Self, SetError> {
        Ok(Self {
            dc_hz: table.handle("/signal/dc_hz")?,
            notch: table.handle("/signal/notch")?,
            low_hz: table.handle("/signal/low_hz")?,
            high_hz: table.handle("/signal/high_hz")?,
            gain: table.handle("/signal/gain")?,
            state: table.handle("/synth/state")?,
            mapping: table.handle("/latent/mapping")?,
            knobs: MAPPING_KNOBS
                .iter()
                .map(|&knob| Ok((knob, table.handle(&format!("/latent/{knob}"))?)))
                .collect::<Result<_, SetError>>()?,
            beats: table.handle("/latent/beats")?,
        })
    }

    pub fn settings(&self) -> Settings {
        Settings {
            dc_hz: self.dc_hz.f32(),
            mains: match &*self.notch.text() {
                "50" => Mains::Hz50,
                "60" => Mains::Hz60,
                _ => Mains::Off,
            },
            low_hz: self.low_hz.f32(),
            high_hz: self.high_hz.f32(),
            gain: self.gain.f32(),
        }
    }

    pub fn synth_state(&self) -> Arc<str> {
        self.state.text()
    }

    pub fn mapping(&self) -> Arc<str> {
        self.mapping.text()
    }

    /// Where a beat is between two key noises, 0..1; below 0 if mappings go their own way.
    pub fn beat_phase(&self, beat: f64) -> f32 {
        match self.beats.text().parse::<f64>() {
            Ok(beats) => (beat / beats).rem_euclid(1.0) as f32,
            Err(_) => -1.0,
        }
    }

    /// Name and value of each knob that mappings may have.
    pub fn mapping_knobs(&self) -> impl Iterator<Item = (&'static str, f32)> {
        self.knobs.iter().map(|(knob, handle)| (*knob, handle.f32()))
    }
}

/// What a picture is asked with.
pub struct DreamDials {
    genres: Vec<Handle>,
    scene: Vec<Handle>,
    vivid: Handle,
    bright: Handle,
    prompt: Handle,
    negative: Handle,
    guidance: Handle,
    reads_text: bool,
    steps: Handle,
    size: Handle,
    shape: Handle,
    rate: Handle,
    channels: usize,
    factor: usize,
    multiple: usize,
    max_steps: usize,
    /// Names of genres and scene values, and numbers of a context token.
    names: (Vec<String>, Vec<String>, usize),
}

impl DreamDials {
    /// The table must hold the genres and scene values of this model.
    pub fn new(table: &Table, card: &Card) -> Result<Self, SetError> {
        let named = |under: &str, names: &[String]| {
            names.iter().map(|name| table.handle(&format!("/dream/{under}/{name}"))).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            genres: named("genre", &card.genres)?,
            scene: named("scene", &card.scene)?,
            vivid: table.handle("/dream/vivid")?,
            bright: table.handle("/dream/bright")?,
            prompt: table.handle("/dream/prompt")?,
            negative: table.handle("/dream/negative")?,
            guidance: table.handle("/dream/guidance")?,
            reads_text: card.reads_text,
            steps: table.handle("/dream/steps")?,
            size: table.handle("/dream/size")?,
            shape: table.handle("/dream/shape")?,
            rate: table.handle("/dream/rate")?,
            channels: card.latent_channels,
            factor: card.factor,
            multiple: card.multiple,
            max_steps: card.max_steps,
            names: (card.genres.clone(), card.scene.clone(), card.context_width),
        })
    }

    pub fn conditioning(&self) -> Conditioning {
        Conditioning {
            genres: self.genres.iter().map(Handle::f32).collect(),
            vivid: self.vivid.f32(),
            bright: self.bright.f32(),
            scene: self.scene.iter().map(Handle::f32).collect(),
            context: Vec::new(),
            text: self.reads_text.then(|| Text {
                prompt: self.prompt.text().to_string(),
                negative: self.negative.text().to_string(),
                guidance: Some(self.guidance.f32()).filter(|g| *g > 0.0),
                ..Text::default()
            }),
        }
    }

    /// As [`Self::conditioning`], moved so much towards what an encoder asks for; at 0 it is the same.
    pub fn steered(&self, steering: Option<(&Steering, f32)>) -> Conditioning {
        let mut asked = self.conditioning();
        let Some((steering, amount)) = steering.filter(|(_, amount)| *amount > 0.0) else { return asked };
        let (genres, scene, context_width) = &self.names;
        let toward = |own: f32, goal: f32| own + amount * (goal - own);
        let sum: f32 = asked.genres.iter().sum();
        let even = 1.0 / genres.len().max(1) as f32;
        for (own, name) in asked.genres.iter_mut().zip(genres) {
            *own = toward(if sum > 0.0 { *own / sum } else { even }, steering.genre(name));
        }
        asked.vivid = toward(asked.vivid, steering.vivid);
        asked.bright = toward(asked.bright, steering.bright);
        for (own, name) in asked.scene.iter_mut().zip(scene) {
            *own = steering.scene_value(name).map_or(*own, |goal| toward(*own, goal));
        }
        if *context_width == steering.targets.context_width {
            asked.context = steering.context.iter().map(|x| amount * x).collect();
        }
        asked
    }

    pub fn steps(&self) -> usize {
        self.steps.index().clamp(1, self.max_steps)
    }

    /// Pictures a second that are wanted.
    pub fn rate(&self) -> f64 {
        self.rate.number().max(0.1)
    }

    /// The latent of a picture whose longer side is `/dream/size` and whose shape is the nearest to `/dream/shape` that
    /// the model makes.
    pub fn latent_shape(&self) -> Shape {
        let long_px: usize = self.size.text().parse().unwrap_or(512);
        let (across, down) = self
            .shape
            .text()
            .split_once(':')
            .and_then(|(w, h)| Some((w.parse::<f32>().ok()?, h.parse::<f32>().ok()?)))
            .unwrap_or((1.0, 1.0));
        let cells = |share: f32| {
            let cells = long_px as f32 * share / self.factor as f32;
            ((cells / self.multiple as f32).round().max(1.0) as usize) * self.multiple
        };
        let long = across.max(down);
        Shape { channels: self.channels, height: cells(down / long), width: cells(across / long) }
    }
}

/// What the stage reads.
pub struct StageDials {
    table: Table,
    layout: u64,
    fit: Handle,
    crossfade: Handle,
    master: Handle,
    /// What the hours of a schedule leave of it.
    hours: Handle,
    blackout: Handle,
    freeze: Handle,
    transition: Handle,
    transition_secs: Handle,
    /// In the order of [`Look::effects`] and [`Look::transitions`].
    effects: Vec<UseDials>,
    transitions: Vec<UseDials>,
}

struct UseDials {
    name: String,
    amount: Option<Handle>,
    params: Vec<(String, Handle)>,
}

impl StageDials {
    pub fn new(table: &Table, shaders: &ShaderLibrary) -> Result<Self, SetError> {
        let mut dials = Self {
            table: table.clone(),
            layout: table.layout(),
            fit: table.handle("/stage/fit")?,
            crossfade: table.handle("/stage/crossfade")?,
            master: table.handle("/stage/master")?,
            hours: table.handle("/schedule/level")?,
            blackout: table.handle("/stage/blackout")?,
            freeze: table.handle("/stage/freeze")?,
            transition: table.handle("/stage/transition")?,
            transition_secs: table.handle("/stage/transition_secs")?,
            effects: Vec::new(),
            transitions: Vec::new(),
        };
        dials.find_uses(shaders);
        Ok(dials)
    }

    /// Finds the handles again after shaders were added or their parameters changed.
    pub fn find_uses(&mut self, shaders: &ShaderLibrary) {
        self.layout = self.table.layout();
        let dials = |kind: Kind, under: &str| -> Vec<UseDials> {
            let of_kind = shaders.declarations().filter(|declared| declared.kind == kind);
            of_kind
                .map(|declared| {
                    let find = |name: &str| self.table.handle(&format!("/{under}/{}/{name}", declared.name)).ok();
                    UseDials {
                        amount: find("amount"),
                        params: declared
                            .params
                            .iter()
                            .filter_map(|param| Some((param.name.clone(), find(&param.name)?)))
                            .collect(),
                        name: declared.name.clone(),
                    }
                })
                .collect()
        };
        let effects = dials(Kind::Effect, "effect");
        let transitions = dials(Kind::Transition, "transition");
        (self.effects, self.transitions) = (effects, transitions);
    }

    /// Brings a look up to date; its lists are made anew only when shaders came or went.
    pub fn fill(&self, look: &mut Look) {
        look.fit = match &*self.fit.text() {
            "fit" => Fit::Contain,
            "stretch" => Fit::Stretch,
            _ => Fit::Crop,
        };
        look.crossfade = self.crossfade.f32();
        look.master = self.master.f32() * self.hours.f32();
        look.blackout = self.blackout.is_on();
        look.freeze = self.freeze.is_on();
        fill_uses(&mut look.effects, &self.effects);
        fill_uses(&mut look.transitions, &self.transitions);
    }

    pub fn transition(&self) -> Arc<str> {
        self.transition.text()
    }

    pub fn transition_secs(&self) -> f32 {
        self.transition_secs.f32()
    }
}

fn fill_uses(uses: &mut Vec<Use>, dials: &[UseDials]) {
    let same = uses.len() == dials.len()
        && uses.iter().zip(dials).all(|(a, b)| a.name == b.name && a.params.len() == b.params.len());
    if !same {
        *uses = dials
            .iter()
            .map(|dial| Use {
                name: dial.name.clone(),
                amount: 0.0,
                params: dial.params.iter().map(|(name, _)| (name.clone(), 0.0)).collect(),
            })
            .collect();
    }
    for (used, dial) in uses.iter_mut().zip(dials) {
        used.amount = dial.amount.as_ref().map_or(1.0, Handle::f32);
        for ((_, value), (_, handle)) in used.params.iter_mut().zip(&dial.params) {
            *value = handle.f32();
        }
    }
}
