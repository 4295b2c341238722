//! Truncated, empty, wrong and random files: one clear sentence or a reading, never a panic, never an endless one.

use std::io::Write;
use std::path::Path;

use super::made::noise;
use wavedream::signal::{Intake, Settings, inspect};

const FIXTURES: [&str; 9] = [
    "c_order.npy",
    "fortran_big_endian.npy",
    "single.npy",
    "version_2.npy",
    "wide.npy",
    "two_rates.edf",
    "interrupted.edf",
    "small.bdf",
    "stereo.wav",
];
const ENDINGS: [&str; 6] = ["npy", "edf", "bdf", "wav", "csv", "txt"];
const TABLE: &[u8] = b"time (s);speed (m/s);\"gust, max\"\n0;1,5;2\n0,5;nan;4\n1;5;6\n";

fn bytes_of(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/signal/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Opens and reads the bytes as a file of that ending; the answer is a good reading or one sentence naming the file.
fn answer(folder: &Path, ending: &str, bytes: &[u8]) -> Result<(), String> {
    let path = folder.join(format!("case.{ending}"));
    std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
    let with_rate = !matches!(ending, "edf" | "bdf" | "wav");
    let url = format!("{}{}", path.display(), if with_rate { "?rate=1000" } else { "" });
    match inspect(&url, Some(2.0)) {
        Ok(report) => {
            assert!(report.channels.iter().all(|channel| channel.rate_hz > 0.0));
            // What can be inspected can be played.
            let mut intake = Intake::open(&url, Settings::default()).unwrap();
            if report.channels.len() <= 64 && report.rate_hz <= 100_000.0 {
                intake.advance_to(1.0).unwrap();
            }
            Ok(())
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("case."), "names the file: {text}");
            assert!(!text.contains('\n') && text.len() < 400, "one sentence: {text}");
            Err(text)
        }
    }
}

#[test]
fn every_truncation_of_every_recording_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    for name in FIXTURES {
        let bytes = bytes_of(name);
        let ending = name.rsplit('.').next().unwrap();
        // All of the header's beginning, then every few bytes.
        for length in (0..bytes.len()).filter(|length| *length < 64 || length % 7 == 0) {
            let said = answer(folder.path(), ending, &bytes[..length]);
            if length == 0 {
                assert!(said.unwrap_err().contains("empty"));
            } else if matches!(ending, "npy" | "wav") {
                assert!(said.is_err(), "{name} of {length} bytes was taken for whole");
            }
        }
        answer(folder.path(), ending, &bytes).unwrap();
    }
    for length in 0..TABLE.len() {
        let _ = answer(folder.path(), "csv", &TABLE[..length]);
    }
}

#[test]
fn random_bytes_are_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..60u64 {
        let length = (noise(seed, 1000).abs() * 3000.0) as u64 + 1;
        let bytes: Vec<u8> = (0..length).map(|n| (noise(seed << 20 | n, 1).to_bits() >> 20) as u8).collect();
        for ending in ENDINGS {
            let said = answer(folder.path(), ending, &bytes);
            if !matches!(ending, "csv" | "txt") || length > 300 {
                assert!(said.is_err(), "{length} random bytes were read as .{ending}");
            }
        }
        // Random text: signs that tables are made of.
        let text: Vec<u8> = bytes.iter().map(|byte| b"0123456789,;.\t\n- eE+:\"aNT"[usize::from(*byte) % 25]).collect();
        let _ = answer(folder.path(), "csv", &text);
    }
}

#[test]
fn damaged_headers_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    for name in FIXTURES {
        let bytes = bytes_of(name);
        let ending = name.rsplit('.').next().unwrap();
        for seed in 0..150u64 {
            let mut damaged = bytes.clone();
            for hit in 0..3 {
                let within = damaged.len().min(1100) as f64;
                let at = (noise(seed, 10 + hit).abs() * within) as usize % damaged.len();
                damaged[at] = b"\0\xff-9 (,1"[(noise(seed, 20 + hit).abs() * 8.0) as usize % 8];
            }
            let _ = answer(folder.path(), ending, &damaged);
        }
    }
}

#[test]
fn one_kind_of_file_under_the_name_of_another_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in FIXTURES {
        let own = name.rsplit('.').next().unwrap();
        for ending in
            ENDINGS.into_iter().filter(|ending| !(*ending == own || (own.ends_with("df") && ending.ends_with("df"))))
        {
            assert!(answer(folder.path(), ending, &bytes_of(name)).is_err(), "{name} as .{ending}");
        }
    }
    assert!(answer(folder.path(), "csv", b"just words\nand more words\n").is_err());
    assert!(answer(folder.path(), "xyz", b"1,2\n3,4\n").unwrap_err().contains(".npy"));
}

#[test]
fn keys_with_wrong_values_are_answered() {
    let npy = format!("{}/tests/fixtures/signal/c_order.npy", env!("CARGO_MANIFEST_DIR"));
    for (query, word) in [
        ("rate=0", "rate=0"),
        ("rate=-5", "rate=-5"),
        ("rate=nan", "rate=nan"),
        ("rate=100&channels=0-7", "0-7"),
        ("rate=100&channels=", "at least one"),
        ("rate=100&from=9", "from"),
        ("rate=100&from=0.3&to=0.1", "from"),
        ("rate=100&chanels=1", "did you mean 'channels'"),
        ("rate=100&scale=big", "scale=big"),
        ("rate=100&loop=perhaps", "loop=perhaps"),
        ("rate=100&time=2", "time=2"),
    ] {
        let error = inspect(&format!("{npy}?{query}"), None).unwrap_err().to_string();
        assert!(error.contains(word), "{query}: {error}");
    }
}
