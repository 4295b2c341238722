use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::{
    format::{Block, Event, Happened, Head, Line, MAGIC, VERSION, record},
    source::Replayed,
    *,
};
use crate::{
    control::{Origin, Table, Value, builtin},
    signal::{Channel, Description, Read, Source, SourceError},
};

/// Counts: frame n of channel c is n + c / 8, and every 50th frame is missing.
struct Counter(Description, u64);

impl Counter {
    fn new(rate_hz: f64, live: bool) -> Self {
        let channel = |name: &str| Channel { name: name.into(), unit: "V".into(), rate_hz };
        let channels = vec![channel("a"), channel("b"), channel("c")];
        Self(Description { name: "counter".into(), channels, rate_hz, live, ..Description::default() }, 0)
    }

    fn value(frame: u64, channel: u64) -> f64 {
        if frame % 50 == 49 { f64::NAN } else { frame as f64 * 1.1 + channel as f64 / 8.0 }
    }
}

impl Source for Counter {
    fn description(&self) -> &Description {
        &self.0
    }

    fn read(&mut self, frames: usize, out: &mut Vec<f64>) -> Result<Read, SourceError> {
        for frame in self.1..self.1 + frames as u64 {
            out.extend([0, 1, 2].map(|channel| Self::value(frame, channel)));
        }
        self.1 += frames as u64;
        Ok(Read::Frames(frames))
    }
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn table() -> Table {
    Table::new(builtin())
}

/// Records half a dozen blocks and some settings; gives what the source brought.
fn record_some(path: &Path) -> Vec<f64> {
    let (table, tap) = (table(), SignalTap::default());
    table.set("/dream/bright", Value::Float(0.25), Origin::Key).unwrap();
    let handle = table.handle("/dream/vivid").unwrap();
    table.modulate(&handle, 0.125);
    let mut source = tap.wrap(Box::new(Counter::new(100.0, false)));
    let mut brought = Vec::new();
    source.read(10, &mut Vec::new()).unwrap();
    let head = Head { model: "box".into(), files: vec![("x.toml".into(), "version = 1".into())], ..Head::default() };
    let recorder = Recorder::start(path, head, &table, &tap).unwrap();
    tap.line_begins(std::time::Instant::now());
    for frames in [1, 40, 0, 333, 60] {
        source.read(frames, &mut brought).unwrap();
    }
    table.set_smooth("/dream/vivid", Value::Float(1.0), 0.5, Origin::Key).unwrap();
    table.set("/latent/mapping", Value::text("walk"), Origin::Preset).unwrap();
    recorder.transition("ripple", 2.0);
    recorder.model("other");
    table.modulate(&handle, 0.0);
    let made = recorder.finish().unwrap();
    assert_eq!((made.lost, made.path.as_path()), (0, path));
    table.set("/dream/vivid", Value::Float(0.0), Origin::Key).unwrap();
    source.read(5, &mut Vec::new()).unwrap();
    brought
}

#[test]
fn everything_that_was_set_and_every_sample_is_in_the_file_and_nothing_after_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wds");
    let brought = record_some(&path);
    let show = Show::open(&path).unwrap();
    assert_eq!(show.torn, None);
    let started = |path: &str| show.head.start.iter().find(|(known, _)| known == path).map(|(_, value)| value.clone());
    assert_eq!(started("/dream/bright"), Some(json!(0.25)));
    assert_eq!(show.head.offsets, [("/dream/vivid".to_owned(), 0.125)]);
    assert_eq!(show.head.program, env!("CARGO_PKG_VERSION"));
    let happened: Vec<Happened> = show.events.iter().map(|event| event.what.clone()).collect();
    let wanted = [
        Happened::Set("/dream/vivid".into(), json!(1.0), 0.5, "Key".into()),
        Happened::Set("/latent/mapping".into(), json!("walk"), 0.0, "Preset".into()),
        Happened::Transition("ripple".into(), 2.0),
        Happened::Model("other".into()),
        Happened::Offset("/dream/vivid".into(), 0.0),
    ];
    assert_eq!(happened, wanted);
    let (mut source, _) = Replayed::open(&path, &show.lines[0]).unwrap();
    let mut played = Vec::new();
    // Grouped in another way than they came.
    while source.read(97, &mut played).unwrap() != Read::End {}
    assert_eq!(bits(&played), bits(&brought));
    let names: Vec<_> = source.description().channels.iter().map(|channel| channel.name.as_str()).collect();
    assert_eq!((names, source.description().rate_hz), (vec!["a", "b", "c"], 100.0));
    assert!(Recorder::start(&path, Head::default(), &table(), &SignalTap::default()).unwrap().finish().is_err());
    assert_eq!(Show::open(&path).unwrap().events.len(), wanted.len(), "a show is never written over");
}

