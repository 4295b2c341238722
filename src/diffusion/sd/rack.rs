//! The LoRAs of a checkpoint that plays: named, read, hung beside the layers, and turned up and down.
//!
//! Lives on the generating thread. A file is read and made ready on a thread of its own while pictures go on, or at once
//! where pictures wait for it (films); a file with a fault is one sentence, and the picture goes on without it. A strength
//! of 0 takes a LoRA off its layers, so that it costs nothing.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use crossbeam_channel::{Receiver, TryRecvError, bounded};

use super::{
    beside::{Beside, LowRank, Strength},
    files::{Lora, LoraUse, Parts, Places, Refusal, Tensors},
    layers::Engine,
};
use crate::kernels::apart_from_recordings;

/// Layers by the names of their weights: of the U-Net, the text model, the second text model.
type Layers = [BTreeMap<String, Beside>; 3];

pub struct Rack {
    shared: Arc<Shared>,
    hung: Vec<Hung>,
    notes: Vec<String>,
    /// How often the U-Net's layers have changed.
    generation: u64,
}

/// What reading a LoRA needs.
struct Shared {
    layers: Layers,
    places: Places,
    /// Of the U-Net, of the text models.
    engines: [Engine; 2],
}

/// A LoRA that was named.
struct Hung {
    path: PathBuf,
    strength: Strength,
    state: State,
    /// Whether it lies beside its layers now.
    plays: bool,
}

enum State {
    Reading(Receiver<Result<Fitting, Refusal>>),
    Ready(Fitting),
    Refused,
}

/// A LoRA's parts, each with its layer.
struct Fitting {
    parts: Vec<(usize, String, Arc<LowRank>)>,
    text: bool,
}

impl Rack {
    /// `parts` must have been built into layers, each of which asked for its slot. The engines are those of the tensors
    /// that U-Net and text models go through while a LoRA plays.
    pub fn new(parts: &Parts, engines: [Engine; 2]) -> Self {
        let of_text = |text: &Option<(Tensors, _)>| text.as_ref().map(|t| t.0.besides()).unwrap_or_default();
        let layers = [parts.unet.0.besides(), of_text(&parts.text), of_text(&parts.text_2)];
        let shared = Arc::new(Shared { layers, places: Places::of(parts), engines });
        Self { shared, hung: Vec::new(), notes: Vec::new(), generation: 0 }
    }

    /// How often the U-Net's layers have changed: what was computed with them before is of yesterday.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What the text models' layers are changed by; the same again for the same LoRAs and strengths.
    pub fn voice(&self) -> Vec<(PathBuf, u32)> {
        let speaks = |h: &&Hung| h.plays && matches!(&h.state, State::Ready(fitting) if fitting.text);
        self.hung.iter().filter(speaks).map(|h| (h.path.clone(), h.strength.get().to_bits())).collect()
    }

    /// Sentences that a person should read.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Brings the layers to what is wanted. `live`: files that are not read yet are read elsewhere, and play when they are.
    pub fn follow(&mut self, wanted: &[LoraUse], live: bool) {
        if wanted.is_empty() && self.hung.is_empty() {
            return;
        }
        let wanted = summed(wanted);
        let mut changes = !self.hung.iter().all(|h| !h.plays || wanted.iter().any(|(path, _)| *path == h.path));
        self.hung.retain(|h| wanted.iter().any(|(path, _)| *path == h.path));
        for (path, strength) in wanted {
            // A film reads what it needs when it needs it; a show, before.
            if !live && strength == 0.0 && !self.hung.iter().any(|h| h.path == path) {
                continue;
            }
            let at = self.hung.iter().position(|h| h.path == path).unwrap_or_else(|| {
                self.hung.push(self.named(path, live));
                self.hung.len() - 1
            });
            let hung = &mut self.hung[at];
            hung.look(live, &mut self.notes);
            let plays = strength != 0.0 && matches!(hung.state, State::Ready(_));
            changes |= plays != hung.plays;
            if plays && (!hung.plays || hung.strength.get() != strength) {
                hung.strength.set(strength);
                self.generation += 1;
            }
            hung.plays = plays;
        }
        if changes {
            self.generation += 1;
            self.hang();
        }
    }

