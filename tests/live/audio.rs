//! Sound inputs without a sound card: ALSA's `file` and `null` plug-ins, by a configuration of their own.

use std::process::{Command, Output};

/// Runs `wavedream inspect` where the default input plays the file; None where there is no ALSA.
fn heard(url: &str, samples: &[i16]) -> Option<Output> {
    if !std::path::Path::new("/usr/share/alsa/alsa.conf").exists() {
        eprintln!("skipped: this machine has no ALSA");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sound.raw");
    std::fs::write(&file, samples.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
    let config = format!(
        "</usr/share/alsa/alsa.conf>\npcm.!default {{ type file slave.pcm \"null\" file \"/dev/null\" infile \"{}\" \
         format \"raw\" }}\nctl.!default {{ type hw card 0 }}\n",
        file.display()
    );
    let config_file = folder.path().join("asound.conf");
    std::fs::write(&config_file, config).unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_wavedream"))
        .args(["inspect", url, "--seconds", "1", "--json"])
        .env("ALSA_CONFIG_PATH", &config_file)
        .output()
        .unwrap();
    Some(out)
}

#[test]
fn a_sound_input_is_heard_as_wave_and_as_bands() {
    let tone: Vec<i16> = (0..400_000)
        .flat_map(|n| {
            let x = (f64::from(n) / 44_100.0 * 440.0 * std::f64::consts::TAU).sin();
            [(x * 16_000.0) as i16; 2]
        })
        .collect();
    let Some(out) = heard("audio://default", &tone) else { return };
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(report["rate_hz"].as_f64().unwrap() >= 8000.0);
    assert!(report["live"]["received"].as_u64().unwrap() > 4000, "{report}");

    let out = heard("audio://default?as=bands", &tone).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((report["channels"].as_array().unwrap().len(), &report["rate_hz"]), (32, &128.0.into()));
}

#[test]
fn an_input_that_is_not_there_is_told_with_those_that_are() {
    let Some(out) = heard("audio://theremin", &[0; 100]) else { return };
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("'theremin'"), "{said}");
}
