//! Writes what is measured of the signal into the table. Lives on the thread of the window.

use std::time::{Duration, Instant};

use super::LEFT_OUT;
use crate::{
    app::features::features,
    control::{Origin, Table, Value},
    state::{FEATURES, Pulse, Reading},
};

/// Faster than this nobody's desk fades.
const PERIOD: Duration = Duration::from_millis(66);
/// A smaller change is none.
const STEPS: f64 = 100.0;

/// Writes them.
#[derive(Debug)]
pub struct StateBoard {
    table: Table,
    paths: [String; FEATURES.len()],
    shown: Option<Instant>,
}

impl StateBoard {
    pub fn new(table: &Table) -> Self {
        let paths = FEATURES.map(|(name, _)| format!("/state/{name}"));
        Self { table: table.clone(), paths, shown: None }
    }

    /// Shows a reading, if it is time.
    pub fn show(&mut self, now: Instant, pulse: &Pulse, reading: &Reading, effects: &str) {
        if self.shown.is_some_and(|at| now.saturating_duration_since(at) < PERIOD) {
            return;
        }
        self.shown = Some(now);
        for (path, (name, value)) in self.paths.iter().zip(features(pulse, reading)) {
            if name != LEFT_OUT {
                self.write(path, Value::Float((f64::from(value) * STEPS).round() / STEPS));
            }
        }
        self.write("/state/now", Value::text(reading.state.name()));
        self.write("/state/words", Value::text(reading.sentence()));
        self.write("/state/effects", Value::text(effects));
        self.write("/state/rhythm_hz", Value::Float((reading.rhythm.hz * STEPS).round() / STEPS));
    }

    fn write(&self, path: &str, value: Value) {
        if self.table.get(path).is_ok_and(|before| before != value)
            && let Err(error) = self.table.set(path, value, Origin::Program)
        {
            tracing::debug!("{error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::full_table,
        control::{History, Preset, SetError},
        diffusion,
        state::State,
    };

    fn shown() -> Table {
        let table = full_table(&diffusion::card("box").unwrap());
        let reading = Reading { arousal: 0.836, state: State::Asleep, ..Reading::default() };
        StateBoard::new(&table).show(Instant::now(), &Pulse::default(), &reading, "song.wav");
        table
    }

    #[test]
    fn a_reading_is_shown_in_the_table_where_nobody_else_can_set_it() {
        let table = shown();
        assert_eq!(table.get("/state/arousal"), Ok(Value::Float(0.84)));
        assert_eq!(table.get("/state/now"), Ok(Value::text("asleep")));
        assert_eq!(table.get("/state/effects"), Ok(Value::text("song.wav")));
        let refused = table.set("/state/arousal", Value::Float(0.0), Origin::Osc);
        assert!(matches!(refused, Err(SetError::ReadOnly { .. })), "{refused:?}");
    }

    #[test]
    fn what_is_measured_is_no_part_of_presets_and_nothing_to_undo() {
        let table = shown();
        assert!(!Preset::from_table(&table, "a", "a", "").to_toml().contains("/state/"));
        assert_eq!(History::default().next_undo(), "");
        assert!(table.all().iter().filter(|handle| handle.path().starts_with("/state/")).count() > 20);
    }

    #[test]
    fn it_is_shown_no_more_often_than_a_desk_can_follow() {
        let table = full_table(&diffusion::card("box").unwrap());
        let mut board = StateBoard::new(&table);
        let now = Instant::now();
        let with = |arousal| Reading { arousal, ..Reading::default() };
        board.show(now, &Pulse::default(), &with(0.2), "");
        board.show(now + Duration::from_millis(10), &Pulse::default(), &with(0.9), "");
        assert_eq!(table.get("/state/arousal"), Ok(Value::Float(0.2)));
        board.show(now + Duration::from_millis(100), &Pulse::default(), &with(0.9), "");
        assert_eq!(table.get("/state/arousal"), Ok(Value::Float(0.9)));
    }
}
