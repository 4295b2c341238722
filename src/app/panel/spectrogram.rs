//! The spectrogram: time to the right, frequency upwards, a ring of columns in one texture.
//!
//! A column is written in place where the oldest was; nothing is moved. It is drawn as two strips that meet at the seam.

use nannou::prelude::egui::{
    Align2, Color32, ColorImage, Context, Painter, Rect, TextureHandle, TextureOptions, pos2, vec2,
};

use super::{
    data::PanelData,
    images::{heat, strip},
    spectrum::{self, ROWS, Spectrum},
};
use crate::app::window::overlay::ink;

/// Columns, one for each report of the signal: 32 seconds at 15 reports a second.
const COLUMNS: usize = 480;
pub(super) const COLUMN_SECS: f32 = 1.0 / 15.0;
/// Hops of the signal from one column to the next.
const HOPS_A_COLUMN: u64 = 2;
const MARKS_HZ: [(f32, &str); 6] = [(2.0, "2"), (5.0, "5"), (10.0, "10"), (20.0, "20"), (50.0, "50"), (100.0, "100")];

/// The texture, and where the next column goes.
#[derive(Default)]
pub(super) struct Spectrogram {
    spectrum: Spectrum,
    texture: Option<TextureHandle>,
    next: usize,
    filled: usize,
    hop: Option<u64>,
    /// What the columns are of: another source or channel begins anew.
    of: (String, Option<usize>),
}

impl Spectrogram {
    /// Adds the columns that have become due since the last look.
    pub fn follow(&mut self, context: &Context, data: &PanelData, channel: Option<usize>) {
        if self.of.0 != data.source || self.of.1 != channel {
            self.of = (data.source.clone(), channel);
            self.spectrum.forget();
            (self.hop, self.filled) = (None, 0);
        }
        let due = columns_due(self.hop, data.scope_hop);
        if due == 0 || data.scope.traces.is_empty() {
            return;
        }
        self.hop = Some(data.scope_hop);
        let of_channel = |at: usize| channel.is_none_or(|wanted| wanted == at);
        let traces = data.scope.traces.iter().enumerate().filter(|(at, _)| of_channel(*at));
        let rate_hz = match data.scope.traces.first() {
            Some(trace) if data.scope.span_secs > 0.0 => trace.samples.len() as f32 / data.scope.span_secs,
            _ => 0.0,
        };
        let column = self.spectrum.column(traces.map(|(_, trace)| trace.samples.as_slice()), rate_hz);
        // Low frequencies are at the bottom, rows of a texture begin at the top.
        let pixels: Vec<Color32> = column.iter().rev().map(|level| heat(*level)).collect();
        self.write(context, &pixels, due);
    }

    fn write(&mut self, context: &Context, column: &[Color32], times: usize) {
        let texture = self.texture.get_or_insert_with(|| {
            let empty = ColorImage::filled([COLUMNS, ROWS], heat(0.0));
            context.load_texture("spectrogram", empty, TextureOptions::LINEAR)
        });
        let mut left = times;
        while left > 0 {
            let width = left.min(COLUMNS - self.next);
            let pixels = column.iter().flat_map(|pixel| std::iter::repeat_n(*pixel, width)).collect();
            let image = ColorImage::new([width, column.len()], pixels);
            texture.set_partial([self.next, 0], image, TextureOptions::LINEAR);
            self.next = (self.next + width) % COLUMNS;
            left -= width;
        }
        self.filled = (self.filled + times).min(COLUMNS);
    }

    pub fn paint(&self, painter: &Painter, rect: Rect, unit: f32) {
        let labels = 2.2 * unit;
        let plot = Rect::from_min_max(pos2(rect.left() + labels, rect.top()), rect.max);
        painter.rect_filled(plot, 0.0, heat(0.0));
        if let Some(texture) = &self.texture {
            let width = plot.width() * self.filled as f32 / COLUMNS as f32;
            let place = plot.with_min_x(plot.right() - width);
            let seam = self.next as f32 / COLUMNS as f32;
            let older = self.filled.saturating_sub(self.next) as f32 / COLUMNS as f32;
            let x = place.left() + plot.width() * older;
            if older > 0.0 {
                strip(painter, texture.id(), place.with_max_x(x), 1.0 - older, 1.0);
            }
            let newer = (self.filled as f32 / COLUMNS as f32 - older).max(0.0);
            if newer > 0.0 {
                strip(painter, texture.id(), place.with_min_x(x), seam - newer, seam);
            }
        }
        for (hz, text) in MARKS_HZ {
            let y = plot.bottom() - spectrum::height_of(hz) * plot.height();
            let at = pos2(plot.left() - 0.4 * unit, y);
            ink::text(painter, at, Align2::RIGHT_CENTER, labels, text, 0.8 * unit, ink::DIM);
            let tick = Rect::from_center_size(pos2(plot.left() + 0.2 * unit, y), vec2(0.4 * unit, 1.0));
            painter.rect_filled(tick, 0.0, ink::DIM);
        }
    }
}

/// How many columns the signal has gone on since the last look; one at first. A long absence counts as a full turn.
fn columns_due(seen: Option<u64>, hop: u64) -> usize {
    match seen {
        // The source began anew.
        Some(seen) if hop < seen => 1,
        Some(seen) => (((hop - seen) / HOPS_A_COLUMN) as usize).min(COLUMNS),
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::window::Trace;

    #[test]
    fn columns_keep_the_pace_of_the_signal_however_seldom_one_looks() {
        assert_eq!(columns_due(None, 100), 1);
        assert_eq!(columns_due(Some(100), 100), 0);
        assert_eq!(columns_due(Some(100), 106), 3);
        assert_eq!(columns_due(Some(100), 3), 1);
        assert_eq!(columns_due(Some(0), 1_000_000), COLUMNS);
    }

    fn data(hop: u64) -> PanelData {
        let samples = (0..1024).map(|i| (i as f32 * 0.3).sin()).collect();
        let mut data = PanelData { scope_hop: hop, source: "synth://rat".into(), ..Default::default() };
        data.scope.span_secs = 2.0;
        data.scope.traces = vec![Trace { samples, ..Default::default() }];
        data
    }

    #[test]
    fn the_ring_is_written_in_place_and_goes_round() {
        let (context, mut spectrogram) = (Context::default(), Spectrogram::default());
        spectrogram.follow(&context, &data(10), None);
        assert_eq!((spectrogram.next, spectrogram.filled), (1, 1));
        spectrogram.follow(&context, &data(10 + 2 * 470), None);
        spectrogram.follow(&context, &data(10 + 2 * 490), None);
        assert_eq!((spectrogram.next, spectrogram.filled), (491 - COLUMNS, COLUMNS));
        let size = spectrogram.texture.as_ref().map(TextureHandle::size);
        assert_eq!(size, Some([COLUMNS, ROWS]));
    }

    #[test]
    fn another_source_or_channel_begins_anew() {
        let (context, mut spectrogram) = (Context::default(), Spectrogram::default());
        spectrogram.follow(&context, &data(10), None);
        spectrogram.follow(&context, &data(50), None);
        assert_eq!(spectrogram.filled, 21);
        spectrogram.follow(&context, &data(52), Some(0));
        assert_eq!(spectrogram.filled, 1);
    }
}
