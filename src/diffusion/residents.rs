//! Which models are in memory: the one that plays, those that played, those that presets will ask for.
//!
//! Lives on the thread of the window and never waits: models are loaded and warmed up elsewhere ([`Loader`]), and the one that
//! is wanted takes over in the frame in which it is there. What leaves first when memory is short is what was used
//! longest ago.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use super::{
    Dreamer, Inmate, Options, Playing, WarmUp, card,
    device::How,
    load_with,
    loader::{Loader, News, Opener},
};

/// What has changed since the last look.
pub enum Turn {
    /// This one paints from now on. `anew`: the same model as before, loaded in another way.
    Plays { name: String, playing: Playing, anew: bool },
    /// Something a person should read.
    Told(String),
}

/// What is wanted at this moment.
pub struct Wanted<'a> {
    /// The model that is to play.
    pub model: &'a str,
    /// How it is to be loaded. Another way than before loads it again while the old one plays on.
    pub how: How,
    /// Models that will be wanted.
    pub ahead: &'a [String],
    /// Memory that all models together may take.
    pub budget_bytes: u64,
}

/// The models in memory.
pub struct Residents {
    dreamer: Arc<Dreamer>,
    loader: Loader,
    plays: String,
    /// How models are loaded.
    how: How,
    /// How the one that plays was.
    plays_in: How,
    /// The one that plays is to be loaded anew.
    stale: bool,
    /// That has happened, and it is there.
    is_there: bool,
    /// Asked for last.
    wanted: String,
    /// Not tried again before they are asked for anew.
    failed: BTreeSet<String>,
    /// Would not fit beside the one that plays, or is not there: not tried ahead again.
    not_ahead: BTreeSet<String>,
}

impl Residents {
    /// `plays` is the name of the one model that is there already, `how` how it was loaded.
    pub fn new(dreamer: Arc<Dreamer>, plays: &str, how: How) -> Self {
        let load = |name: &str, how| load_with(name, Options::on(how));
        Self::with(dreamer, (plays, how), Opener { card, load })
    }

    fn with(dreamer: Arc<Dreamer>, (plays, how): (&str, How), opener: Opener) -> Self {
        Self {
            dreamer,
            loader: Loader::new(opener),
            plays: plays.to_owned(),
            how,
            plays_in: how,
            stale: false,
            is_there: false,
            wanted: plays.to_owned(),
            failed: BTreeSet::new(),
            not_ahead: BTreeSet::new(),
        }
    }

    /// The one that paints.
    pub fn plays(&self) -> &str {
        &self.plays
    }

    /// Those that are being loaded.
    pub fn loading(&self) -> impl Iterator<Item = &str> {
        self.loader.names()
    }

    /// Follows what is wanted. `warm_up` is what first pictures are made with.
    pub fn tick(&mut self, wanted: &Wanted<'_>, warm_up: impl Fn() -> WarmUp) -> Vec<Turn> {
        let mut turns = Vec::new();
        if *wanted.model != *self.wanted {
            wanted.model.clone_into(&mut self.wanted);
            self.failed.remove(wanted.model);
        }
        if wanted.how != self.how {
            self.begin_anew(wanted.how);
        }
        while let Some(news) = self.loader.news() {
            self.hear(news, wanted, &mut turns);
        }
        let anew = self.stale && self.wanted == self.plays;
        if (anew || self.wanted != self.plays) && !self.failed.contains(&self.wanted) {
            let playing = if anew && !self.is_there { None } else { self.dreamer.play(&self.wanted) };
            match playing {
                Some(playing) => {
                    if std::mem::take(&mut self.stale) {
                        // The one of before, which rests now.
                        self.dreamer.let_go(&self.plays);
                    }
                    self.is_there = false;
                    self.plays_in = self.how;
                    self.plays.clone_from(&self.wanted);
                    self.trim(wanted.budget_bytes);
                    turns.push(Turn::Plays { name: self.wanted.clone(), playing, anew });
                }
                None if self.loader.is_loading(&self.wanted) => {}
                None => {
                    // Asked again in the next frame if there is no room for it now.
                    let _ = self.loader.ask(&self.wanted, self.how, warm_up());
                }
            }
        } else if self.loader.names().next().is_none()
            && let Some(next) = self.next_ahead(wanted.ahead)
        {
            self.loader.ask(&next, self.how, warm_up());
        }
        turns
    }