#[test]
fn a_torn_file_is_played_up_to_the_tear_and_a_damaged_one_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wds");
    record_some(&path);
    let whole = std::fs::read(&path).unwrap();
    let cut = folder.path().join("cut.wds");
    let mut most = (0, 0);
    for length in (0..whole.len()).step_by(7) {
        std::fs::write(&cut, &whole[..length]).unwrap();
        match Show::open(&cut) {
            Ok(show) => {
                assert!(show.torn.as_ref().is_some_and(|said| said.contains("cut.wds")), "{length}");
                let found = (show.events.len(), show.lines[0].blocks.len());
                assert!(found.0 >= most.0 && found.1 >= most.1, "more of the file is more of the show");
                most = found;
                let (mut source, _) = Replayed::open(&cut, &show.lines[0]).unwrap();
                while source.read(64, &mut Vec::new()).unwrap() != Read::End {}
            }
            Err(error) => assert!(error.to_string().contains("cut.wds") && most == (0, 0), "{length}: {error}"),
        }
    }
    assert_eq!(most, (5, 4));
    for at in (0..whole.len()).step_by(5) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        std::fs::write(&cut, &damaged).unwrap();
        if let Ok(show) = Show::open(&cut) {
            assert!(show.torn.is_some(), "byte {at} was changed and nobody noticed");
        }
    }
}

#[test]
fn what_is_no_show_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |bytes: &[u8]| {
        let path = folder.path().join("x.wds");
        std::fs::write(&path, bytes).unwrap();
        Show::open(&path).unwrap_err().to_string()
    };
    assert!(refused(b"").contains("x.wds: is not a recorded show"));
    assert!(refused(&[7; 300]).contains("is not a recorded show"));
    assert!(refused(b"wavedream show\n\x09").contains("newer wavedream"));
    assert!(refused(b"wavedream show\n\x01").contains("torn before the show begins"));
    let empty = file(&folder.path().join("y.wds"), &[], &[]);
    assert!(Show::open(&empty).unwrap_err().to_string().contains("no signal"));
    assert!(Show::open(Path::new("no/such.wds")).unwrap_err().to_string().contains("no/such.wds"));
}

/// A file made by hand: events, and a line with its blocks.
fn file(path: &Path, events: &[Event], lines: &[(Line, Vec<Block>)]) -> PathBuf {
    let mut bytes = [&MAGIC[..], &[VERSION]].concat();
    let mut put = |kind, plain: &[u8]| bytes.extend(record(kind, plain).unwrap());
    let json = |value: Json| value.to_string().into_bytes();
    put(b'H', &json(json!(Head { model: "box".into(), ..Head::default() })));
    put(b'C', &json(json!(events)));
    for (line, blocks) in lines {
        put(b'S', &json(json!(line)));
        blocks.iter().for_each(|block| put(b'B', &block.to_bytes()));
    }
    put(b'E', &json(json!(100.0)));
    std::fs::write(path, bytes).unwrap();
    path.to_owned()
}

fn line(live: bool) -> Line {
    Line {
        t: 0.0,
        line: 7,
        name: "x".into(),
        rate_hz: 10.0,
        live,
        channels: vec![("a".into(), "V".into())],
        hop_zero: 0.0,
    }
}

fn block(t: f64, first: u64, frames: u32) -> Block {
    let values = (first..first + u64::from(frames)).map(|frame| frame as f64).collect();
    Block { line: 7, t, first, frames, values }
}

/// Missing frames are -1.
fn played(path: &Path) -> (Vec<i64>, f64) {
    let show = Show::open(path).unwrap();
    let (mut source, start_secs) = Replayed::open(path, &show.lines[0]).unwrap();
    let mut out = Vec::new();
    while source.read(4, &mut out).unwrap() != Read::End {}
    (out.iter().map(|value| if value.is_nan() { -1 } else { *value as i64 }).collect(), start_secs)
}

#[test]
fn a_block_that_was_lost_is_a_gap_of_its_length() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = vec![block(0.1, 0, 3), block(9.0, 5, 2)];
    let path = file(&folder.path().join("a.wds"), &[], &[(line(false), blocks)]);
    assert_eq!(played(&path), (vec![0, 1, 2, -1, -1, 5, 6], 0.0), "whenever it was read");
}

#[test]
fn a_live_signal_keeps_the_time_in_which_it_stayed_away_and_forgives_jitter() {
    let folder = tempfile::tempdir().unwrap();
    // Two frames each 0.2 s, a little early or late; then nothing for a second.
    let blocks = vec![block(1.2, 0, 2), block(1.45, 2, 2), block(1.58, 4, 2), block(2.8, 6, 2)];
    let path = file(&folder.path().join("a.wds"), &[], &[(line(true), blocks)]);
    let (frames, start_secs) = played(&path);
    assert_eq!(frames, [0, 1, 2, 3, 4, 5, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 6, 7][..18].to_vec());
    assert!((start_secs - 1.0).abs() < 1e-9, "the first frame came before its block did");
}

