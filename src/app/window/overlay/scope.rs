//! The live signal: a row a channel, as an electroencephalograph draws it, with the health of each.
//!
//! The traces are drawn into a texture here ([`raster`]): as lines of egui they were 140,000 triangles a frame, which a
//! software renderer draws three times a second.

mod raster;

use nannou::prelude::egui::{
    Align2, Color32, Painter, Rect, TextureHandle, TextureOptions, emath::GuiRounding, pos2, vec2,
};
use raster::{Line, Raster};

use super::{Health, ink};

/// The last seconds of signal.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Up to 32 are drawn.
    pub traces: Vec<Trace>,
    /// Time that the samples of a trace span.
    pub span_secs: f32,
}

#[derive(Debug, Clone, Default)]
pub struct Trace {
    pub name: String,
    /// Oldest first, evenly spaced, in any unit: each trace is scaled to its row.
    pub samples: Vec<f32>,
    pub health: Health,
}

const MAX_TRACES: usize = 32;
/// Names are written where rows are at least this high in units; below, they could not be read.
const NAMED_ROW: f32 = 0.85;

/// No finer than this, in pixels, on however large a display.
const MAX_TEXTURE: [usize; 2] = [1024, 768];

/// What is kept of the scope from frame to frame.
#[derive(Default)]
pub(in crate::app) struct View {
    gains: Gains,
    texture: Option<TextureHandle>,
    options: TextureOptions,
}

impl View {
    pub fn paint(&mut self, painter: &Painter, inside: Rect, unit: f32, scope: &Scope) {
        let title_width = inside.width() - 8.0 * unit;
        let (title, color) = (summary(&scope.traces), summary_color(&scope.traces));
        ink::text(painter, inside.left_top(), Align2::LEFT_TOP, title_width, title, 1.1 * unit, color);
        if scope.span_secs > 0.0 {
            let span = format!("{:.1} s", scope.span_secs);
            ink::text(painter, inside.right_top(), Align2::RIGHT_TOP, 7.0 * unit, span, 1.1 * unit, ink::DIM);
        }
        let traces = &scope.traces[..scope.traces.len().min(MAX_TRACES)];
        if !traces.is_empty() {
            let area = inside.with_min_y(inside.top() + 1.8 * unit);
            let names_width = paint_names(painter, area, traces, unit);
            self.paint_traces(painter, area.with_min_x(area.left() + names_width), traces, unit);
        }
    }

    fn paint_traces(&mut self, painter: &Painter, plot: Rect, traces: &[Trace], unit: f32) {
        let scale = painter.pixels_per_point();
        let [width, height] = [plot.width(), plot.height()].map(|points| (points * scale).round().max(1.0) as usize);
        let size = [width.min(MAX_TEXTURE[0]), height.min(MAX_TEXTURE[1])];
        let mut raster = Raster::new(size);
        let row_height = size[1] as f32 / traces.len() as f32;
        for (i, trace) in traces.iter().enumerate() {
            raster.line(&Line {
                samples: &trace.samples,
                middle: (i as f32 + 0.5) * row_height,
                // A trace may reach into its neighbours' rows, as on paper.
                half_height: 0.9 * row_height,
                amplitude: self.gains.amplitude(i, &trace.samples),
                thickness: (0.07 * unit * scale).max(1.3),
                color: trace_color(trace.health, i),
            });
        }
        let image = raster.into_image();
        // Texel on pixel where it fits: cheaper than filtering, which would change nothing.
        let options = if size == [width, height] { TextureOptions::NEAREST } else { TextureOptions::LINEAR };
        match self.texture.as_mut().filter(|_| self.options == options) {
            Some(texture) => texture.set(image, options),
            None => self.texture = Some(painter.ctx().load_texture("scope", image, options)),
        }
        self.options = options;
        if let Some(texture) = &self.texture {
            let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            painter.image(texture.id(), plot.round_to_pixels(scale), whole, Color32::WHITE);
        }
    }
}