    fn named(&self, path: PathBuf, live: bool) -> Hung {
        let strength = Strength::default();
        let (done, read) = bounded(1);
        let (shared, its, from) = (self.shared.clone(), strength.clone(), path.clone());
        let body = move || {
            // By path, or by name as models are; what is not found is told with the path that was typed.
            let from = crate::diffusion::find_file(&from.to_string_lossy()).unwrap_or(from);
            let read = shared.read(&from, &its);
            // Nobody waits any more if another LoRA was named meanwhile; then it is let go of here.
            let _apart = apart_from_recordings();
            drop(done.send(read));
        };
        if live {
            let thread = std::thread::Builder::new().name("lora".into()).spawn(body);
            if let Err(error) = thread {
                tracing::warn!("{}: no thread could be had to read it: {error}", path.display());
            }
        } else {
            body();
        }
        Hung { path, strength, state: State::Reading(read), plays: false }
    }

    /// Puts what plays beside its layers, and nothing else.
    fn hang(&self) {
        let mut added: [BTreeMap<&str, Vec<Arc<LowRank>>>; 3] = Default::default();
        for hung in self.hung.iter().filter(|h| h.plays) {
            let State::Ready(fitting) = &hung.state else { continue };
            for (part, layer, low_rank) in &fitting.parts {
                added[*part].entry(layer).or_default().push(low_rank.clone());
            }
        }
        for (layers, mut added) in self.shared.layers.iter().zip(added) {
            for (name, beside) in layers {
                beside.put(added.remove(name.as_str()).unwrap_or_default());
            }
        }
    }
}

impl Hung {
    /// Whether it has been read meanwhile.
    fn look(&mut self, live: bool, notes: &mut Vec<String>) {
        let State::Reading(read) = &self.state else { return };
        let found = if live { read.try_recv() } else { read.recv().map_err(|_| TryRecvError::Disconnected) };
        self.state = match found {
            Ok(Ok(fitting)) => State::Ready(fitting),
            Ok(Err(refusal)) => {
                notes.push(format!("{refusal}; the picture goes on without it"));
                State::Refused
            }
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => {
                notes.push(format!("{} could not be read; the picture goes on without it", self.path.display()));
                State::Refused
            }
        };
    }
}

/// One strength a file: that of a file that is named twice is the sum.
fn summed(wanted: &[LoraUse]) -> Vec<(PathBuf, f32)> {
    let mut all: Vec<(PathBuf, f32)> = Vec::new();
    for LoraUse { path, strength } in wanted.iter().filter(|w| !w.path.as_os_str().is_empty()) {
        let strength = if strength.is_finite() { *strength } else { 0.0 };
        match all.iter_mut().find(|(known, _)| known == path) {
            Some((_, sum)) => *sum += strength,
            None => all.push((path.clone(), strength)),
        }
    }
    all
}

impl Shared {
    fn read(&self, path: &Path, strength: &Strength) -> Result<Fitting, Refusal> {
        let lora = Lora::open(path)?;
        let mut parts = Vec::new();
        let mut text = false;
        for (place, product) in lora.fit(&self.places)?.layers {
            // Weights without a layer of their own, such as tables of words, are merged while loading or not at all.
            let Some(beside) = self.layers[place.part].get(&place.weight) else { continue };
            let (up, down) = product.halves().map_err(|what| Refusal::new(path, what))?;
            let engine = &self.engines[usize::from(place.part > 0)];
            let _apart = apart_from_recordings();
            let low_rank = LowRank::new(beside, up, &down, product.factor, strength, engine);
            let low_rank = low_rank.map_err(|e| Refusal::new(path, format!("does not fit {}: {e}", place.weight)))?;
            text |= place.part > 0;
            parts.push((place.part, place.weight.clone(), Arc::new(low_rank)));
        }
        Ok(Fitting { parts, text })
    }
}
