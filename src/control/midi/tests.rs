//! Through the ports and back, with the thread that watches them.

use std::time::{Duration, Instant};

use super::{ports::bench::Bench, *};
use crate::control::{Origin, Presets, Value, builtin};

const QUICK: Duration = Duration::from_millis(5);
const MAP: &str = "version = 1\nname = \"Pult\"\nports = [\"pult\"]\nchannel = 1\ncontrol = [
  { source = \"cc 1\", name = \"knob 1\", target = \"/dream/vivid\", takeover = \"none\" },
  { source = \"note 2\", target = \"/stage/freeze\", light = { on = 3 } },
]\n";

struct Stage {
    bench: Bench,
    desk: Desk,
    motion: Motion,
    midi: Midi,
    told: Vec<String>,
    folder: tempfile::TempDir,
}

impl Stage {
    /// The controls that move a parameter.
    fn moved_by(&self, path: &str) -> Vec<String> {
        self.midi.movers().filter(|(moved, _)| moved == path).map(|(_, control)| control).collect()
    }

    fn new() -> Self {
        Self::with_poll(QUICK)
    }

    fn with_poll(poll: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("controllers")).unwrap();
        std::fs::write(folder.path().join("controllers/pult.toml"), MAP).unwrap();
        let folders = Folders { read: vec![folder.path().into()], save: Some(folder.path().into()) };
        let table = Table::new(builtin());
        let (presets, _) = Presets::load(&table, folders.clone());
        let bench = Bench::default();
        let midi = Midi::with_ports(&table, &folders, Box::new(bench.clone()), poll).unwrap();
        let motion = Motion::new(&table).unwrap();
        Self { bench, desk: Desk::new(table, presets).unwrap(), motion, midi, told: Vec::new(), folder }
    }

    /// Lets frames pass until something is true.
    fn until(&mut self, what: &str, is: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is(self) {
            assert!(start.elapsed() < Duration::from_secs(20), "{what}; told: {:?}", self.told);
            self.told.extend(self.midi.tick(&self.desk, &mut self.motion, Instant::now()));
            self.told.extend(self.motion.tick(0.002, &[]));
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn until_told(&mut self, what: &str) {
        self.until(what, |stage| stage.told.iter().any(|line| line.contains(what)));
    }

    fn number(&self, path: &str) -> f64 {
        self.desk.table().handle(path).unwrap().number()
    }

    fn set(&self, setting: &str) {
        self.desk.table().set_from_text(setting, Origin::Panel).unwrap();
    }

    fn until_sent(&mut self, port: &str, bytes: &[u8]) {
        let bench = self.bench.clone();
        self.until(&format!("{bytes:02X?} to {port}"), |_| bench.sent(port).iter().any(|sent| sent == bytes));
    }
}

#[test]
fn a_controller_plays_is_pulled_out_and_comes_back_with_its_map_and_lights() {
    let mut stage = Stage::new();
    stage.bench.plug("Pult:Pult MIDI 1");
    stage.until_told("Pult is here, with the map pult");
    stage.until_sent("Pult:Pult MIDI 1", &[0x90, 2, 0]);
    stage.bench.play("Pult:Pult MIDI 1", &[0xB0, 1, 127]);
    stage.until("vivid", |stage| stage.number("/dream/vivid") == 1.0);
    stage.bench.pull("Pult:Pult MIDI 1");
    stage.until_told("Pult is gone; its map waits for it");
    assert!(stage.midi.devices().is_empty());

    stage.set("/stage/freeze=on");
    stage.bench.plug("Pult:Pult MIDI 1");
    stage.until_sent("Pult:Pult MIDI 1", &[0x90, 2, 3]);
    stage.bench.play("Pult:Pult MIDI 1", &[0xB0, 1, 0]);
    stage.until("vivid", |stage| stage.number("/dream/vivid") == -1.0);
}

#[test]
fn learning_is_a_parameter_is_saved_at_once_and_holds_for_the_next_start() {
    let mut stage = Stage::new();
    stage.bench.plug("Pult");
    stage.until_told("Pult is here");
    stage.set("/midi/learn=/dream/bright");
    stage.until_told("move the control for /dream/bright");
    assert_eq!(stage.midi.learning(), Some("/dream/bright"));
    for value in [10, 20, 30, 40] {
        stage.bench.play("Pult", &[0xB0, 7, value]);
    }
    stage.until_told("cc 7 on channel 1 of Pult now moves /dream/bright");
    assert_eq!(stage.desk.table().get("/midi/learn").unwrap(), Value::text(""));
    assert_eq!(stage.moved_by("/dream/bright"), ["cc 7 on channel 1 of Pult"]);
    stage.bench.play("Pult", &[0xB0, 7, 60, 7, 70, 7, 127]);
    stage.until("bright", |stage| stage.number("/dream/bright") == 1.0);
    let text = std::fs::read_to_string(stage.folder.path().join("controllers/pult.toml")).unwrap();
    let saved = Map::parse(&text, "pult.toml").unwrap();
    assert_eq!(saved.controls.len(), 3);
    assert!(saved.controls.iter().any(|control| control.target.as_deref() == Some("/dream/bright")));
}

#[test]
fn what_was_moved_last_can_be_learned_and_forgotten_again() {
    let mut stage = Stage::new();
    stage.bench.plug("Pult");
    stage.until_told("Pult is here");
    stage.set("/latent/drive=2");
    stage.set("/midi/learn_last=1");
    stage.until_told("move the control for /latent/drive");
    stage.bench.play("Pult", &[0x90, 40, 100, 40, 0]);
    stage.until_told("note 40 on channel 1 of Pult now moves /latent/drive");
    stage.set("/midi/forget=/latent/drive");
    stage.until_told("nothing of Pult moves /latent/drive any more");
    assert!(stage.moved_by("/latent/drive").is_empty());
    assert_eq!(stage.desk.table().get("/midi/forget").unwrap(), Value::text(""));
}

#[test]
fn learning_is_cancelled_by_an_empty_path_and_refused_for_a_wrong_one() {
    let mut stage = Stage::new();
    stage.set("/midi/learn=/dream/vivd");
    stage.until_told("did you mean /dream/vivid?");
    assert_eq!(stage.desk.table().get("/midi/learn").unwrap(), Value::text(""));
    stage.set("/midi/learn=/dream/vivid");
    stage.until("learning", |stage| stage.midi.learning().is_some());
    stage.set("/midi/learn=");
    stage.until("cancelled", |stage| stage.midi.learning().is_none());
}

#[test]
fn a_map_that_is_saved_by_an_editor_works_at_once_and_a_broken_one_keeps_the_old() {
    let mut stage = Stage::new();
    stage.bench.plug("Pult");
    stage.until_told("Pult is here");
    let file = stage.folder.path().join("controllers/pult.toml");
    std::fs::write(&file, MAP.replace("/dream/vivid", "/dream/bright")).unwrap();
    stage.until("the new map", |stage| !stage.moved_by("/dream/bright").is_empty());
    std::fs::write(&file, MAP.replace("target", "traget")).unwrap();
    stage.until_told("did you mean target?");
    stage.bench.play("Pult", &[0xB0, 1, 127]);
    stage.until("bright", |stage| stage.number("/dream/bright") == 1.0);
}

#[test]
fn a_map_with_a_wrong_target_says_where() {
    let mut stage = Stage::new();
    let text = MAP.replace("/dream/vivid", "/dream/vivd");
    std::fs::write(stage.folder.path().join("controllers/pult.toml"), text).unwrap();
    stage.midi.maps.reload();
    stage.bench.plug("Pult");
    stage.until_told("line 6: there is no parameter /dream/vivd; did you mean /dream/vivid?");
}

#[test]
fn a_clock_reaches_the_beat() {
    let mut stage = Stage::new();
    stage.bench.plug("Pult");
    stage.until_told("Pult is here");
    let bench = stage.bench.clone();
    // How evenly it ticks depends on what else this machine does; that ticks arrive does not.
    stage.until("a clock", |stage| bench.play("Pult", &[0xF8]) && stage.motion.beat().has_clock());
}

#[test]
fn the_lights_go_out_with_the_program() {
    let mut stage = Stage::new();
    stage.bench.plug("Pult");
    stage.set("/stage/freeze=on");
    stage.until_sent("Pult", &[0x90, 2, 3]);
    let bench = stage.bench.clone();
    drop(stage);
    assert_eq!(bench.sent("Pult"), [[0x90, 2, 0]]);
}

/// `cargo test --release --lib -- --ignored --nocapture how_long`
#[test]
#[ignore = "measures, with the poll that the show has"]
fn how_long_it_takes_until_a_controller_that_comes_back_is_lit() {
    let mut stage = Stage::with_poll(ports::POLL);
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(330));
        let back = Instant::now();
        stage.bench.plug("Pult");
        stage.until_sent("Pult", &[0x90, 2, 0]);
        println!("lit after {:.2} s", back.elapsed().as_secs_f64());
        stage.bench.pull("Pult");
        stage.until("pulled out", |stage| stage.midi.devices().is_empty());
    }
}
