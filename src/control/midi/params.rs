//! What can be asked of MIDI: parameters like all others, so that panel, keys and OSC reach them.

use crate::control::{Origin, Param, Table, Value};

/// Learning and forgetting.
pub fn params() -> Vec<Param> {
    vec![
        Param::text("/midi/learn", "")
            .never_recalled()
            .about("The path of a parameter that waits for a control to be moved; empty cancels."),
        Param::trigger("/midi/learn_last").about("Learns a control for the parameter that was moved last."),
        Param::text("/midi/forget", "")
            .never_recalled()
            .about("The path of a parameter that no control is to move any more."),
    ]
}

/// The parameter that a person moved last, by key, panel or network.
pub(super) fn last_moved(table: &Table) -> Option<String> {
    let by_hand = |origin| !matches!(origin, Origin::Start | Origin::Preset | Origin::Program | Origin::Midi);
    let is_ours = |path: &str| path.starts_with("/midi/");
    let moved = table.all().into_iter().filter(|handle| handle.changed() > 0 && by_hand(handle.origin()));
    moved.filter(|handle| !is_ours(&handle.path())).max_by_key(|handle| handle.changed()).map(|handle| handle.path())
}

/// Sets a text of the program's own.
pub(super) fn say(table: &Table, path: &str, text: &str) {
    if let Err(error) = table.set(path, Value::text(text), Origin::Midi) {
        tracing::warn!("{error}");
    }
}
