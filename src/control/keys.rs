//! What the keys of the keyboard do: names of keys to parameters of the table, and nothing beside it.
//!
//! Runs on the main thread. Digits recall presets; see [`Desk::key`].

use super::{Desk, Kind, Origin, SetError, Table, Value};

/// How a key moves its parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Deed {
    Toggle,
    Fire,
    /// To the next name of a choice, around the end.
    Step,
    /// Along the normal scale, 0..1.
    Nudge(f64),
}

struct Binding {
    key: &'static str,
    path: &'static str,
    deed: Deed,
    /// For the page of keys.
    what: &'static str,
}

const fn key(key: &'static str, path: &'static str, deed: Deed, what: &'static str) -> Binding {
    Binding { key, path, deed, what }
}

const BINDINGS: [Binding; 11] = [
    key("B", "/stage/blackout", Deed::Toggle, "blackout"),
    key("Space", "/stage/freeze", Deed::Toggle, "freeze the picture"),
    key("Up", "/stage/master", Deed::Nudge(0.05), "brighter"),
    key("Down", "/stage/master", Deed::Nudge(-0.05), "darker"),
    key("Right", "/preset/next", Deed::Fire, "next preset"),
    key("Left", "/preset/previous", Deed::Fire, "preset before"),
    key(
        "Backspace",
        "/preset/again",
        Deed::Fire,
        "this preset again, as it was saved",
    ),
    key(
        "R",
        "/stage/reset_effects",
        Deed::Fire,
        "all effects back to their defaults",
    ),
    key("M", "/latent/mapping", Deed::Step, "next mapping from signal to noise"),
    key("T", "/stage/transition", Deed::Step, "next transition"),
    key("S", "/synth/state", Deed::Step, "next state of the synthetic brain"),
];

/// Key and deed of every binding, for the page of keys.
pub fn key_help() -> impl Iterator<Item = (&'static str, &'static str)> {
    let presets = [("1 … 9, 0", "presets 1 to 10"), ("Shift 1 …", "presets 11 to 20")];
    presets
        .into_iter()
        .chain(BINDINGS.iter().map(|binding| (binding.key, binding.what)))
}

impl Desk {
    /// Does what a key is for; false if it is for nothing. `name` is a letter or digit, or `Space`, `Left`, `Backspace`
    /// and so on; `repeats` is true for a key that is held down.
    pub fn key(&mut self, name: &str, shift: bool, repeats: bool) -> bool {
        if let Ok(digit) = name.parse::<usize>()
            && digit <= 9
        {
            let place = if digit == 0 { 10 } else { digit } + if shift { 10 } else { 0 };
            return !repeats && self.recall_place(place);
        }
        let Some(binding) = BINDINGS.iter().find(|binding| binding.key.eq_ignore_ascii_case(name)) else {
            return false;
        };
        if repeats && !matches!(binding.deed, Deed::Nudge(_)) {
            return true;
        }
        if let Err(error) = act(self.table(), binding) {
            tracing::warn!("{error}");
        }
        true
    }
}

fn act(table: &Table, Binding { path, deed, .. }: &Binding) -> Result<(), SetError> {
    let handle = table.handle(path)?;
    let value = match deed {
        Deed::Toggle => Value::Bool(!handle.is_on()),
        Deed::Fire => Value::Pulse,
        Deed::Nudge(step) => Value::Float(handle.param().kind.value_from_normal(handle.normal() + step)),
        Deed::Step => match &handle.param().kind {
            Kind::Choice(names) => match names.get((handle.index() + 1) % names.len().max(1)) {
                Some(name) => Value::Text(name.clone()),
                None => return Ok(()),
            },
            _ => return Ok(()),
        },
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
    fn every_binding_moves_a_parameter_that_there_is() {
        let mut desk = desk();
        for binding in &BINDINGS {
            let mut seen = desk.table().generation();
            assert!(desk.key(&binding.key.to_lowercase(), false, false), "{}", binding.key);
            let moved: Vec<_> = desk
                .table()
                .changes_since(&mut seen)
                .iter()
                .map(|h| (h.path(), h.origin()))
                .collect();
            assert_eq!(moved, [(binding.path.to_owned(), Origin::Key)], "{}", binding.key);
        }
        assert!(!desk.key("q", false, false));
    }

    #[test]
    fn a_held_key_nudges_again_but_toggles_once() {
        let mut desk = desk();
        for repeats in [false, true, true] {
            desk.key("Down", false, repeats);
            desk.key("Space", false, repeats);
        }
        assert!((desk.table().handle("/stage/master").unwrap().number() - 0.85).abs() < 1e-9);
        assert!(desk.table().handle("/stage/freeze").unwrap().is_on());
    }

    #[test]
    fn stepping_goes_through_every_choice_and_round() {
        let mut desk = desk();
        let mut names = Vec::new();
        for _ in 0..6 {
            desk.key("M", false, false);
            names.push(desk.table().handle("/latent/mapping").unwrap().text().to_string());
        }
        assert_eq!(names, ["paper", "gauss", "walk", "spectral", "flow", "paper"]);
    }
}