/// Names, or marks where rows are too low for them, in the colour of the channel's health; returns their width.
fn paint_names(painter: &Painter, area: Rect, traces: &[Trace], unit: f32) -> f32 {
    let row_height = area.height() / traces.len() as f32;
    let named = row_height >= NAMED_ROW * unit;
    let width = if named { 4.5 * unit } else { 0.8 * unit };
    for (i, trace) in traces.iter().enumerate() {
        let middle = area.top() + (i as f32 + 0.5) * row_height;
        let color = ink::health(trace.health);
        if named {
            let at = pos2(area.left(), middle);
            let size = (0.75 * row_height).min(unit);
            ink::text(painter, at, Align2::LEFT_CENTER, width - 0.4 * unit, &trace.name, size, color);
        } else {
            let at = pos2(area.left() + 0.2 * unit, middle);
            painter.rect_filled(Rect::from_center_size(at, vec2(0.4 * unit, 0.6 * row_height)), 0.0, color);
        }
    }
    width
}

/// How much each trace is magnified; follows the signal slowly, so that a spike stands out instead of shrinking all.
#[derive(Debug, Default)]
struct Gains(Vec<f32>);

impl Gains {
    /// Size that fills a row: three standard deviations, approached by a fiftieth a frame (a second or two).
    fn amplitude(&mut self, channel: usize, samples: &[f32]) -> f32 {
        let finite = samples.iter().copied().filter(|sample| sample.is_finite());
        let (count, sum, squares) =
            finite.fold((0.0_f32, 0.0, 0.0), |(n, sum, squares), x| (n + 1.0, sum + x, squares + x * x));
        let variance = if count > 0.0 { squares / count - (sum / count).powi(2) } else { 0.0 };
        let now = 3.0 * variance.max(0.0).sqrt();
        if self.0.len() <= channel {
            self.0.resize(channel + 1, 0.0);
        }
        let kept = &mut self.0[channel];
        *kept = if *kept > 0.0 { *kept + 0.02 * (now - *kept) } else { now };
        *kept
    }
}

/// Alternate channels differ a little, so that the eye can follow one through its neighbours.
fn trace_color(health: Health, channel: usize) -> Color32 {
    match health {
        Health::Good if channel.is_multiple_of(2) => Color32::from_rgb(150, 232, 218),
        Health::Good => Color32::from_rgb(236, 226, 186),
        health => ink::health(health),
    }
}

fn summary(traces: &[Trace]) -> String {
    let channels = match traces.len() {
        0 => return "no signal".into(),
        1 => "1 channel".into(),
        n => format!("{n} channels"),
    };
    let mut text = channels;
    for health in [Health::Bridged, Health::Clipped, Health::Flat, Health::Missing] {
        let count = traces.iter().filter(|trace| trace.health == health).count();
        if count > 0 {
            text += &format!("  ·  {count} {}", health.word());
        }
    }
    text
}

fn summary_color(traces: &[Trace]) -> Color32 {
    match traces.iter().filter(|trace| trace.health != Health::Good).count() {
        _ if traces.is_empty() => ink::RED,
        0 => ink::DIM,
        _ => ink::AMBER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_magnification_is_taken_at_once_and_followed_slowly() {
        let quiet: Vec<f32> = (0..100).map(|i| (i as f32).sin()).collect();
        let loud: Vec<f32> = quiet.iter().map(|x| 100.0 * x).collect();
        let mut gains = Gains::default();
        let first = gains.amplitude(2, &quiet);
        assert!((first - 3.0 * 0.707).abs() < 0.1, "{first}");
        let next = gains.amplitude(2, &loud);
        assert!(next > first && next < 4.0 * first, "{next}");
    }

    #[test]
    fn the_summary_counts_what_is_wrong() {
        let trace = |health| Trace { health, ..Default::default() };
        assert_eq!(summary(&[]), "no signal");
        assert_eq!(summary(&[trace(Health::Good)]), "1 channel");
        let traces = [trace(Health::Good), trace(Health::Flat), trace(Health::Flat), trace(Health::Clipped)];
        assert_eq!(summary(&traces), "4 channels  ·  1 clipped  ·  2 flat");
    }
}
