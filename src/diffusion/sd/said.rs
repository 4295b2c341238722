//! What the U-Net is told: texts as they come, encoded once, gliding from one to the next.
//!
//! Lives on the generating thread. Encoding a text takes as long as a fraction of a picture; in a show it happens on a
//! thread of its own while the old text paints on, in a film at once. A glide is a way from vector to vector, counted in
//! signal time. The same text again costs a comparison, and the same prompts in other shares a sum, without a glide: who
//! moves shares moves them himself.

use std::{collections::VecDeque, path::PathBuf, sync::Arc};

use candle_core::{Result, Tensor};
use crossbeam_channel::{Receiver, TryRecvError, bounded};

use super::{
    FACTOR, Text,
    reader::{Embedded, Reader},
    text::{Blend, blends},
    unet::{Prepared, Unet},
};
use crate::diffusion::SignalWords;

/// Encoded prompts that are kept for coming back: some hundred kB each.
const KEPT: usize = 24;

/// One prompt of a blend, and all that its vectors depend on.
#[derive(Debug, Clone, PartialEq)]
struct Key {
    prompt: String,
    /// LoRAs of the text models with their strengths' bits.
    voice: Vec<(PathBuf, u32)>,
}

/// A text as it is to be: prompts and their shares.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    with: Vec<(Key, f32)>,
    /// The negative text, where it counts.
    without: Option<Vec<(Key, f32)>>,
    blend: Blend,
}

impl Wanted {
    fn keys(&self) -> impl Iterator<Item = &Key> {
        self.with.iter().chain(self.without.iter().flatten()).map(|(key, _)| key)
    }

    /// Whether the words are the same, whatever their shares.
    fn has_words_of(&self, other: &Self) -> bool {
        self.keys().map(|k| &k.prompt).eq(other.keys().map(|k| &k.prompt))
    }
}

/// The vectors of a text and of what it is measured against.
#[derive(Clone)]
struct Rows {
    with: Embedded,
    without: Option<Embedded>,
}

struct Glide {
    from: Rows,
    to: Rows,
    passed_secs: f32,
}

/// How long a glide takes, how much time has passed since the last picture, and whether pictures wait for a text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Time {
    pub glide_secs: f32,
    pub passed_secs: f32,
    pub live: bool,
}

/// A text made ready for the U-Net, and the guidance it is used with: none is one pass a step.
#[derive(Clone)]
pub struct Ready {
    pub prepared: Prepared,
    pub guidance: Option<f32>,
}

/// Prompts that were encoded elsewhere, or why not.
type Sent = std::result::Result<Vec<(Key, Embedded)>, String>;

/// What a text was made ready for.
#[derive(Clone, Copy, PartialEq)]
struct MadeFor {
    version: u64,
    /// Of the U-Net's layers.
    generation: u64,
    size: [usize; 2],
    guided: bool,
    pictures: usize,
}

pub struct Said {
    reader: Arc<Reader>,
    zeros_for_empty: bool,
    /// Newest last.
    known: VecDeque<(Key, Embedded)>,
    coming: Option<Receiver<Sent>>,
    target: Option<Wanted>,
    now: Option<Rows>,
    glide: Option<Glide>,
    /// What a signal says in the place of the words.
    heard: Option<SignalWords>,
    /// How often `now` has changed.
    version: u64,
    made: Option<(MadeFor, Prepared)>,
    notes: Vec<String>,
    /// Said of words that do not fit, once.
    misfit: Option<String>,
}

impl Said {
    pub fn new(reader: Arc<Reader>, zeros_for_empty: bool) -> Self {
        Self {
            reader,
            zeros_for_empty,
            known: VecDeque::new(),
            coming: None,
            target: None,
            now: None,
            glide: None,
            heard: None,
            version: 0,
            made: None,
            notes: Vec::new(),
            misfit: None,
        }
    }

