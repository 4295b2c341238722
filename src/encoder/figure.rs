//! Figures as PNG: loss curves, traces, states along time. Drawn by plotters into memory, with the font of the overlay.

use std::{path::Path, sync::Once};

use plotters::{
    coord::Shift,
    prelude::{
        BitMapBackend, ChartBuilder, DrawingArea, IntoDrawingArea, LineSeries, PathElement, RGBColor, Rectangle,
        SeriesLabelPosition, WHITE,
    },
    style::{Color, FontStyle, IntoFont, register_font},
};

use super::{
    EncoderError,
    pretrain::{Outcome, Trace},
};

pub type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

pub const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(40, 44, 52);
const GREY: RGBColor = RGBColor(150, 154, 162);
const BLUE: RGBColor = RGBColor(38, 110, 200);
const ORANGE: RGBColor = RGBColor(222, 130, 40);
const GREEN: RGBColor = RGBColor(60, 150, 90);
const SHADE: RGBColor = RGBColor(236, 238, 242);

static FONTS: Once = Once::new();

/// Draws a PNG of this size.
///
/// # Errors
/// The file cannot be written.
pub fn png(path: &Path, size: (u32, u32), draw: impl FnOnce(&Area) -> Drawn) -> Result<(), EncoderError> {
    let wrong = |why: String| EncoderError::Write { path: path.into(), cause: std::io::Error::other(why) };
    // Registering fails for a broken font only, and then the figure has no words.
    FONTS.call_once(|| drop(register_font(FONT, FontStyle::Normal, notosans::REGULAR_TTF)));
    let mut pixels = vec![255; 3 * size.0 as usize * size.1 as usize];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        let drawn = area.fill(&WHITE).map_err(Into::into).and_then(|()| draw(&area));
        drawn.map_err(|e| wrong(e.to_string()))?;
        area.present().map_err(|e| wrong(e.to_string()))?;
    }
    image::save_buffer_with_format(path, &pixels, size.0, size.1, image::ColorType::Rgb8, image::ImageFormat::Png)
        .map_err(|e| wrong(e.to_string()))
}

/// Loss of each step and held-out error, with the two yardsticks as lines across.
pub fn losses(path: &Path, outcome: &Outcome) -> Result<(), EncoderError> {
    png(path, (1000, 600), |area| {
        let steps = outcome.losses.len().max(2) as f64;
        let held = &outcome.held_out;
        let top = f64::from(held.mean.max(held.linear)).max(1.0) * 1.1;
        let mut chart = ChartBuilder::on(area)
            .caption(
                "Squared error on hidden samples (1 is the variance of a channel)",
                (FONT, 20).into_font().color(&INK),
            )
            .margin(16)
            .x_label_area_size(40)
            .y_label_area_size(50)
            .build_cartesian_2d(0.0..steps, 0.0..top)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(SHADE)
            .x_desc("step")
            .label_style((FONT, 15))
            .draw()?;
        let smooth = smoothed(&outcome.losses);
        let level = |error: f32| vec![(0.0, f64::from(error)), (steps, f64::from(error))];
        let tested = outcome.tested.iter().map(|(at, e)| (*at as f64, f64::from(*e))).collect::<Vec<_>>();
        let lines = [
            ("training", GREY, smooth),
            ("held out", BLUE, tested),
            ("straight lines over the gaps", ORANGE, level(held.linear)),
            ("mean of what is visible", GREEN, level(held.mean)),
        ];
        for (name, colour, points) in lines {
            let drawn = chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
            drawn.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], colour.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .label_font((FONT, 15))
            .background_style(WHITE)
            .border_style(SHADE)
            .draw()?;
        Ok(())
    })
}

/// Reconstructed traces over true ones; what was visible is shaded.
pub fn traces(path: &Path, traces: &[Trace], rate_hz: f64) -> Result<(), EncoderError> {
    png(path, (1200, 40 + 150 * traces.len().max(1) as u32), |area| {
        let area = area.titled(
            "Held-out windows: true (grey), reconstructed from the shaded patches (blue), straight lines (orange)",
            (FONT, 18).into_font().color(&INK),
        )?;
        for (trace, part) in traces.iter().zip(area.split_evenly((traces.len().max(1), 1))) {
            let secs = trace.truth.len() as f64 / rate_hz;
            let mut chart = ChartBuilder::on(&part)
                .margin(4)
                .x_label_area_size(18)
                .y_label_area_size(60)
                .build_cartesian_2d(0.0..secs, -3.6..3.6_f64)?;
            let at = |n: usize| n as f64 / rate_hz;
            let shades = runs(&trace.hidden, false).into_iter();
            chart.draw_series(
                shades.map(|(from, to)| Rectangle::new([(at(from), -3.6), (at(to), 3.6)], SHADE.filled())),
            )?;
            chart
                .configure_mesh()
                .disable_mesh()
                .y_desc(format!("channel {}", trace.channel + 1))
                .y_labels(3)
                .label_style((FONT, 12))
                .draw()?;
            let line = |values: &[f32]| -> Vec<(f64, f64)> {
                values.iter().enumerate().map(|(n, x)| (at(n), f64::from(*x).clamp(-3.6, 3.6))).collect()
            };
            chart.draw_series(LineSeries::new(line(&trace.linear), ORANGE.mix(0.6).stroke_width(1)))?;
            chart.draw_series(LineSeries::new(line(&trace.truth), GREY.stroke_width(2)))?;
            for (from, to) in runs(&trace.hidden, true) {
                let points = line(&trace.guessed).into_iter().skip(from).take(to - from);
                chart.draw_series(LineSeries::new(points, BLUE.stroke_width(2)))?;
            }
        }
        Ok(())
    })
}

