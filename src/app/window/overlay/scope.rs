//! The live signal: a row a channel, as an electroencephalograph draws it, with the health of each.

use bevy_egui::egui::{Align2, Color32, Painter, Pos2, Rect, Shape, Stroke, pos2, vec2};

use super::{Health, ink, layout::Layout};

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

/// How much each trace is magnified; follows the signal slowly, so that a spike stands out instead of shrinking all.
#[derive(Debug, Default)]
pub(super) struct Gains(Vec<f32>);

impl Gains {
    /// Size that fills a row: three standard deviations, approached by a fiftieth a frame (a second or two).
    fn amplitude(&mut self, channel: usize, samples: &[f32]) -> f32 {
        let finite = samples.iter().copied().filter(|sample| sample.is_finite());
        let (count, sum, squares) = finite.fold((0.0_f32, 0.0, 0.0), |(n, sum, squares), x| {
            (n + 1.0, sum + x, squares + x * x)
        });
        let variance = if count > 0.0 {
            squares / count - (sum / count).powi(2)
        } else {
            0.0
        };
        let now = 3.0 * variance.max(0.0).sqrt();
        if self.0.len() <= channel {
            self.0.resize(channel + 1, 0.0);
        }
        let kept = &mut self.0[channel];
        *kept = if *kept > 0.0 { *kept + 0.02 * (now - *kept) } else { now };
        *kept
    }
}

pub(super) fn paint(painter: &Painter, layout: &Layout, scope: &Scope, gains: &mut Gains) {
    let unit = layout.unit;
    let inside = ink::panel(painter, layout.scope, unit);
    let line = 1.5 * unit;
    ink::text(
        painter,
        inside.left_top(),
        Align2::LEFT_TOP,
        inside.width() - 8.0 * unit,
        summary(&scope.traces),
        1.1 * unit,
        summary_color(&scope.traces),
    );
    if scope.span_secs > 0.0 {
        let span = format!("{:.1} s", scope.span_secs);
        ink::text(
            painter,
            inside.right_top(),
            Align2::RIGHT_TOP,
            7.0 * unit,
            span,
            1.1 * unit,
            ink::DIM,
        );
    }

    let traces = &scope.traces[..scope.traces.len().min(MAX_TRACES)];
    if traces.is_empty() {
        return;
    }
    let area = inside.with_min_y(inside.top() + line + 0.3 * unit);
    let row_height = area.height() / traces.len() as f32;
    let named = row_height >= NAMED_ROW * unit;
    let names_width = if named { 4.5 * unit } else { 0.8 * unit };
    let plot = area.with_min_x(area.left() + names_width);
    let clipped = painter.with_clip_rect(area);
    for (i, trace) in traces.iter().enumerate() {
        let middle = area.top() + (i as f32 + 0.5) * row_height;
        let color = ink::health(trace.health);
        if named {
            let size = (0.75 * row_height).min(unit);
            let at = pos2(area.left(), middle);
            ink::text(
                &clipped,
                at,
                Align2::LEFT_CENTER,
                names_width - 0.4 * unit,
                &trace.name,
                size,
                color,
            );
        } else {
            let mark = Rect::from_center_size(
                pos2(area.left() + 0.2 * unit, middle),
                vec2(0.4 * unit, 0.6 * row_height),
            );
            clipped.rect_filled(mark, 0.0, color);
        }
        let amplitude = gains.amplitude(i, &trace.samples);
        // A trace may reach half into its neighbours' rows, as on paper.
        let points = outline(&trace.samples, plot, middle, 0.9 * row_height, amplitude);
        if points.len() > 1 {
            clipped.add(Shape::line(
                points,
                Stroke::new((0.07 * unit).max(1.0), trace_color(trace.health, i)),
            ));
        }
    }
}

