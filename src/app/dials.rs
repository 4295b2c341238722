//! The parameters as each room wants them: handles of the table, read into plain settings structs.
//!
//! Each thread holds its own dials; reading them never waits.

use std::sync::Arc;

use crate::{
    control::{self, Handle, SetError, Table},
    diffusion::{
        Card, Conditioning, Feedback, PictureShape,
        sd::{Blend, DecoderChoice, LoraUse, Sampler, Text, Way},
    },
    encoder::head::Steering,
    latent::Shape,
    signal::{Mains, Settings},
    stage::{Fit, Kind, Look, ShaderLibrary, Use},
    state::Mood,
};

use super::steering::{Prompts, words};

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
    card: Card,
    genres: Vec<Handle>,
    scene: Vec<Handle>,
    vivid: Handle,
    bright: Handle,
    prompt: Handle,
    prompts: Prompts,
    negative: Handle,
    guidance: Handle,
    way: WayDials,
    feedback: [Handle; 5],
    steps: Handle,
    size: Handle,
    shape: Handle,
    rate: Handle,
}

impl DreamDials {
    /// The table must hold the genres and scene values of this model.
    pub fn new(table: &Table, card: &Card) -> Result<Self, SetError> {
        let named = |under: &str, names: &[String]| {
            names.iter().map(|name| table.handle(&format!("/dream/{under}/{name}"))).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            card: card.clone(),
            genres: named("genre", &card.genres)?,
            scene: named("scene", &card.scene)?,
            vivid: table.handle("/dream/vivid")?,
            bright: table.handle("/dream/bright")?,
            prompt: table.handle("/dream/prompt")?,
            prompts: Prompts::new(table)?,
            negative: table.handle("/dream/negative")?,
            guidance: table.handle("/dream/guidance")?,
            way: WayDials::new(table)?,
            feedback: {
                let handle = |name| table.handle(&format!("/dream/feedback/{name}"));
                [handle("strength")?, handle("zoom")?, handle("pan_x")?, handle("pan_y")?, handle("rotate")?]
            },
            steps: table.handle("/dream/steps")?,
            size: table.handle("/dream/size")?,
            shape: table.handle("/dream/shape")?,
            rate: table.handle("/dream/rate")?,
        })
    }

    /// As it is when nothing steers.
    pub fn conditioning(&self) -> Conditioning {
        self.conditioning_in(&Mood::default())
    }

    /// Steered by the state of the signal, where that was asked for.
    pub fn conditioning_in(&self, mood: &Mood) -> Conditioning {
        Conditioning {
            genres: self.genres.iter().map(Handle::f32).collect(),
            vivid: self.vivid.f32(),
            bright: self.bright.f32(),
            scene: self.scene.iter().map(Handle::f32).collect(),
            context: Vec::new(),
            text: self.card.reads_text.then(|| self.text_in(mood)),
            way: if self.card.reads_text { self.way.way() } else { Way::default() },
            feedback: self.feedback(),
            ..Conditioning::default()
        }
    }

    /// What models that read are told when nothing steers.
    #[cfg(feature = "window")]
    pub fn text(&self) -> Text {
        self.text_in(&Mood::default())
    }

    fn text_in(&self, mood: &Mood) -> Text {
        Text {
            prompt: self.prompts.blended(&self.prompt.text(), mood),
            negative: self.negative.text().to_string(),
            guidance: Some(self.guidance.f32()).filter(|g| *g > 0.0),
            blend: self.way.blend(),
        }
    }

    fn feedback(&self) -> Feedback {
        let [strength, zoom, pan_x, pan_y, rotate] = &self.feedback;
        if strength.f32() <= 0.0 {
            return Feedback::default();
        }
        Feedback {
            strength: strength.f32(),
            zoom: zoom.f32(),
            pan_x: pan_x.f32(),
            pan_y: pan_y.f32(),
            rotate: rotate.f32(),
        }
    }

    /// As [`Self::conditioning_in`], moved so much towards what an encoder asks for; at 0 it is the same.
    pub fn steered(&self, mood: &Mood, steering: Option<(&Steering, f32)>) -> Conditioning {
        let mut asked = self.conditioning_in(mood);
        let Some((steering, amount)) = steering.filter(|(_, amount)| *amount > 0.0) else { return asked };
        if steering.targets.are_words() {
            asked.signal = self.card.reads_text.then(|| words(steering, amount));
            return asked;
        }
        let Card { genres, scene, context_width, .. } = &self.card;
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
        self.steps.index().clamp(1, self.card.max_steps)
    }

    /// Pictures a second that are wanted.
    pub fn rate(&self) -> f64 {
        self.rate.number().max(0.1)
    }

    /// The latent of a picture whose longer side is `/dream/size` and whose shape is the nearest to `/dream/shape` that
    /// the model makes.
    pub fn latent_shape(&self) -> Shape {
        self.picture_shape().latent(&self.card)
    }

    pub fn picture_shape(&self) -> PictureShape {
        let long_px = self.size.text().parse().unwrap_or(512);
        let shape = self.shape.text();
        let sides = shape.split_once(':').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        let (across, down) = sides.unwrap_or((1.0, 1.0));
        PictureShape { long_px, across, down }
    }
}

/// How a model that has a choice paints.
struct WayDials {
    glide: Handle,
    blend: Handle,
    scheduler: Handle,
    decoder: Handle,
    stream: Handle,
    /// File and strength.
    loras: Vec<(Handle, Handle)>,
}

impl WayDials {
    fn new(table: &Table) -> Result<Self, SetError> {
        let lora = |slot: usize| {
            let handle = |name| table.handle(&format!("/dream/lora/{slot}/{name}"));
            Ok((handle("file")?, handle("strength")?))
        };
        Ok(Self {
            glide: table.handle("/dream/prompt_glide")?,
            blend: table.handle("/dream/blend")?,
            scheduler: table.handle("/dream/scheduler")?,
            decoder: table.handle("/dream/decoder")?,
            stream: table.handle("/dream/stream")?,
            loras: (1..=control::LORAS).map(lora).collect::<Result<_, SetError>>()?,
        })
    }

    fn blend(&self) -> Blend {
        if &*self.blend.text() == "slerp" { Blend::Slerp } else { Blend::Linear }
    }

    fn way(&self) -> Way {
        let lora = |(file, strength): &(Handle, Handle)| {
            let file = file.text();
            let path = file.trim();
            (!path.is_empty()).then(|| LoraUse { path: path.into(), strength: strength.f32() })
        };
        Way {
            sampler: Sampler::named(&self.scheduler.text()),
            decoder: match &*self.decoder.text() {
                "taesd" => Some(DecoderChoice::Tiny),
                _ => None,
            },
            loras: self.loras.iter().filter_map(lora).collect(),
            glide_secs: self.glide.f32(),
            stream: self.stream.is_on(),
        }
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
