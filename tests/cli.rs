//! The command line as a script sees it: exit codes, one sentence on stderr, results on stdout.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::process::{Command, Output};

/// Runs in an empty folder, so that nothing of the repository is picked up.
fn wavedream(args: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_wavedream"))
        .args(args)
        .current_dir(folder.path())
        .env("XDG_CONFIG_HOME", folder.path())
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

fn refused(args: &[&str], code: i32) -> String {
    let out = wavedream(args);
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(code), "{args:?}: {said}");
    assert!(out.stdout.is_empty(), "{args:?}");
    assert_eq!(said.lines().count(), 1, "{args:?}: one sentence, not {said}");
    assert!(said.starts_with("wavedream: ") && said.ends_with('\n'), "{said}");
    said
}

#[test]
fn what_cannot_be_meant_is_a_usage_error_with_the_way_out() {
    for (args, expected) in [
        (&["rendr", "x.npy"][..], "'render'"),
        (&["render", "x.npy"], "--output"),
        (&["render", "-o", "x.mp4", "--size", "big"], "1280x720"),
        (&["render", "-o", "x.mp4", "--sise", "1x1"], "--size"),
        (&["--source", "a.npy", "b.npy"], "cannot be used"),
        (&["latent", "-o", "x.npy", "--at", "soon"], "--at"),
        (&["inspect", "x.npy", "--seconds", "-1"], "above 0"),
        (&["latent", "-o", "x.npy", "--shape", "4x64"], "4x64x64"),
        (&["dream", "--seed", "many"], "--seed"),
        (&["dream", "--genre", "ink:lots"], "coral:0.5"),
        (&["params", "--json", "--markdown"], "cannot be used"),
        (&["--osc", "everywhere"], "127.0.0.1:9000"),
        (&["--http", ":9001"], "0.0.0.0:9001"),
        (&["--http", "0.0.0.0", "--token", "short"], "8 to 128"),
    ] {
        let said = refused(args, 2);
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}

#[test]
fn help_is_no_error_and_shows_every_command() {
    let out = wavedream(&["--help"]);
    assert_eq!(out.status.code(), Some(0));
    let help = String::from_utf8(out.stdout).unwrap();
    for command in ["play", "render", "dream", "latent", "inspect", "models", "params", "bench", "Examples:"] {
        assert!(help.contains(command), "{command}");
    }
    assert!(!help.contains('\u{1b}'), "no colours into a pipe");
    assert_eq!(wavedream(&["--version"]).status.code(), Some(0));
    // Flags alone mean `play`.
    assert!(String::from_utf8(wavedream(&["-v", "--fullscreen", "--help"]).stdout).unwrap().contains("--display"));
}

#[test]
fn the_reference_is_the_same_in_all_three_forms() {
    let json = wavedream(&["params", "--json"]);
    assert_eq!(json.status.code(), Some(0));
    let list: Vec<serde_json::Value> = serde_json::from_slice(&json.stdout).unwrap();
    let text = String::from_utf8(wavedream(&["params"]).stdout).unwrap();
    let markdown = String::from_utf8(wavedream(&["params", "--markdown"]).stdout).unwrap();
    assert!(list.len() > 25);
    for param in &list {
        let (path, about) = (param["path"].as_str().unwrap(), param["about"].as_str().unwrap());
        assert!(text.contains(path) && text.contains(about), "{path} in the text");
        assert!(markdown.contains(&format!("`{path}`")), "{path} in the markdown");
    }
}

#[test]
fn what_is_not_there_is_named_with_the_way_out() {
    for (args, expected) in [
        (&["inspect", "missing.npy"][..], "missing.npy"),
        (&["latent", "-o", "x.npy", "--at", "0.5", "--mapping", "paper"], "the first possible --at is 1"),
        (&["latent", "-o", "no/such/folder/x.npy", "--shape", "4x8x8"], "no/such/folder/x.npy"),
        (&["dream", "--latent", "missing.npy"], "missing.npy"),
        (&["dream", "--prompt", "a cat"], "--genre"),
        (&["models", "show", "bax"], "box"),
        (&["render", "--preset", "croal", "-o", "x.gif"], "did you mean coral?"),
        (&["render", "missing.npy?rate=1000", "-o", "x.gif"], "missing.npy"),
    ] {
        let said = refused(args, 1);
        assert!(said.contains(expected), "{args:?}: {said}");
    }
    for (args, expected) in [
        (&["render", "--set", "/dream/vivd=1", "-o", "x.gif"][..], "did you mean /dream/vivid?"),
        (&["latent", "-o", "x.npy", "--mapping", "flwo"], "did you mean `flow`?"),
        (&["dream", "--genre", "cats"], "aurora"),
        (&["dream", "--size", "500x500"], "512x512"),
        (&["dream", "--steps", "9"], "1 to 4"),
        (&["dream", "--set", "/dream/genre/inc=1"], "/dream/genre/ink"),
    ] {
        let said = refused(args, 2);
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}

#[test]
fn a_latent_that_was_written_dreams_a_picture_and_its_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (latent, picture, raw) = (path("l.npy"), path("p.png"), path("r.safetensors"));
    let done = |args: &[&str]| {
        let out = wavedream(args);
        assert_eq!(out.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    };
    done(&["latent", "--source", "synth://rat?seed=2", "--shape", "4x8x16", "-o", &latent]);
    done(&["dream", "--latent", &latent, "--genre", "coral:0.5", "-o", &picture, "--raw", &raw]);
    let size = image::image_dimensions(&picture).unwrap();
    assert_eq!(size, (128, 64));
    let bytes = std::fs::read(&raw).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.tensor("latent").unwrap().shape(), [1, 4, 8, 16]);
    assert_eq!(tensors.tensor("image").unwrap().shape(), [1, 3, 64, 128]);

    let again = path("again.png");
    done(&["dream", "--latent", &latent, "--genre", "coral:0.5", "-o", &again]);
    assert_eq!(std::fs::read(&picture).unwrap(), std::fs::read(&again).unwrap(), "the same noise, the same picture");
    done(&["dream", "--latent", &latent, "--genre", "ink", "-o", &again]);
    assert_ne!(std::fs::read(&picture).unwrap(), std::fs::read(&again).unwrap(), "another genre, another picture");
}

#[test]
fn inspect_reports_to_people_and_to_scripts() {
    let json = wavedream(&["inspect", "synth://wind", "--seconds", "2", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let channel = &report["channels"][0];
    assert!(channel["name"].is_string() && channel["unit"].is_string() && channel["rate_hz"].is_number());
    assert!(channel["min"].as_f64().unwrap() < channel["max"].as_f64().unwrap());
    assert!(report["rate_hz"].is_number() && report["duration_secs"].is_null() && report["odd"].is_array());
    let text = String::from_utf8(wavedream(&["inspect", "synth://wind", "--seconds", "2"]).stdout).unwrap();
    assert!(text.contains(channel["name"].as_str().unwrap()));
}

#[test]
fn bench_prints_the_figures_that_are_promised() {
    let out = wavedream(&["bench", "--seconds", "0.1", "--size", "64x64", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(report["pictures_per_s"].as_f64().unwrap() > 0.0);
    // Mesa's renderer is there wherever the stage is tested.
    for stage in ["picture", "denoise", "decode", "window", "mapping", "latency", "upload", "present"] {
        let (p50, p99) = (&report[stage]["p50_ms"], &report[stage]["p99_ms"]);
        assert!(p50.as_f64().unwrap() <= p99.as_f64().unwrap(), "{stage}");
    }
}

#[test]
fn devices_are_listed_to_people_and_to_scripts() {
    let out = wavedream(&["devices", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    for section in ["midi", "adapters", "compute"] {
        let devices = report[section].as_array().unwrap();
        assert!(devices.iter().all(|device| device["name"].is_string()), "{section}");
    }
    assert_eq!(report["compute"][0]["device"], "cpu");
    let text = String::from_utf8(wavedream(&["devices"]).stdout).unwrap();
    assert!(text.contains("MIDI ports") && text.contains("Graphics adapters"), "{text}");
}