/// Alternate channels differ a little, so that the eye can follow one through its neighbours.
fn trace_color(health: Health, channel: usize) -> Color32 {
    match health {
        Health::Good if channel % 2 == 0 => Color32::from_rgb(150, 232, 218),
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

/// The trace as points: at most two a pixel column, the lowest and the highest sample in it, in the order they came, so
/// that no spike is lost. `amplitude` reaches `half_height` away from `middle`.
fn outline(samples: &[f32], plot: Rect, middle: f32, half_height: f32, amplitude: f32) -> Vec<Pos2> {
    if samples.len() < 2 {
        return Vec::new();
    }
    let mean = mean(samples);
    let y = |sample: f32| {
        let deviation = if amplitude > 0.0 && sample.is_finite() {
            (sample - mean) / amplitude
        } else {
            0.0
        };
        middle - half_height * deviation.clamp(-1.5, 1.5)
    };
    let x = |index: usize| plot.left() + plot.width() * index as f32 / (samples.len() - 1) as f32;

    let columns = (plot.width() as usize / 2).max(1);
    if samples.len() <= 2 * columns {
        return samples
            .iter()
            .enumerate()
            .map(|(i, sample)| pos2(x(i), y(*sample)))
            .collect();
    }
    let mut points = Vec::with_capacity(2 * columns);
    for column in 0..columns {
        let from = column * samples.len() / columns;
        let to = (column + 1) * samples.len() / columns;
        let (mut low, mut high) = (from, from);
        for i in from..to {
            if samples[i] < samples[low] {
                low = i;
            }
            if samples[i] > samples[high] {
                high = i;
            }
        }
        for i in [low.min(high), low.max(high)] {
            points.push(pos2(x(i), y(samples[i])));
        }
    }
    points
}

fn mean(samples: &[f32]) -> f32 {
    let (count, sum) = samples
        .iter()
        .filter(|x| x.is_finite())
        .fold((0.0_f32, 0.0), |(n, sum), x| (n + 1.0, sum + x));
    if count > 0.0 { sum / count } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Rect {
        Rect::from_min_size(pos2(10.0, 0.0), vec2(200.0, 100.0))
    }

    #[test]
    fn a_spike_of_one_sample_is_drawn_however_many_samples_there_are() {
        let mut samples = vec![0.0; 20_000];
        samples[12_345] = 1.0;
        let points = outline(&samples, plot(), 50.0, 20.0, 1.0);
        assert!(points.len() <= 200);
        let highest = points.iter().map(|p| p.y).fold(f32::MAX, f32::min);
        assert!((highest - 30.0).abs() < 0.1, "{highest}");
    }

    #[test]
    fn the_outline_runs_from_the_left_edge_to_the_right_and_never_back() {
        for n in [2, 50, 200, 5000] {
            let samples: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin()).collect();
            let points = outline(&samples, plot(), 50.0, 20.0, 1.0);
            assert!((points[0].x - 10.0).abs() < 3.0 && (points[points.len() - 1].x - 210.0).abs() < 3.0);
            assert!(points.windows(2).all(|pair| pair[0].x <= pair[1].x));
        }
    }

    #[test]
    fn flat_missing_and_broken_traces_are_straight_lines() {
        for samples in [vec![5.0; 300], vec![f32::NAN; 300]] {
            let amplitude = Gains::default().amplitude(0, &samples);
            let points = outline(&samples, plot(), 50.0, 20.0, amplitude);
            assert!(points.iter().all(|p| p.y == 50.0));
        }
        assert!(outline(&[], plot(), 50.0, 20.0, 1.0).is_empty());
        assert!(outline(&[1.0], plot(), 50.0, 20.0, 1.0).is_empty());
    }

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
        let trace = |health| Trace {
            health,
            ..Default::default()
        };
        assert_eq!(summary(&[]), "no signal");
        assert_eq!(summary(&[trace(Health::Good)]), "1 channel");
        let traces = [
            trace(Health::Good),
            trace(Health::Flat),
            trace(Health::Flat),
            trace(Health::Clipped),
        ];
        assert_eq!(summary(&traces), "4 channels  ·  1 clipped  ·  2 flat");
    }
}