    /// Sentences that a person should read.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Brings what is said to a text. `guided`: its guidance is another than 1.
    pub fn follow(&mut self, text: &Text, voice: Vec<(PathBuf, u32)>, guided: bool, time: Time) -> Result<()> {
        let both_empty = text.prompt.trim().is_empty() && text.negative.trim().is_empty();
        let parts = |prompt: &str| {
            let key = |prompt: &str| Key { prompt: prompt.to_owned(), voice: voice.clone() };
            blends(prompt).into_iter().map(|(prompt, share)| (key(prompt), share)).collect()
        };
        let wanted = Wanted {
            with: parts(&text.prompt),
            without: (guided && !both_empty).then(|| parts(&text.negative)),
            blend: text.blend,
        };
        if self.target.as_ref() != Some(&wanted)
            && let Some(to) = self.rows(&wanted, time.live)?
        {
            self.turn_to(wanted, to, time.glide_secs);
        }
        let Some(glide) = &mut self.glide else { return Ok(()) };
        glide.passed_secs += time.passed_secs;
        self.version += 1;
        if glide.passed_secs < time.glide_secs {
            let part = f64::from(glide.passed_secs / time.glide_secs);
            self.now = Some(glide.from.mixed(&glide.to, part, text.blend)?);
        } else {
            self.now = self.glide.take().map(|g| g.to);
        }
        Ok(())
    }

    /// Brings what a signal says in the place of the words to this.
    pub fn hear(&mut self, signal: Option<&SignalWords>) {
        let [words, width] = self.reader.size;
        let wanted = signal.filter(|signal| signal.weight > 0.0);
        if let Some(signal) = wanted.filter(|signal| signal.width != width || signal.values.len() != words * width) {
            let found = signal.values.len() / signal.width.max(1);
            let note = format!(
                "the encoder of the signal makes {found} words of {} numbers, and the model takes {words} of {width}; it \
                 is not steered by them",
                signal.width
            );
            if self.misfit.as_ref() != Some(&note) {
                self.misfit = Some(note.clone());
                self.notes.push(note);
            }
            return self.hear(None);
        }
        if self.heard.as_ref() != wanted {
            self.heard = wanted.cloned();
            self.version += 1;
        }
    }

    fn turn_to(&mut self, wanted: Wanted, to: Rows, glide_secs: f32) {
        let same_words = self.target.as_ref().is_some_and(|target| target.has_words_of(&wanted));
        self.target = Some(wanted);
        match (&mut self.glide, self.now.take()) {
            (Some(glide), now) if same_words => {
                glide.to = to;
                self.now = now;
            }
            (_, Some(from)) if !same_words && glide_secs > 0.0 => {
                self.glide = Some(Glide { from: from.clone(), to, passed_secs: 0.0 });
                self.now = Some(from);
            }
            _ => {
                self.glide = None;
                self.now = Some(to);
                self.version += 1;
            }
        }
    }

    /// The vectors of a text; none while they are being made elsewhere.
    fn rows(&mut self, wanted: &Wanted, live: bool) -> Result<Option<Rows>> {
        self.collect();
        let missing = |key: &&Key| !self.known.iter().any(|(known, _)| known == *key);
        let missing: Vec<Key> = wanted.keys().filter(missing).cloned().collect();
        if !missing.is_empty() {
            if live && self.now.is_some() {
                if self.coming.is_none() {
                    self.send_for(missing);
                }
                return Ok(None);
            }
            for key in missing {
                let embedded = self.reader.embed_one(&key.prompt)?;
                self.keep(key, embedded);
            }
        }
        let blended = |parts: &[(Key, f32)]| {
            let found = |key: &Key| self.known.iter().find(|(known, _)| known == key).map(|(_, e)| e.clone());
            let parts = parts.iter().map(|(key, share)| Some((found(key)?, *share))).collect::<Option<Vec<_>>>();
            parts.map_or(Ok(None), |parts| Embedded::blended(parts, wanted.blend))
        };
        let Some(with) = blended(&wanted.with)? else { return Ok(None) };
        let without = match &wanted.without {
            None => None,
            Some(parts) => {
                let Some(embedded) = blended(parts)? else { return Ok(None) };
                let empty = parts.iter().all(|(key, _)| key.prompt.trim().is_empty());
                Some(if self.zeros_for_empty && empty { embedded.zeros()? } else { embedded })
            }
        };
        Ok(Some(Rows { with, without }))
    }