fn event(t: f64, path: &str, value: Json, secs: f64) -> Event {
    Event { t, what: Happened::Set(path.into(), value, secs, "Key".into()) }
}

#[test]
fn a_glide_has_the_same_course_at_every_frame_rate() {
    let folder = tempfile::tempdir().unwrap();
    let events = [
        event(0.21, "/dream/vivid", json!(1.0), 1.0),
        event(0.777, "/dream/vivid", json!(-1.0), 0.5),
        event(0.8, "/latent/mapping", json!("walk"), 0.0),
        event(0.9, "/effect/of-another-program/amount", json!(1.0), 0.0),
    ];
    let path = file(&folder.path().join("a.wds"), &events, &[(line(false), vec![block(0.1, 0, 9)])]);
    let value_at = |fps: f64, secs: f64| {
        let table = table();
        let mut replay = Replay::new(Show::open(&path).unwrap(), Vec::new());
        let mut frame = 0.0;
        while frame / fps < secs - 1e-9 {
            frame += 1.0;
            while replay.turn(&table, frame / fps).unwrap().is_some() {}
        }
        assert_eq!(table.get("/latent/mapping").unwrap(), Value::text(if secs < 0.8 { "flow" } else { "walk" }));
        let said = replay.unknown().unwrap_or_default();
        assert_eq!(said.contains("/effect/of-another-program/amount"), secs >= 0.9, "{said}");
        table.handle("/dream/vivid").unwrap().number()
    };
    for secs in [0.25, 0.5, 0.75, 1.0] {
        let (slow, fast) = (value_at(4.0, secs), value_at(240.0, secs));
        assert!((slow - fast).abs() < 1e-9, "{secs}: {slow} {fast}");
    }
    assert!(value_at(4.0, 0.75) > 0.3);
}

#[test]
fn what_is_pinned_stays_whatever_the_show_does() {
    let folder = tempfile::tempdir().unwrap();
    let events = [event(0.1, "/dream/steps", json!(3), 0.0), event(0.1, "/dream/bright", json!(0.5), 0.0)];
    let path = file(&folder.path().join("a.wds"), &events, &[(line(false), vec![block(0.1, 0, 9)])]);
    let table = table();
    table.set("/dream/steps", Value::Int(2), Origin::CommandLine).unwrap();
    let mut replay = Replay::new(Show::open(&path).unwrap(), vec!["/dream/steps".into()]);
    while replay.turn(&table, 1.0).unwrap().is_some() {}
    assert_eq!(table.get("/dream/steps").unwrap(), Value::Int(2));
    assert_eq!(table.get("/dream/bright").unwrap(), Value::Float(0.5));
}

#[test]
fn the_turns_of_a_show_come_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let transition = Event { t: 0.5, what: Happened::Transition("ripple".into(), 2.0) };
    let model = Event { t: 2.5, what: Happened::Model("other".into()) };
    let restart = Event { t: 1.5, what: Happened::HopZero(7, 0.25) };
    let second = Line { line: 8, t: 2.04, hop_zero: 2.0, ..line(false) };
    let of_second = Block { line: 8, ..block(2.04, 0, 4) };
    let lines = [(line(false), vec![block(0.1, 0, 9)]), (second, vec![of_second])];
    let path = file(&folder.path().join("a.wds"), &[transition, restart, model], &lines);
    let mut replay = Replay::new(Show::open(&path).unwrap(), Vec::new());
    let table = table();
    let mut turns = Vec::new();
    for frame in 1..=30 {
        while let Some(turn) = replay.turn(&table, f64::from(frame) / 10.0).unwrap() {
            let said = match turn {
                Turn::Line(source, secs) => format!("{} at {secs}", source.description().name),
                Turn::HopZero(secs) => format!("hops from {secs}"),
                Turn::Transition(name, secs) => format!("{name} {secs}"),
                Turn::Model(name) => name,
            };
            turns.push((frame, said));
        }
    }
    let wanted = [(1, "x at 0"), (5, "ripple 2"), (15, "hops from 0.25"), (20, "x at 2"), (25, "other")];
    assert_eq!(turns, wanted.map(|(frame, said)| (frame, said.to_owned())));
}

#[test]
fn a_recorder_that_is_behind_loses_settings_and_holds_nobody_up() {
    let table = table();
    let (changed, changes) = crossbeam_channel::bounded(2);
    let missed = std::sync::Arc::default();
    table.set_tap(Some(crate::control::Tap::new(changed, std::sync::Arc::clone(&missed))));
    for value in 0..5 {
        table.set("/latent/drive", Value::Float(f64::from(value)), Origin::Key).unwrap();
    }
    assert_eq!((changes.len(), missed.load(std::sync::atomic::Ordering::Relaxed)), (2, 3));
    assert_eq!(table.handle("/latent/drive").unwrap().number(), 4.0);
}
