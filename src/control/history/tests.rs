use super::*;
use crate::control::builtin;

struct Bench {
    table: Table,
    history: History,
    now_secs: f64,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self { table: Table::new(builtin()), history: History::default(), now_secs: 0.0 };
        bench.tick(0.1);
        bench
    }

    fn set(&mut self, path: &str, value: f64, origin: Origin) {
        self.table.set(path, Value::Float(value), origin).unwrap();
    }

    fn tick(&mut self, dt_secs: f64) {
        self.table.tick(dt_secs);
        self.now_secs += dt_secs;
        self.history.note(&self.table, self.now_secs);
    }

    fn undo(&mut self) -> Option<Playing> {
        let playing = self.history.undo(&self.table);
        self.tick(1.0);
        playing
    }

    fn redo(&mut self) -> Option<Playing> {
        let playing = self.history.redo(&self.table);
        self.tick(1.0);
        playing
    }

    fn number(&self, path: &str) -> f64 {
        self.table.handle(path).unwrap().number()
    }
}

#[test]
fn a_knobs_movement_is_one_step_and_comes_back_whole() {
    let mut bench = Bench::new();
    for value in 1..=20 {
        bench.set("/dream/vivid", f64::from(value) / 20.0, Origin::Key);
        bench.tick(0.1);
    }
    bench.tick(2.0);
    bench.set("/dream/vivid", -1.0, Origin::Key);
    bench.tick(0.1);
    assert_eq!(bench.history.next_undo(), "/dream/vivid");
    bench.undo();
    assert_eq!(bench.number("/dream/vivid"), 1.0, "after a rest it is another step");
    bench.undo();
    assert_eq!(bench.number("/dream/vivid"), 0.0);
    assert_eq!((bench.undo(), bench.history.next_undo()), (None, String::new()));
    bench.redo();
    bench.redo();
    assert_eq!(bench.number("/dream/vivid"), -1.0);
    assert_eq!(bench.redo(), None);
}

#[test]
fn two_hands_that_move_at_once_make_two_steps() {
    let mut bench = Bench::new();
    for value in 1..=10 {
        bench.set("/dream/vivid", f64::from(value) / 10.0, Origin::Key);
        bench.tick(0.05);
        bench.set("/dream/bright", f64::from(value) / -10.0, Origin::Panel);
        bench.tick(0.05);
    }
    bench.undo();
    assert_eq!((bench.number("/dream/vivid"), bench.number("/dream/bright")), (1.0, 0.0));
    bench.undo();
    assert_eq!((bench.number("/dream/vivid"), bench.number("/dream/bright")), (0.0, 0.0));
}

#[test]
fn a_glide_is_one_step_to_where_it_goes() {
    let mut bench = Bench::new();
    bench.table.set_smooth("/dream/vivid", Value::Float(1.0), 5.0, Origin::Panel).unwrap();
    (0..100).for_each(|_| bench.tick(0.1));
    bench.undo();
    assert_eq!(bench.number("/dream/vivid"), 0.0);
    bench.redo();
    assert_eq!(bench.number("/dream/vivid"), 1.0);
}

#[test]
fn what_is_done_anew_forgets_what_was_taken_back() {
    let mut bench = Bench::new();
    bench.set("/dream/vivid", 1.0, Origin::Key);
    bench.tick(0.1);
    bench.undo();
    assert_eq!(bench.history.next_redo(), "/dream/vivid");
    bench.set("/dream/bright", 1.0, Origin::Key);
    bench.tick(0.1);
    assert_eq!((bench.redo(), bench.number("/dream/vivid")), (None, 0.0));
}

#[test]
fn undo_never_lights_a_stage_that_was_made_dark() {
    let mut bench = Bench::new();
    bench.set("/dream/vivid", 1.0, Origin::Key);
    bench.tick(0.1);
    bench.set("/stage/blackout", 1.0, Origin::Key);
    bench.tick(0.1);
    bench.undo();
    assert!(bench.table.handle("/stage/blackout").unwrap().is_on());
    assert_eq!(bench.number("/dream/vivid"), 0.0);
}

#[test]
fn the_history_is_bounded_and_keeps_the_newest() {
    let mut bench = Bench::new();
    for step in 0..MOST_STEPS + 50 {
        bench.set("/latent/drive", step as f64 / 1000.0, Origin::Key);
        bench.tick(REST_SECS + 0.1);
    }
    let mut steps = 0;
    while bench.undo().is_some() {
        steps += 1;
    }
    assert_eq!(steps, MOST_STEPS);
    assert!((bench.number("/latent/drive") - 0.049).abs() < 1e-9);
}

#[test]
fn a_recall_is_one_step_and_says_which_preset_played() {
    let mut bench = Bench::new();
    bench.history.recalled(None, Some("01-a".into()));
    bench.set("/dream/vivid", 1.0, Origin::Preset);
    bench.tick(0.1);
    bench.history.recalled(Some("01-a".into()), Some("02-b".into()));
    bench.set("/dream/vivid", 0.5, Origin::Preset);
    bench.set("/dream/bright", 0.5, Origin::Preset);
    bench.tick(0.1);
    assert_eq!(bench.history.next_undo(), "preset 02-b");
    assert_eq!(bench.undo(), Some(Some(Some("01-a".into()))));
    assert_eq!((bench.number("/dream/vivid"), bench.number("/dream/bright")), (1.0, 0.0));
    assert_eq!(bench.redo(), Some(Some(Some("02-b".into()))));
    assert_eq!((bench.number("/dream/vivid"), bench.number("/dream/bright")), (0.5, 0.5));
}
