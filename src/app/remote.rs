//! Remote control of `play`: OSC, OSCQuery and the control page, as typed, and what the page is told of the show.

use std::{
    path::PathBuf,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{
    cli::RemoteArgs,
    live::Report,
    window::{Level, Message},
};
use crate::{
    control::{Desk, Folders, Preset, Table},
    diffusion::Dreamer,
    remote::{Board, HTTP_PORT, Listen, Note, OSC_PORT, Picture, PresetCard, Remote, Settings, Status},
    signal::Health,
};

/// How often the page is told.
const PERIOD: Duration = Duration::from_millis(400);
/// The file of learned addresses, beside the folder of the user's presets.
const LEARNED: &str = "osc.toml";

/// The running remote control and what it shows.
pub struct Outside {
    remote: Remote,
    board: Arc<Board>,
    put_at: Option<Instant>,
}

impl Outside {
    pub fn start(args: &RemoteArgs, table: &Table, dreamer: &Arc<Dreamer>) -> Result<Self> {
        let settings = Settings {
            osc: args.osc.unwrap_or(Listen::loopback(OSC_PORT)),
            http: args.http.unwrap_or(Listen::loopback(HTTP_PORT)),
            token: args.token.clone(),
            learned: learned_file(),
        };
        let dreamer = Arc::downgrade(dreamer);
        let board = Arc::new(Board::new(Box::new(move |unless| picture(&dreamer, unless))));
        let remote = Remote::start(settings, table, Arc::clone(&board))?;
        Ok(Self { remote, board, put_at: None })
    }

    /// What a browser opens, if there is a page.
    pub fn page_url(&self) -> Option<String> {
        self.remote.page_url()
    }

    pub fn messages(&self) -> impl Iterator<Item = String> {
        self.remote.messages()
    }

    /// Every parameter that a learned address moves, with that address.
    pub fn movers(&self) -> impl Iterator<Item = (String, String)> {
        self.remote.learned().bindings.into_iter().map(|binding| (binding.parameter, binding.address))
    }

    /// True when it is time for [`Outside::put`].
    pub fn is_due(&mut self) -> bool {
        let due = self.put_at.is_none_or(|at| at.elapsed() >= PERIOD);
        if due {
            self.put_at = Some(Instant::now());
        }
        due
    }

    pub fn put(&self, status: Status) {
        self.board.put(status);
    }
}

/// How the show goes, as far as desk, signal and dreamer know.
pub fn status(desk: &Desk, report: &Report, dreamer: &Dreamer) -> Status {
    let (preset, preset_name) =
        desk.current().map(|preset| (preset.id.clone(), preset.name.clone())).unwrap_or_default();
    // Of the last seconds: what has healed is well.
    let unwell = |health: &&Health| health.flat || health.clipped_recent > 0.01 || health.missing_recent > 0.01;
    let stats = dreamer.stats();
    let card =
        |preset: &Preset| PresetCard { id: preset.id.clone(), name: preset.name.clone(), about: preset.about.clone() };
    Status {
        preset,
        preset_name,
        source: report.source.to_string(),
        source_state: report.state.to_string(),
        mapping: report.mapping.to_owned(),
        model: stats.model,
        channels: report.health.len(),
        channels_unwell: report.health.iter().filter(unwell).count(),
        pictures_per_s: stats.pictures_per_s,
        presets: desk.presets().iter().map(card).collect(),
        ..Status::default()
    }
}

/// A sentence on the page.
pub fn note(message: Message) -> Note {
    Note { is_error: message.level == Level::Error, text: message.text, age_secs: message.age_secs }
}

fn picture(dreamer: &Weak<Dreamer>, unless: Option<u64>) -> Option<Picture> {
    let picture = dreamer.upgrade()?.latest().filter(|picture| Some(picture.stamp.hop) != unless)?;
    Some(Picture {
        number: picture.stamp.hop,
        width: picture.width,
        height: picture.height,
        rgba: picture.rgba.clone(),
    })
}

fn learned_file() -> Option<PathBuf> {
    let presets = Folders::standard(None).save?;
    Some(presets.with_file_name(LEARNED))
}