    /// Models are to be loaded in another way: those that rest leave, and the one that plays is loaded again if it has a
    /// choice.
    fn begin_anew(&mut self, how: How) {
        self.how = how;
        self.loader.forget_all();
        self.failed.clear();
        self.not_ahead.clear();
        self.is_there = false;
        for resting in self.dreamer.residents().into_iter().skip(1) {
            self.dreamer.let_go(&resting.name);
        }
        self.stale = how != self.plays_in && self.loader.has_choice(&self.plays);
    }

    fn next_ahead(&self, ahead: &[String]) -> Option<String> {
        let given_up = |name: &str| self.not_ahead.contains(name) || self.failed.contains(name);
        ahead.iter().find(|name| !given_up(name) && !self.dreamer.holds(name)).cloned()
    }

    fn hear(&mut self, news: News, wanted: &Wanted<'_>, turns: &mut Vec<Turn>) {
        match news {
            News::Asks { name, bytes } => self.make_room(&name, bytes, wanted, turns),
            News::Loaded { name, model } => {
                let kept = self.dreamer.keep(&name, model);
                self.is_there |= self.stale && kept.is_ok() && name == self.plays;
                if let Err(error) = kept {
                    self.failed.insert(name.clone());
                    turns.push(Turn::Told(format!("{name}: its thread cannot be started: {error}")));
                }
            }
            News::Failed { name, why } if name == self.wanted => {
                turns.push(Turn::Told(format!("{why}; {} plays on", self.plays)));
                self.failed.insert(name);
            }
            News::Failed { name, why } => {
                tracing::info!("{name} was to be made ready ahead: {why}");
                self.not_ahead.insert(name);
            }
        }
    }

    /// Lets go of what is too much, now that another model plays.
    fn trim(&self, budget_bytes: u64) {
        let mut here = self.dreamer.residents();
        while here.len() > 1 && here.iter().map(|r| r.bytes).sum::<u64>() > budget_bytes {
            let Some(leaves) = here.pop() else { return };
            self.dreamer.let_go(&leaves.name);
            tracing::info!("{} leaves memory", leaves.name);
        }
    }

    /// Lets go of models until `bytes` more fit, and lets the loader go on.
    fn make_room(&mut self, name: &str, bytes: u64, wanted: &Wanted<'_>, turns: &mut Vec<Turn>) {
        let is_wanted = name == self.wanted;
        let fits = |here: &[Inmate]| here.iter().map(|r| r.bytes).sum::<u64>() + bytes <= wanted.budget_bytes;
        let mut here = self.dreamer.residents();
        while !fits(&here) {
            // Ahead of time nothing is sent away for it that presets ask for as well.
            let may_go = |r: &Inmate| !r.plays && (is_wanted || !wanted.ahead.contains(&r.name));
            let Some(last) = here.iter().rposition(may_go) else { break };
            let leaves = here.remove(last);
            if self.dreamer.let_go(&leaves.name) {
                tracing::info!("{} leaves memory for {name}", leaves.name);
            }
        }
        if fits(&here) {
            self.loader.go_on(name);
        } else if is_wanted {
            let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
            turns.push(Turn::Told(format!(
                "{name} takes {:.1} GiB: with {} more than the {:.1} GiB of /dream/memory; it is loaded nevertheless",
                gib(bytes),
                self.plays,
                gib(wanted.budget_bytes)
            )));
            self.loader.go_on(name);
        } else {
            self.not_ahead.insert(name.to_owned());
            self.loader.forget(name);
        }
    }
}

/// What models may take where nobody says: three quarters of the card that they are on, else half of this machine's memory.
pub fn usual_budget(how: How) -> u64 {
    match how.device.card_bytes() {
        Some(bytes) => bytes / 4 * 3,
        None => half_of_memory(),
    }
}

/// Half of this machine's memory; 4 GiB where it does not tell. Looked up once: it is asked for in each frame.
fn half_of_memory() -> u64 {
    static HALF: LazyLock<u64> = LazyLock::new(|| {
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kib = text
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))
            .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
        kib.map_or(4 << 30, |kib| kib * 512)
    });
    *HALF
}

#[cfg(test)]
mod tests;
