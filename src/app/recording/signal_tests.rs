use std::path::{Path, PathBuf};

use super::*;
use crate::{
    control::{Origin, Table, Value, builtin},
    signal::{self, Channel, Description, Flow, Read, Source, SourceError},
};

/// A live source that counts; its channels, rate and flow are set from outside.
struct Counter {
    about: Description,
    flow: Flow,
    next: u64,
    changed: bool,
}

impl Counter {
    fn new(channels: usize) -> Self {
        let mut counter = Self { about: Description::default(), flow: Flow::default(), next: 0, changed: false };
        counter.become_wide(channels);
        counter.changed = false;
        counter
    }

    fn become_wide(&mut self, channels: usize) {
        let channel = |n| Channel { name: format!("c{n}"), unit: "uV".into(), rate_hz: 100.0 };
        let channels = (0..channels).map(channel).collect();
        self.about =
            Description { name: "a counter".into(), channels, rate_hz: 100.0, live: true, ..self.about.clone() };
        self.changed = true;
    }
}

impl Source for Counter {
    fn description(&self) -> &Description {
        &self.about
    }

    fn read(&mut self, frames: usize, out: &mut Vec<f64>) -> Result<Read, SourceError> {
        if std::mem::take(&mut self.changed) {
            return Ok(Read::Changed);
        }
        for _ in 0..frames {
            out.extend(self.about.channels.iter().enumerate().map(|(c, _)| self.next as f64 + c as f64 / 4.0));
            self.next += 1;
        }
        Ok(Read::Frames(frames))
    }

    fn flow(&self) -> Option<&Flow> {
        Some(&self.flow)
    }

    fn set(&mut self, knob: &str, value: &str) -> bool {
        match knob {
            "channels" => self.become_wide(value.parse().unwrap()),
            "stale" => self.flow.stale = value == "yes",
            "reconnects" => self.flow.reconnects += 1,
            _ => self.flow.received = 1,
        }
        true
    }
}

fn frames_of(path: &Path) -> (Description, Vec<Vec<f64>>) {
    let mut source = signal::open(path.to_str().unwrap()).unwrap();
    let (mut values, width) = (Vec::new(), source.description().channels.len());
    while matches!(source.read(512, &mut values).unwrap(), Read::Frames(1..)) {}
    (source.description().clone(), values.chunks_exact(width).map(<[f64]>::to_vec).collect())
}

fn read(source: &mut dyn Source, frames: usize) {
    source.read(frames, &mut Vec::new()).unwrap();
}

#[test]
fn what_a_source_brings_is_in_the_file_and_other_channels_begin_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    let tap = SignalTap::default();
    let mut source = tap.wrap(Box::new(Counter::new(2)));
    let recorder = SignalRecorder::start(&path, &tap).unwrap();
    // Before its first sample it has nothing to record.
    read(source.as_mut(), 5);
    source.set("received", "");
    read(source.as_mut(), 250);
    source.set("stale", "yes");
    read(source.as_mut(), 30);
    source.set("stale", "no");
    source.set("reconnects", "");
    read(source.as_mut(), 20);
    source.set("channels", "3");
    read(source.as_mut(), 1);
    read(source.as_mut(), 100);
    let told = recorder.finish();
    read(source.as_mut(), 10);

    let (about, frames) = frames_of(&path);
    assert_eq!((frames.len(), about.rate_hz, about.channels[1].unit.as_str()), (300, 100.0, "uV"));
    for (n, frame) in frames.iter().enumerate() {
        let at = (5 + n) as f64;
        let is_missing = (250..280).contains(&n);
        assert!(if is_missing { frame[0].is_nan() } else { frame[..] == [at, at + 0.25] }, "{n}: {frame:?}");
    }
    let mut said: Vec<_> = about.annotations.iter().map(|a| (a.onset_secs, a.text.as_str())).collect();
    said.sort_by(|a, b| a.1.cmp(b.1));
    assert_eq!(said, [(2.5, "bad: missing"), (2.8, "reconnected")]);

    let (about, frames) = frames_of(&folder.path().join("a-2.npy"));
    assert_eq!((about.channels.len(), frames.len(), frames[0][0]), (3, 100, 305.0));
    let said = |what: &str| told.iter().any(|text| text.contains(what));
    assert!(
        said("a.npy: 3.0 s of 2 channels") && said("a-2.npy: the signal is recorded here") && said("1.0 s of 3"),
        "{told:?}"
    );
}

#[test]
fn what_finds_no_room_keeps_its_place_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slow.npy");
    let tap = SignalTap::default();
    let mut source = tap.wrap(Box::new(Counter::new(1)));
    source.set("received", "");
    let recorder = SignalRecorder::start(&path, &tap).unwrap();
    let mut sent = 0;
    // Faster than any disk.
    while recorder.missed() == 0 && sent < 20_000_000 {
        read(source.as_mut(), 1);
        sent += 1;
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    read(source.as_mut(), 1);
    let missed = recorder.missed();
    recorder.finish();
    let (about, frames) = frames_of(&path);
    assert_eq!(frames.len(), sent + 1, "{missed} blocks were missed");
    let lost = frames.iter().filter(|frame| frame[0].is_nan()).count() as u64;
    assert_eq!(lost, missed);
    assert!(missed == 0 || about.annotations.iter().any(|a| a.text.contains("faster than they could be written")));
    assert!(frames.iter().enumerate().all(|(n, frame)| frame[0].is_nan() || frame[0] == n as f64));
}

fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !so() {
        assert!(begun.elapsed().as_secs() < 20, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn the_parameter_begins_and_ends_a_file_and_a_place_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (table, tap) = (Table::new(builtin()), SignalTap::default());
    let on = table.handle("/show/signal").unwrap();
    let mut source = tap.wrap(signal::open("synth://wind?rate=50").unwrap());
    let mut deck = SignalDeck::new(&table, &tap, None).unwrap();
    let named = |ending: &str| folder.path().join(format!("wind.{ending}"));
    let mut told = Vec::new();
    table.set("/show/signal", Value::Bool(true), Origin::Web).unwrap();
    told.extend(deck.follow(named));
    read(source.as_mut(), 125);
    table.set("/show/signal", Value::Bool(false), Origin::Key).unwrap();
    until("it is finished", || {
        told.extend(deck.follow(named));
        !told.is_empty()
    });
    assert!(told[0].contains("wind.edf: 2.5 s of"), "{told:?}");
    assert_eq!(frames_of(&folder.path().join("wind.edf")).1.len(), 150);

    let nowhere = |_: &str| PathBuf::from("/nowhere/at/all/x.edf");
    table.set("/show/signal", Value::Bool(true), Origin::Web).unwrap();
    told.clear();
    told.extend(deck.follow(nowhere));
    read(source.as_mut(), 125);
    until("it is told", || {
        told.extend(deck.follow(nowhere));
        !told.is_empty()
    });
    assert!(told[0].contains("/nowhere/at/all/x.edf: the signal cannot be recorded"), "{told:?}");
    assert!(!on.is_on(), "the switch is back");
}

#[test]
fn a_file_of_another_kind_is_a_usage_error() {
    let (table, tap) = (Table::new(builtin()), SignalTap::default());
    let error = SignalDeck::new(&table, &tap, Some(Path::new("a.mat"))).err().unwrap().to_string();
    assert!(error.contains("must end in .edf or .npy"), "{error}");
}
