//! What the keys of the keyboard do: names of keys to parameters of the table, and nothing beside it.
//!
//! Runs on the main thread. Digits recall presets; see [`Desk::key`].

use super::{Desk, Kind, Origin, SetError, Table, Value};

/// How a key moves its parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Deed {
    Toggle,
    Fire,
    /// To the next name of a choice or the next whole number, around the end.
    Step,
    /// Along the normal scale, 0..1; four times as far with Shift.
    Nudge(f64),
}

struct Binding {
    /// Any of these.
    keys: &'static [&'static str],
    path: &'static str,
    deed: Deed,
}

const fn key(keys: &'static [&'static str], path: &'static str, deed: Deed) -> Binding {
    Binding { keys, path, deed }
}

const NUDGE: f64 = 0.05;

const BINDINGS: [Binding; 22] = [
    key(&["Home"], "/preset/back", Deed::Fire),
    key(&["n", "PageDown"], "/preset/next", Deed::Fire),
    key(&["p", "PageUp"], "/preset/previous", Deed::Fire),
    key(&["Backspace"], "/preset/again", Deed::Fire),
    key(&["b"], "/stage/blackout", Deed::Toggle),
    key(&["Space"], "/stage/freeze", Deed::Toggle),
    key(&["r"], "/stage/reset_effects", Deed::Fire),
    key(&["Up"], "/dream/vivid", Deed::Nudge(NUDGE)),
    key(&["Down"], "/dream/vivid", Deed::Nudge(-NUDGE)),
    key(&["Right"], "/dream/bright", Deed::Nudge(NUDGE)),
    key(&["Left"], "/dream/bright", Deed::Nudge(-NUDGE)),
    key(&["+", "="], "/stage/master", Deed::Nudge(NUDGE)),
    key(&["-"], "/stage/master", Deed::Nudge(-NUDGE)),
    key(&["m"], "/latent/mapping", Deed::Step),
    key(&["t"], "/stage/transition", Deed::Step),
    key(&["s"], "/dream/steps", Deed::Step),
    key(&["z"], "/undo", Deed::Fire),
    key(&["y"], "/redo", Deed::Fire),
    key(&["Enter"], "/cue/go", Deed::Fire),
    key(&[","], "/cue/back", Deed::Fire),
    key(&["."], "/cue/hold", Deed::Toggle),
    key(&["l"], "/midi/learn_last", Deed::Fire),
];

/// Keys and what they do, for the page of keys.
pub const KEY_HELP: [(&str, &str); 16] = [
    ("1 … 0", "presets 1 to 10, with Shift 11 to 20"),
    ("Home", "back to the preset before, and forth"),
    ("N  P", "next and previous preset"),
    ("Backspace", "the preset as it was"),
    ("B", "blackout"),
    ("Space", "freeze"),
    ("R", "reset effects"),
    ("↑ ↓", "vivid, calm"),
    ("→ ←", "bright, dark"),
    ("+ −", "brightness of the stage"),
    ("M", "next mapping"),
    ("T", "next transition"),
    ("S", "steps of the model"),
    ("Z  Y", "undo, redo"),
    ("Enter , .", "next cue, cue before, hold"),
    ("L", "learn a MIDI control for what was moved last"),
];

impl Desk {
    /// Does what a key is for; false if it is for nothing. `name` is a character, or `Space`, `Left`, `PageDown` and so
    /// on; `repeats` is true for a key that is held down.
    pub fn key(&mut self, name: &str, shift: bool, repeats: bool) -> bool {
        if let Ok(digit) = name.parse::<usize>()
            && digit <= 9
        {
            let tens = if shift { 10 } else { 0 };
            let place = tens + if digit == 0 { 10 } else { digit };
            return !repeats && self.recall_place(place);
        }
        // As in most programs: with Shift undo is redo.
        let name = if name == "z" && shift { "y" } else { name };
        let Some(binding) = BINDINGS.iter().find(|binding| binding.keys.contains(&name)) else {
            return false;
        };
        if repeats && !matches!(binding.deed, Deed::Nudge(_)) {
            return true;
        }
        if let Err(error) = act(self.table(), binding, shift) {
            tracing::warn!("{error}");
        }
        true
    }
}

fn act(table: &Table, Binding { path, deed, .. }: &Binding, shift: bool) -> Result<(), SetError> {
    let handle = table.handle(path)?;
    let kind = handle.param().kind.clone();
    let value = match (deed, &kind) {
        (Deed::Toggle, _) => Value::Bool(!handle.is_on()),
        (Deed::Fire, _) => Value::Pulse,
        (Deed::Nudge(by), kind) => {
            let by = if shift { 4.0 * by } else { *by };
            Value::Float(kind.value_from_normal(handle.normal() + by))
        }
        (Deed::Step, Kind::Int { min, max }) => {
            let next = handle.index() as i64 + 1;
            Value::Int(if next > *max { *min } else { next })
        }
        (Deed::Step, Kind::Choice(names)) => match names.get((handle.index() + 1) % names.len().max(1)) {
            Some(name) => Value::Text(name.clone()),
            None => return Ok(()),
        },
        (Deed::Step, _) => return Ok(()),
    };
    table.set(path, value, Origin::Key).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Folders, Presets, builtin};

    fn desk() -> Desk {
        let table = Table::new(builtin());
        let presets = Presets::load(&table, Folders::default()).0;
        Desk::new(table, presets).unwrap()
    }

    #[test]
    fn every_binding_moves_its_parameter_as_a_key() {
        let mut desk = desk();
        for binding in &BINDINGS {
            for key in binding.keys {
                let mut seen = desk.table().generation();
                assert!(desk.key(key, false, false), "{key}");
                let moved: Vec<_> =
                    desk.table().changes_since(&mut seen).iter().map(|h| (h.path(), h.origin())).collect();
                assert_eq!(moved, [(binding.path.to_owned(), Origin::Key)], "{key}");
            }
        }
        assert!(!desk.key("q", false, false));
    }

    #[test]
    fn a_held_key_nudges_again_but_toggles_once() {
        let mut desk = desk();
        for repeats in [false, true, true] {
            desk.key("-", false, repeats);
            desk.key("Space", false, repeats);
        }
        desk.key("-", true, true);
        assert!((desk.table().handle("/stage/master").unwrap().number() - (1.0 - 7.0 * NUDGE)).abs() < 1e-9);
        assert!(desk.table().handle("/stage/freeze").unwrap().is_on());
    }

    #[test]
    fn stepping_goes_through_every_value_and_round() {
        let mut desk = desk();
        let mut seen = Vec::new();
        for _ in 0..6 {
            desk.key("m", false, false);
            desk.key("s", false, false);
            let steps = desk.table().handle("/dream/steps").unwrap().index();
            seen.push((desk.table().handle("/latent/mapping").unwrap().text().to_string(), steps));
        }
        let expected = [("paper", 2), ("gauss", 3), ("walk", 4), ("spectral", 1), ("flow", 2), ("paper", 3)];
        assert_eq!(seen, expected.map(|(mapping, steps)| (mapping.to_owned(), steps)));
    }
}
