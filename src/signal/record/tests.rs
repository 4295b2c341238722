use std::fs;

use jiff::civil::date;

use super::*;
use crate::signal::{self, Read};

fn about(rate_hz: f64, units: &[&str]) -> About {
    let channel = |(n, unit): (usize, &&str)| Channel { name: format!("c{n}"), unit: (*unit).into(), rate_hz };
    About {
        source: "lsl://a headset".into(),
        channels: units.iter().enumerate().map(channel).collect(),
        rate_hz,
        begun: date(2026, 3, 9).at(14, 5, 6, 250_000_000),
    }
}

/// Every frame of a file and what is said of it, by the program's own reader.
fn read(path: &Path) -> (signal::Description, Vec<Vec<f64>>) {
    let mut source = signal::open(path.to_str().unwrap()).unwrap();
    let width = source.description().channels.len();
    let mut values = Vec::new();
    while matches!(source.read(1000, &mut values).unwrap(), Read::Frames(1..)) {}
    (source.description().clone(), values.chunks_exact(width).map(<[f64]>::to_vec).collect())
}

/// An EEG that grows, a pressure, a counter, volts: with a stretch that is missing.
fn frame(n: usize) -> Vec<f64> {
    let t = n as f64 / 250.0;
    if (600..650).contains(&n) {
        return vec![f64::NAN; 4];
    }
    let louder = 1.0 + (n / 500) as f64 * 3.0;
    vec![20.0 * louder * (t * 60.0).sin() + 3.1, 101_325.25 + t.sin(), (n % 30_000) as f64, 3e-5 * (t * 9.0).cos()]
}

const UNITS: [&str; 4] = ["µV", "Pa", "", "V"];

fn record(path: &Path, frames: usize) -> SignalFile {
    let mut file = SignalFile::create(path, about(250.0, &UNITS)).unwrap();
    for block in (0..frames).collect::<Vec<_>>().chunks(17) {
        file.frames(&block.iter().flat_map(|n| frame(*n)).collect::<Vec<_>>()).unwrap();
    }
    file
}

#[test]
fn an_edf_holds_the_samples_within_a_step_of_a_range_that_fits_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.edf");
    let mut file = record(&path, 2000);
    file.remark("reconnected");
    file.frames(&frame(2000)).unwrap();
    let made = file.finish().unwrap();
    assert_eq!((made.secs, made.channels, made.notes.len()), (2001.0 / 250.0, 4, 0));
    let (about, frames) = read(&path);
    assert_eq!(frames.len(), 2250, "whole seconds");
    let names: Vec<_> = about.channels.iter().map(|c| (c.name.as_str(), c.unit.as_str(), c.rate_hz)).collect();
    assert_eq!(names, [("c0", "µV", 250.0), ("c1", "Pa", 250.0), ("c2", "", 250.0), ("c3", "µV", 250.0)]);
    for (n, found) in frames.iter().enumerate().take(2001).filter(|(n, _)| !(600..650).contains(n)) {
        let sent = frame(n);
        // The loudest second has 260 µV; the steps of an early, narrow range are finer than the last one's.
        assert!((found[0] - sent[0]).abs() < 0.05, "{n}: {found:?} {sent:?}");
        assert!((found[1] - sent[1]).abs() < 0.02, "{n}: {found:?} {sent:?}");
        assert_eq!(found[2], sent[2]);
        assert!((found[3] - 1e6 * sent[3]).abs() < 0.01, "{n}: {found:?} {sent:?}");
    }
    assert!(frames[600..650].iter().all(|frame| frame[2] == 599.0), "what is missing is the value before");
    let told: Vec<_> = about.annotations.iter().map(|a| (a.onset_secs, a.duration_secs, a.text.as_str())).collect();
    let missing = (2.4, Some(0.2), "bad: missing");
    assert_eq!(told, [missing, (8.0, None, "reconnected"), (8.004, Some(0.996), "bad: after the end")]);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(&bytes[88..88 + 40], b"Startdate 09-MAR-2026 X X wavedream_lsl:");
    assert_eq!(&bytes[168..184], b"09.03.2614.05.06");
    assert!(!folder.path().join("a.edf.part").exists());
}

#[test]
fn an_edf_can_be_read_while_it_is_written_and_when_its_end_is_torn_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.edf");
    let file = record(&path, 1600);
    let (about, frames) = read(&path);
    assert_eq!(frames.len(), 1500, "all whole seconds");
    assert!(about.odd.iter().any(|odd| odd.contains("-1")));
    assert_eq!(frames[1499][2], 1499.0);
    let bytes = fs::read(&path).unwrap();
    let torn = folder.path().join("torn.edf");
    fs::write(&torn, &bytes[..bytes.len() - 777]).unwrap();
    assert_eq!(read(&torn).1.len(), 1250);
    drop(file);
}

