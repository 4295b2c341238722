//! The figure: rows from the top, all over the same time, and below them what is said of it.
//!
//! Eight inches wide at 300 dots an inch, letters of eight points.

use super::{
    axis::Axis,
    colours::{BLACK, GREY, PALE},
    gather::{Gathered, MOMENTS},
    page::{Anchor, Page, wrapped},
    rows,
    spectrum::spectrogram,
};

pub const WIDTH: f32 = 2400.0;
/// Of the rows: names and scales to the left, colour bars to the right.
pub const LEFT: f32 = 322.0;
pub const RIGHT: f32 = 2190.0;
/// Eight points of 1/72 inch, and a little less.
pub const LETTERS: f32 = 33.0;
pub const SMALL: f32 = 29.0;
/// Of thin lines.
pub const HAIR: f32 = 2.0;
const MARGIN: f32 = 48.0;
const GAP: f32 = 46.0;
const TICK: f32 = 10.0;
const CAPTION_LINE: f32 = 41.0;

/// Everything on a page.
pub fn draw(gathered: &Gathered) -> Page {
    let mut page = Page::new(WIDTH);
    let time = Axis::linear(gathered.from_secs, gathered.from_secs + gathered.secs, LEFT, RIGHT);
    let mut letters = ('A'..='Z').map(|letter| letter.to_string());
    let mut said = Vec::new();
    let mut top = MARGIN;
    let mut head = |page: &mut Page, top: f32| {
        let letter = letters.next().unwrap_or_default();
        page.bold(&letter, (MARGIN, top + 0.72 * LETTERS * 1.3), LETTERS * 1.3, BLACK);
        letter
    };

    let letter = head(&mut page, top);
    let (bottom, words) = rows::traces(&mut page, gathered, &time, top);
    said.push(format!("{letter}, {words}"));
    top = bottom + GAP;

    if let Some(spectrogram) = spectrogram(gathered) {
        let letter = head(&mut page, top);
        let (bottom, words) = rows::spectrogram(&mut page, gathered, &spectrogram, &time, top);
        said.push(format!("{letter}, {words}"));
        top = bottom + GAP;
    }

    let letter = head(&mut page, top);
    let bottom = rows::lanes(&mut page, &gathered.lanes, &time, top);
    let names: Vec<_> = gathered.lanes.iter().map(|lane| lane.name.as_str()).collect();
    let listed = match &names[..] {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => names.join(""),
    };
    said.push(format!("{letter}, {listed} as the program follows them"));
    let axis = bottom + 14.0;
    let labels = time_axis(&mut page, &time, axis);
    top = labels + 0.6 * GAP;

    if !gathered.moments.is_empty() {
        let cell = (RIGHT - LEFT) / MOMENTS as f32;
        rows::leaders(&mut page, gathered, &time, (axis, top), cell);
        let letter = head(&mut page, top);
        let (bottom, words) = rows::latents(&mut page, gathered, cell, top);
        said.push(format!("{letter}, {words}"));
        top = bottom + 0.5 * GAP;
        let letter = head(&mut page, top);
        let (bottom, words) = rows::pictures(&mut page, gathered, cell, top);
        said.push(format!("{letter}, {words}"));
        top = bottom + GAP;
    }
    let bottom = caption(&mut page, gathered, &said, top);
    page.set_height(bottom + MARGIN);
    page
}

/// Gives the bottom of its labels.
fn time_axis(page: &mut Page, time: &Axis, top: f32) -> f32 {
    page.line(vec![(LEFT, top), (RIGHT, top)], HAIR, BLACK);
    let baseline = top + TICK + 1.1 * LETTERS;
    for (secs, label) in time.ticks(10) {
        let x = time.page(secs);
        page.line(vec![(x, top), (x, top + TICK)], HAIR, BLACK);
        page.text(label, (x, baseline), LETTERS, Anchor::Middle, BLACK);
    }
    page.text("time (s)", (LEFT - 34.0, baseline), LETTERS, Anchor::End, BLACK);
    baseline + 0.3 * LETTERS
}

fn caption(page: &mut Page, gathered: &Gathered, said: &[String], top: f32) -> f32 {
    let Gathered { source, rate_hz, channels, mapping, model, steps, preset, .. } = gathered;
    let width = WIDTH - 2.0 * MARGIN;
    page.line(vec![(MARGIN, top), (WIDTH - MARGIN, top)], HAIR, PALE);
    let end = super::axis::label(((gathered.from_secs + gathered.secs) * 1e3).round() / 1e3);
    let text = format!(
        "{source}: {channels} channel{} at {} Hz, {} to {end} s. {}. Mapping {mapping}; model {model}, {steps} step{}{}; \
         wavedream {}.",
        if *channels == 1 { "" } else { "s" },
        super::axis::label((rate_hz * 1e3).round() / 1e3),
        super::axis::label(gathered.from_secs),
        said.join(". "),
        if *steps == 1 { "" } else { "s" },
        if preset.is_empty() { String::new() } else { format!(", preset {preset}") },
        env!("CARGO_PKG_VERSION"),
    );
    let mut baseline = top + 1.45 * LETTERS;
    for line in wrapped(&text, SMALL, width) {
        page.text(line, (MARGIN, baseline), SMALL, Anchor::Start, GREY);
        baseline += CAPTION_LINE;
    }
    baseline - CAPTION_LINE + 0.3 * SMALL
}
