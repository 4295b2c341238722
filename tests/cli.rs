//! The command line as a script sees it: exit codes, one sentence on stderr, results on stdout.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

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
    for command in [
        "play",
        "render",
        "dream",
        "latent",
        "inspect",
        "models",
        "params",
        "bench",
        "Examples:",
    ] {
        assert!(help.contains(command), "{command}");
    }
    assert!(!help.contains('\u{1b}'), "no colours into a pipe");
    assert_eq!(wavedream(&["--version"]).status.code(), Some(0));
    // Flags alone mean `play`.
    assert!(
        String::from_utf8(wavedream(&["-v", "--fullscreen", "--help"]).stdout)
            .unwrap()
            .contains("--display")
    );
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
