//! The figure of a signal, made by the program as a person makes it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::{path::Path, process::Output};

fn plot(source: &str, out: &Path, more: &[&str]) -> Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_wavedream"))
        .args(["plot", source, "--set", "/dream/size=256", "-o", out.to_str().unwrap()])
        .args(more)
        .output()
        .unwrap()
}

fn sentence(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_svg_has_every_row_with_its_units_and_its_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("page.svg");
    let output = plot("synth://rat?seed=2&channels=20", &out, &["--seconds", "4", "--from", "1"]);
    assert!(output.status.success(), "{}", sentence(&output));
    let text = std::fs::read_to_string(&out).unwrap();
    // The caption goes over several lines.
    let lines: Vec<_> = text.split("</text>").filter_map(|part| Some(part.rsplit_once('>')?.1)).collect();
    let words = lines.join(" ").to_lowercase();
    for said in [
        "time (s)",
        "frequency (hz)",
        "level",
        "onset",
        "latent",
        "picture",
        "16 of them, evenly chosen",
        "mapping flow",
        "model box",
        "1 to 5 s",
    ] {
        assert!(words.contains(said), "{said} is missing");
    }
    // A spectrogram, two colour bars, eight latents and eight pictures.
    assert_eq!(text.matches("<image ").count(), 1 + 2 + 8 + 8);
    assert!(text.matches("<polyline").count() > 16);
}

#[test]
fn a_png_is_eight_inches_wide_at_300_dots_and_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a.png"), folder.path().join("b.png"));
    for out in [&first, &second] {
        let output = plot("synth://wind?seed=3", out, &["--seconds", "3"]);
        assert!(output.status.success(), "{}", sentence(&output));
    }
    let bytes = std::fs::read(&first).unwrap();
    assert_eq!(bytes, std::fs::read(&second).unwrap());
    let image = image::load_from_memory(&bytes).unwrap().to_rgb8();
    assert_eq!(image.width(), 2400);
    let dots = [&b"pHYs"[..], &11_811u32.to_be_bytes(), &11_811u32.to_be_bytes(), &[1]].concat();
    assert!(bytes.windows(dots.len()).any(|part| part == dots), "300 dots an inch");
    let white = image.pixels().filter(|pixel| pixel.0 == [255; 3]).count() as f64 / image.pixels().len() as f64;
    assert!((0.2..0.95).contains(&white), "{white} of it is paper");
    // Nothing is cut off: the margin is paper all round.
    let (width, height) = image.dimensions();
    let margin =
        (0..width).flat_map(|x| [(x, 4), (x, height - 5)]).chain((0..height).flat_map(|y| [(4, y), (width - 5, y)]));
    assert!(margin.map(|(x, y)| image.get_pixel(x, y).0).all(|pixel| pixel == [255; 3]));
}

#[test]
fn what_cannot_be_drawn_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("short.csv");
    let lines: String = (0..400).map(|n| format!("{}\n", f64::from(n % 50))).collect();
    std::fs::write(&file, lines).unwrap();
    let source = format!("{}?rate=100", file.display());
    let cases: [(&str, &[&str], i32, &str); 3] = [
        ("page.jpg", &[], 2, ".png or .svg"),
        ("page.svg", &["--from", "9"], 1, "lasts 4.000 s"),
        ("nowhere/page.svg", &["--seconds", "2"], 1, "cannot be written"),
    ];
    for (out, more, code, said) in cases {
        let output = plot(&source, &folder.path().join(out), more);
        let text = sentence(&output);
        assert!(output.status.code() == Some(code) && text.contains(said) && text.lines().count() == 1, "{text}");
    }
}