#[test]
fn an_npy_holds_every_sample_bit_for_bit_with_names_rate_and_remarks_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    for (name, exact) in [("f8.npy", false), ("f4.npy", true)] {
        let path = folder.path().join(name);
        let sent =
            |n: usize| frame(n).into_iter().map(|x| if exact { f64::from(x as f32) } else { x }).collect::<Vec<_>>();
        let mut file = SignalFile::create(&path, about(250.0, &UNITS)).unwrap();
        (0..1000).for_each(|n| file.frames(&sent(n)).unwrap());
        file.sync().unwrap();
        (1000..1100).for_each(|n| file.frames(&sent(n)).unwrap());
        // Without an end: what the head promises is what was synced.
        assert_eq!(read(&path).1.len(), 1000);
        let made = file.finish().unwrap();
        assert_eq!(made.notes, Vec::<String>::new());
        let (about, frames) = read(&path);
        assert_eq!(frames.len(), 1100);
        for (n, found) in frames.iter().enumerate() {
            let same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
            assert!(found.iter().zip(&sent(n)).all(same), "{n}: {found:?}");
        }
        assert_eq!(
            (about.rate_hz, about.channels[0].name.as_str(), about.channels[3].unit.as_str()),
            (250.0, "c0", "V")
        );
        assert_eq!(about.annotations[0].text, "bad: missing");
        assert!((about.annotations[0].duration_secs.unwrap() - 0.2).abs() < 1e-9);
        let size = fs::metadata(&path).unwrap().len();
        assert_eq!(size, 128 + 1100 * 4 * if exact { 4 } else { 8 });
    }
}

#[test]
fn what_cannot_be_written_is_one_sentence_and_nothing_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there.edf");
    fs::write(&there, "mine").unwrap();
    let refused = |path: &Path| SignalFile::create(path, about(1.0, &["V"])).err().unwrap().to_string();
    assert!(refused(&there).contains("there.edf"));
    assert_eq!(fs::read(&there).unwrap(), b"mine");
    let other = refused(&folder.path().join("a.mat"));
    assert!(other.contains(".edf or .npy"), "{other}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_one_sentence_and_not_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.npy");
    let mut file = SignalFile::create(&path, about(10.0, &["V"])).unwrap();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    file.format = Box::new(npy::Npy::into(full, &path, &about(10.0, &["V"])));
    let error = file.frames(&vec![1.0; 10_000]).unwrap_err().to_string();
    assert!(error.contains("full.npy: the signal cannot be recorded") && error.contains("free some space"), "{error}");
}

/// With `PYTHON` naming a Python that has mne and pyedflib; others are left alone.
#[test]
fn mne_pyedflib_and_numpy_read_what_was_written() {
    const SCRIPT: &str = r#"
import sys, json, numpy as np, mne, pyedflib
npy, edf = sys.argv[1:]
a = np.load(npy); about = json.load(open(npy + ".json"))
raw = mne.io.read_raw_edf(edf, preload=True, verbose="error")
assert raw.ch_names == [c["name"] for c in about["channels"]], raw.ch_names
assert raw.info["sfreq"] == about["rate_hz"] == 250
assert raw.info["meas_date"].isoformat().startswith("2026-03-09T14:05:06"), raw.info["meas_date"]
texts = [(round(float(t["onset"]), 3), round(float(t["duration"]), 3), t["description"]) for t in raw.annotations]
assert (2.4, 0.2, "bad: missing") in texts, texts
there = ~np.isnan(a[:, 0]); n = len(a)
worst = []
for c in range(4):
    scale = {"µV": 1e-6, "uV": 1e-6}.get(about["channels"][c]["unit"], 1.0)
    x = raw.get_data()[c][:n]
    worst.append(float(np.max(np.abs(x[there] - a[there, c] * scale)) / np.ptp(a[there, c] * scale)))
assert max(worst) < 2e-4, worst
with pyedflib.EdfReader(edf) as f:
    assert f.signals_in_file == 4 and f.getSampleFrequency(0) == 250
    assert f.getStartdatetime().strftime("%F %T") == "2026-03-09 14:05:06", f.getStartdatetime()
    assert np.array_equal(f.readSignal(2)[:n][there], a[there, 2])
    assert "bad: missing" in list(f.readAnnotations()[2])
print("worst error, part of the range:", max(worst))
"#;
    let Some(python) = std::env::var_os("PYTHON") else {
        eprintln!("PYTHON is not set: other programs' readers are not asked");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let [npy, edf] = ["a.npy", "a.edf"].map(|name| folder.path().join(name));
    record(&npy, 2000).finish().unwrap();
    record(&edf, 2000).finish().unwrap();
    let output = std::process::Command::new(python).args(["-c", SCRIPT]).args([&npy, &edf]).output().unwrap();
    eprintln!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