    fn keep(&mut self, key: Key, embedded: Embedded) {
        self.known.retain(|(known, _)| *known != key);
        self.known.push_back((key, embedded));
        if self.known.len() > KEPT {
            self.known.pop_front();
        }
    }

    fn send_for(&mut self, keys: Vec<Key>) {
        let (done, coming) = bounded(1);
        let reader = self.reader.clone();
        let body = move || {
            let embed = |key: Key| {
                let embedded = reader.embed_one(&key.prompt).map_err(|e| e.to_string())?;
                Ok((key, embedded))
            };
            // Nobody waits any more if the model was put away.
            drop(done.send(keys.into_iter().map(embed).collect()));
        };
        match std::thread::Builder::new().name("prompt".into()).spawn(body) {
            Ok(_) => self.coming = Some(coming),
            Err(error) => tracing::warn!("no thread could be had to encode a prompt: {error}"),
        }
    }

    fn collect(&mut self) {
        let Some(coming) = &self.coming else { return };
        match coming.try_recv() {
            Err(TryRecvError::Empty) => return,
            Ok(Ok(all)) => all.into_iter().for_each(|(key, embedded)| self.keep(key, embedded)),
            Ok(Err(why)) => self.notes.push(format!("a prompt could not be encoded: {why}; the one before paints on")),
            Err(TryRecvError::Disconnected) => {
                self.notes.push("a prompt could not be encoded; the one before paints on".to_owned());
            }
        }
        self.coming = None;
    }

    /// What is said, made ready for `pictures` in one pass. `generation` is that of the U-Net's layers.
    pub fn ready(
        &mut self,
        unet: &Unet,
        generation: u64,
        size: [usize; 2],
        guidance: f32,
        pictures: usize,
    ) -> Result<Ready> {
        let Some(now) = &self.now else { candle_core::bail!("nothing was said") };
        let distilled = unet.config().guidance_width.is_some();
        let guided = now.without.is_some() && guidance != 1.0 && !distilled;
        let key = MadeFor { version: self.version, generation, size, guided, pictures };
        let known = self.made.take().filter(|(known, _)| *known == key).map(|(_, prepared)| prepared);
        let prepared = match known {
            Some(prepared) => prepared,
            None => now.prepare(unet, self.heard.as_ref(), size, guided)?.spread(pictures)?,
        };
        self.made = Some((key, prepared.clone()));
        Ok(Ready { prepared, guidance: (guided || distilled).then_some(guidance) })
    }
}

impl Rows {
    /// Where only one of two texts is measured against another, the other is measured against itself.
    fn mixed(&self, other: &Self, part: f64, blend: Blend) -> Result<Self> {
        let without = match (&self.without, &other.without) {
            (None, None) => None,
            (a, b) => Some(a.as_ref().unwrap_or(&self.with).mixed(b.as_ref().unwrap_or(&other.with), part, blend)?),
        };
        Ok(Self { with: self.with.mixed(&other.with, part, blend)?, without })
    }

    /// One row, or where guided two, the negative text first.
    fn prepare(&self, unet: &Unet, heard: Option<&SignalWords>, size: [usize; 2], guided: bool) -> Result<Prepared> {
        let steered = heard.map(|heard| self.with.steered(heard)).transpose()?;
        let with = steered.as_ref().unwrap_or(&self.with);
        let rows: Vec<&Embedded> = self.without.iter().filter(|_| guided).chain([with]).collect();
        let words: Vec<&Tensor> = rows.iter().map(|r| &r.words).collect();
        let pooled: Vec<&Tensor> = rows.iter().filter_map(|r| r.pooled.as_ref()).collect();
        let pooled = if pooled.is_empty() { None } else { Some(Tensor::cat(&pooled, 0)?) };
        unet.prepare(&Tensor::cat(&words, 0)?, pooled.as_ref().map(|p| (p, micro(size))))
    }
}

/// SDXL's six numbers for a picture of `h` x `w` latent cells: its size, nothing cropped, its size.
pub fn micro([height, width]: [usize; 2]) -> [f32; 6] {
    let (h, w) = ((FACTOR * height) as f32, (FACTOR * width) as f32);
    [h, w, 0.0, 0.0, h, w]
}
