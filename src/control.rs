//! The table of parameters, presets, and what reaches them.
//!
//! Everything that can be set while the program runs is a [`Param`] in one [`Table`]: its path (`/stage/crossfade`),
//! kind, range, default, unit and one sentence. The command line's `--set`, keys, presets and the printed reference all
//! come from that table, so nothing can be reached in one way only.
//!
//! A [`Desk`] holds the table and the presets; the app calls [`Desk::tick`] once a frame, and before it [`Midi::tick`]
//! (controllers) and [`Motion::tick`] (beat, LFOs, followers). Rooms never see any of this: the app reads [`Handle`]s and
//! fills their plain settings.

mod builtin;
mod cues;
mod desk;
mod handle;
mod history;
mod keys;
pub mod midi;
mod morph;
pub mod motion;
mod nearest;
mod page;
mod param;
mod preset;
mod presets;
mod reference;
mod setting;
mod steering;
mod table;
mod tap;
mod watch;
mod zone;

pub use builtin::{LORAS, builtin, genres, scene, steps, transitions};
pub use cues::CueList;
pub use desk::{Desk, RecallError};
pub use handle::Handle;
pub use history::History;
pub use keys::KEY_HELP;
pub use midi::Midi;
pub use motion::{Beat, BeatReader, Motion};
pub use nearest::nearest;
pub use page::PageError;
pub use param::{Curve, Kind, Origin, Param, Recall, Value, shown};
pub use preset::Preset;
pub use presets::{Folders, Presets, SHIPPED};
pub use reference::{as_json, as_markdown, as_text, decimal, plain};
pub use setting::{Clamped, Outcome, SetError};
pub use steering::params as steering;
pub use table::Table;
pub use tap::{Change, Tap, What};
pub use zone::{Local, Zone};