/// From and to (excluded) of what is `value`.
fn runs(list: &[bool], value: bool) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (n, _) in list.iter().enumerate().filter(|(_, x)| **x == value) {
        match runs.last_mut() {
            Some((_, to)) if *to == n => *to = n + 1,
            _ => runs.push((n, n + 1)),
        }
    }
    runs
}

/// Running mean, at most 400 points.
fn smoothed(losses: &[f32]) -> Vec<(f64, f64)> {
    let width = (losses.len() / 400).max(1);
    let means = losses.chunks(width).enumerate();
    means.map(|(n, part)| ((n * width) as f64, f64::from(part.iter().sum::<f32>() / part.len() as f32))).collect()
}

/// Pictures along time over the states that they were steered by.
#[derive(Debug, Clone, Default)]
pub struct Sheet {
    pub secs: f64,
    pub states: Vec<String>,
    /// From, to and state.
    pub truth: Vec<(f64, f64, usize)>,
    /// Name, and at moments the state that the steering was nearest to.
    pub bands: Vec<(String, Vec<(f64, usize)>)>,
    /// Moment, side in pixels, RGBA.
    pub pictures: Vec<(f64, usize, Vec<u8>)>,
}

const STATES: [RGBColor; 6] = [ORANGE, GREEN, BLUE, RGBColor(170, 70, 160), RGBColor(120, 110, 60), GREY];
/// Pixels.
const WIDE: u32 = 1280;
const LEFT: i32 = 90;
const BAND: i32 = 26;

/// Draws a sheet.
///
/// # Errors
/// The file cannot be written.
pub fn sheet(path: &Path, sheet: &Sheet) -> Result<(), EncoderError> {
    let across = f64::from(WIDE as i32 - LEFT - 10);
    let columns = (sheet.pictures.len().div_ceil(2)).max(1);
    let side = (across / columns as f64) as i32;
    let bands = 1 + sheet.bands.len() as i32;
    let height = 2 * side + bands * (BAND + 6) + 76;
    png(path, (WIDE, height as u32), |area| {
        let x = |secs: f64| LEFT + (secs / sheet.secs.max(1e-9) * across) as i32;
        let ink = |size: i32| (FONT, size).into_font().color(&INK);
        for (n, (secs, px, rgba)) in sheet.pictures.iter().enumerate() {
            // Two rows, so that the pictures are large: the upper one has the even ones.
            let (row, column) = (n % 2, n / 2);
            let (left, top) = (LEFT + column as i32 * side, row as i32 * side);
            let inner = side - 4;
            for (dy, dx) in (0..inner).flat_map(|dy| (0..inner).map(move |dx| (dy, dx))) {
                let from = |d: i32| (d as usize * px / inner as usize).min(px - 1);
                let at = 4 * (from(dy) * px + from(dx));
                area.draw_pixel((left + dx, top + dy), &RGBColor(rgba[at], rgba[at + 1], rgba[at + 2]))?;
            }
            area.draw_text(&format!("{secs:.0} s"), &(FONT, 14).into_font().color(&WHITE), (left + 5, top + 3))?;
        }
        let top = 2 * side + 8;
        let colour = |state: usize| STATES[state % STATES.len()];
        area.draw_text("true", &ink(16), (8, top + 4))?;
        for (from, to, state) in &sheet.truth {
            let corners = [(x(from.min(sheet.secs)), top), (x(to.min(sheet.secs)), top + BAND)];
            area.draw(&Rectangle::new(corners, colour(*state).filled()))?;
        }
        for (n, (name, points)) in sheet.bands.iter().enumerate() {
            let top = top + (n as i32 + 1) * (BAND + 6);
            area.draw_text(name, &ink(16), (8, top + 4))?;
            for (at, (secs, state)) in points.iter().enumerate().take_while(|(_, (secs, _))| *secs <= sheet.secs) {
                let next = points.get(at + 1).map_or(*secs + 1.0, |(next, _)| next.min(*secs + 1.0)).min(sheet.secs);
                area.draw(&Rectangle::new([(x(*secs), top), (x(next), top + BAND)], colour(*state).filled()))?;
            }
        }
        let foot = top + bands * (BAND + 6) + 8;
        for (n, name) in sheet.states.iter().enumerate() {
            let left = LEFT + 120 * n as i32;
            area.draw(&Rectangle::new([(left, foot), (left + 18, foot + 18)], colour(n).filled()))?;
            area.draw_text(name, &ink(16), (left + 24, foot + 1))?;
        }
        let legend = format!(
            "{:.0} s of a rat that was not learnt from; pictures of one noise, steered by its signal",
            sheet.secs
        );
        area.draw_text(&legend, &ink(16), (LEFT + 120 * sheet.states.len() as i32 + 20, foot + 1))?;
        Ok(())
    })
}
