//! The rows of the figure. Each draws from a top on and gives its bottom and what is to be said of it.

use image::RgbImage;

use super::{
    axis::{Axis, label},
    colours::{self, BLACK, GREY, LANES, PALE, TRACE},
    figure::{HAIR, LEFT, LETTERS, RIGHT, SMALL},
    gather::Gathered,
    lane::{Lane, Scale},
    page::{Anchor, Image, Page, text_width},
    spectrum::Spectrogram,
    traces::{bar, common_reach, extremes, mean, reach},
};
use crate::signal::Channel;

const TRACE_WIDTH: f32 = 2.0;
/// A loud trace may leave the row by so much.
const OVER: f32 = 26.0;
/// Between the end of a row and what explains its scale.
const BESIDE: f32 = 28.0;
const SPECTROGRAM: f32 = 400.0;
const LANE: f32 = 92.0;
const LANE_GAP: f32 = 18.0;
const COLOUR_BAR: f32 = 30.0;
/// Of the colours of a latent, on both sides of zero.
const LATENT_REACH: f64 = 2.5;
/// Between two pictures.
const BETWEEN: f32 = 16.0;
/// Longer names are cut.
const NAME_WIDTH: f32 = 190.0;
/// Pixels of a picture in the figure, so that an .svg stays small.
const PICTURE_PX: u32 = 448;

pub fn traces(page: &mut Page, gathered: &Gathered, time: &Axis, top: f32) -> (f32, String) {
    let count = gathered.shown.len();
    let lane = match count {
        1 => 300.0,
        2..=4 => 150.0,
        5..=8 => 96.0,
        _ => 54.0,
    };
    let bottom = top + lane * count as f32;
    let unit = &gathered.shown[0].unit;
    let is_common = gathered.shown.iter().all(|channel| channel.unit == *unit);
    let reaches: Vec<f32> = gathered.samples.iter().map(|samples| reach(samples)).collect();
    let common = common_reach(&reaches);
    for (n, (channel, samples)) in gathered.shown.iter().zip(&gathered.samples).enumerate() {
        let middle = top + lane * (n as f32 + 0.5);
        let reach = if is_common { common } else { reaches[n] };
        trace(
            page,
            samples,
            time,
            (middle, 0.46 * lane / reach),
            (top - OVER.min(0.2 * lane), bottom + OVER.min(0.2 * lane)),
        );
        let name = shortened(&channel.name, LETTERS.min(0.62 * lane));
        page.text(name, (LEFT - 22.0, middle + 0.36 * LETTERS), LETTERS.min(0.62 * lane), Anchor::End, BLACK);
        if !is_common {
            own_scale(page, channel, samples, reach, middle);
        }
    }
    if is_common {
        let length = bar(common
            * if count == 1 {
                1.0
            } else if count <= 8 {
                2.0
            } else {
                4.0
            });
        let pixels = (length / f64::from(common)) as f32 * 0.46 * lane;
        let (x, middle) = (RIGHT + BESIDE, 0.5 * (top + bottom));
        page.line(vec![(x, middle - 0.5 * pixels), (x, middle + 0.5 * pixels)], 5.0, BLACK);
        let text = format!("{} {unit}", label(length));
        page.text(text.trim_end(), (x + 18.0, middle + 0.36 * LETTERS), LETTERS, Anchor::Start, BLACK);
    }
    let chosen =
        if count < gathered.channels { format!("{count} of them, evenly chosen") } else { "signal".to_owned() };
    let scaled = if is_common { "" } else { ", each on a scale of its own" };
    let each = if count == 1 { "" } else { "each " };
    (bottom, format!("{chosen}, as recorded, {each}less its mean{scaled}"))
}

/// `scale` pixels a unit about `middle`, cut off at the row's ends.
fn trace(page: &mut Page, samples: &[f32], time: &Axis, (middle, scale): (f32, f32), (top, bottom): (f32, f32)) {
    let mean = mean(samples);
    let y = |x: f32| (middle - (x - mean) * scale).clamp(top, bottom);
    let width = time.page_to - time.page_from;
    let mut points: Vec<(f32, f32)> = Vec::new();
    let mut parts = Vec::new();
    if samples.len() <= width as usize {
        for (n, value) in samples.iter().enumerate() {
            if value.is_finite() {
                points.push((time.page_from + width * n as f32 / (samples.len().max(2) - 1) as f32, y(*value)));
            } else {
                parts.push(std::mem::take(&mut points));
            }
        }
    } else {
        for (n, pixel) in extremes(samples, width as usize).into_iter().enumerate() {
            let x = time.page_from + n as f32;
            match pixel {
                // Up and down by turns, so that the pen does not go back.
                Some((low, high)) if n % 2 == 0 => points.extend([(x, y(low)), (x, y(high))]),
                Some((low, high)) => points.extend([(x, y(high)), (x, y(low))]),
                None => parts.push(std::mem::take(&mut points)),
            }
        }
    }
    parts.push(points);
    for part in parts.into_iter().filter(|part| part.len() > 1) {
        page.line(part, TRACE_WIDTH, TRACE);
    }
}

/// Of a channel whose unit is not that of the others: how far the lane reaches.
fn own_scale(page: &mut Page, channel: &Channel, samples: &[f32], reach: f32, middle: f32) {
    let round = |x: f32| {
        let digits = 10f64.powf(1.0 - f64::from(reach).log10().floor());
        label((f64::from(x) * digits).round() / digits)
    };
    let text = format!("{} ± {} {}", round(mean(samples)), round(reach), channel.unit);
    page.text(text.trim_end(), (RIGHT + BESIDE, middle + 0.36 * SMALL), SMALL * 0.86, Anchor::Start, GREY);
}

fn shortened(name: &str, size: f32) -> String {
    let mut name = name.to_owned();
    if text_width(&name, size, false) > NAME_WIDTH {
        while text_width(&format!("{name}…"), size, false) > NAME_WIDTH && name.pop().is_some() {}
        name.push('…');
    }
    name
}

pub fn spectrogram(
    page: &mut Page,
    gathered: &Gathered,
    spectrogram: &Spectrogram,
    time: &Axis,
    top: f32,
) -> (f32, String) {
    let bottom = top + SPECTROGRAM;
    let (from_hz, to_hz) = (spectrogram.from_hz, spectrogram.to_hz);
    let is_log = spectrogram.is_wide();
    let axis = if is_log { Axis::log(from_hz, to_hz, bottom, top) } else { Axis::linear(0.0, to_hz, bottom, top) };
    let rows = SPECTROGRAM as u32;
    let pixels = RgbImage::from_fn(spectrogram.columns.len() as u32, rows, |column, row| {
        let hz = axis.value(1.0 - (f64::from(row) + 0.5) / f64::from(rows));
        let share =
            (spectrogram.at(column as usize, hz) - spectrogram.low_db) / (spectrogram.high_db - spectrogram.low_db);
        image::Rgb(colours::power(share))
    });
    // At both ends there is no whole window.
    let (left, right) = (time.page(time.from + spectrogram.edge_secs), time.page(time.to - spectrogram.edge_secs));
    page.images.push(Image { left, top, width: right - left, height: SPECTROGRAM, pixels, is_data: false });
    page.frame((LEFT, top), (RIGHT, bottom), HAIR, BLACK);
    for (hz, text) in axis.ticks(5) {
        let y = axis.page(hz);
        page.line(vec![(LEFT - 10.0, y), (LEFT, y)], HAIR, BLACK);
        // The lowest and the highest stay within the row.
        let baseline = (y + 0.36 * LETTERS).clamp(top + 0.7 * LETTERS, bottom);
        page.text(text, (LEFT - 22.0, baseline), LETTERS, Anchor::End, BLACK);
    }
    page.turned("frequency (Hz)", (LEFT - 118.0, 0.5 * (top + bottom)), LETTERS, BLACK);
    let units: Vec<&str> = gathered.shown.iter().map(|channel| channel.unit.as_str()).collect();
    let unit = units.first().filter(|first| !first.is_empty() && units.iter().all(|unit| unit == *first));
    let squared = |unit: &&str| match unit.chars().all(char::is_alphabetic) {
        true => format!("dB re 1 {unit}²/Hz"),
        false => format!("dB re 1 ({unit})²/Hz"),
    };
    let words = unit.map_or("dB".to_owned(), squared);
    let scale = Axis::linear(spectrogram.low_db, spectrogram.high_db, bottom, top);
    colour_bar(page, &scale, &words, colours::power);
    let of = if gathered.shown.len() == 1 { String::new() } else { ", mean of the channels shown".to_owned() };
    let window_secs = label((spectrogram.window_secs * 1e3).round() / 1e3);
    (bottom, format!("power spectral density{of} (Hann windows of {window_secs} s)"))
}

fn colour_bar(page: &mut Page, scale: &Axis, words: &str, colour: impl Fn(f64) -> colours::Rgb) {
    let (left, bottom, top) = (RIGHT + BESIDE, scale.page_from, scale.page_to);
    let pixels = RgbImage::from_fn(1, 256, |_, row| image::Rgb(colour(1.0 - f64::from(row) / 255.0)));
    page.images.push(Image { left, top, width: COLOUR_BAR, height: bottom - top, pixels, is_data: false });
    page.frame((left, top), (left + COLOUR_BAR, bottom), HAIR, BLACK);
    for (value, text) in scale.ticks(4) {
        let y = scale.page(value);
        page.line(vec![(left + COLOUR_BAR, y), (left + COLOUR_BAR + 8.0, y)], HAIR, BLACK);
        let baseline = (y + 0.36 * SMALL).clamp(top + 0.7 * SMALL, bottom);
        page.text(text, (left + COLOUR_BAR + 16.0, baseline), SMALL, Anchor::Start, BLACK);
    }
    if !words.is_empty() {
        page.turned(words, (left + COLOUR_BAR + 132.0, 0.5 * (top + bottom)), SMALL, BLACK);
    }
}

/// A row of lanes; gives its bottom.
pub fn lanes(page: &mut Page, lanes: &[Lane], time: &Axis, top: f32) -> f32 {
    let mut bottom = top;
    for (n, lane) in lanes.iter().enumerate() {
        let top = top + n as f32 * (LANE + LANE_GAP);
        bottom = top + LANE;
        let colour = LANES[n % LANES.len()];
        page.line(vec![(LEFT, bottom), (RIGHT, bottom)], HAIR, PALE);
        page.text(shortened(&lane.name, LETTERS), (LEFT - 22.0, top + 0.62 * LANE), LETTERS, Anchor::End, BLACK);
        match &lane.scale {
            Scale::Range(low, high) => {
                let axis = Axis::linear(f64::from(*low), f64::from(*high), bottom, top);
                curve(page, lane, time, &axis, colour);
                for (value, end) in [(high, top + 0.7 * SMALL), (low, bottom)] {
                    page.text(label(f64::from(*value)), (RIGHT + BESIDE, end), SMALL, Anchor::Start, GREY);
                }
            }
            Scale::Named(names) => {
                let axis = Axis::linear(-0.5, names.len() as f64 - 0.5, bottom, top);
                steps(page, lane, time, &axis, colour);
                for (place, name) in names.iter().enumerate() {
                    let size = SMALL.min(LANE / names.len() as f32);
                    let at = (RIGHT + BESIDE, axis.page(place as f64) + 0.36 * size);
                    page.text(name, at, size, Anchor::Start, GREY);
                }
            }
        }
    }
    bottom
}

fn curve(page: &mut Page, lane: &Lane, time: &Axis, axis: &Axis, colour: colours::Rgb) {
    let within = |value: f32| f64::from(value).clamp(axis.from, axis.to);
    let point = |(secs, value): &(f64, f32)| (time.page(*secs).clamp(LEFT, RIGHT), axis.page(within(*value)));
    let points: Vec<_> = lane.values.iter().filter(|(_, value)| value.is_finite()).map(point).collect();
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
    let mut area = vec![(first.0, axis.page_from)];
    area.extend(&points);
    area.push((last.0, axis.page_from));
    page.area(area, colours::faint(colour, 0.22));
    page.line(points, TRACE_WIDTH, colour);
}

/// A bar for each stretch at its place.
fn steps(page: &mut Page, lane: &Lane, time: &Axis, axis: &Axis, colour: colours::Rgb) {
    let thick = 0.7 * (axis.page_from - axis.page_to) / (axis.to - axis.from) as f32;
    for stretch in lane.values.chunk_by(|a, b| a.1 == b.1) {
        let (from, place) = stretch[0];
        let next = lane.values.partition_point(|(secs, _)| *secs <= stretch[stretch.len() - 1].0);
        let to = lane.values.get(next).map_or(time.to, |(secs, _)| *secs);
        let (left, right) = (time.page(from).clamp(LEFT, RIGHT), time.page(to).clamp(LEFT, RIGHT));
        let y = axis.page(f64::from(place));
        let (top, bottom) = (y - 0.5 * thick, y + 0.5 * thick);
        page.area(vec![(left, top), (right, top), (right, bottom), (left, bottom)], colour);
    }
}

/// From the time of each moment on the axis to its column of pictures.
pub fn leaders(page: &mut Page, gathered: &Gathered, time: &Axis, (axis, top): (f32, f32), cell: f32) {
    for (n, moment) in gathered.moments.iter().enumerate() {
        let (x, below) = (time.page(moment.at_secs), centre(n, cell));
        page.area(vec![(x, axis + 2.0), (x - 9.0, axis - 13.0), (x + 9.0, axis - 13.0)], BLACK);
        page.line(vec![(below, top - 14.0), (below, top)], HAIR, GREY);
    }
}

/// Of a column of pictures: evenly, for the times of hops are not quite even.
fn centre(n: usize, cell: f32) -> f32 {
    LEFT + cell * (n as f32 + 0.5)
}

/// Left, width and height.
fn placed(n: usize, (width, height): (u32, u32), cell: f32) -> (f32, f32, f32) {
    let wide = cell - BETWEEN;
    (centre(n, cell) - 0.5 * wide, wide, wide * height as f32 / width.max(1) as f32)
}

pub fn latents(page: &mut Page, gathered: &Gathered, cell: f32, top: f32) -> (f32, String) {
    let mut bottom = top;
    let mut shape = String::new();
    for (n, moment) in gathered.moments.iter().enumerate() {
        let latent = &moment.latent;
        shape = latent.shape.to_string().replace('x', "×");
        let size = (latent.shape.width as u32, latent.shape.height as u32);
        let pixels = RgbImage::from_fn(size.0, size.1, |x, y| {
            let value = f64::from(latent.values[y as usize * latent.shape.width + x as usize]);
            image::Rgb(colours::signed(value / LATENT_REACH))
        });
        let (left, width, height) = placed(n, size, cell);
        page.images.push(Image { left, top, width, height, pixels, is_data: true });
        page.frame((left, top), (left + width, top + height), HAIR, PALE);
        bottom = top + height;
    }
    page.text("latent", (LEFT - 22.0, 0.5 * (top + bottom) + 0.36 * LETTERS), LETTERS, Anchor::End, BLACK);
    let scale = Axis::linear(-LATENT_REACH, LATENT_REACH, bottom, top);
    colour_bar(page, &scale, "", |share| colours::signed(2.0 * share - 1.0));
    (bottom, format!("first channel of the latent ({shape}) at the marked times"))
}

pub fn pictures(page: &mut Page, gathered: &Gathered, cell: f32, top: f32) -> (f32, String) {
    let mut bottom = top;
    for (n, moment) in gathered.moments.iter().enumerate() {
        let picture = &moment.picture;
        let rgb: Vec<u8> = picture.rgba.as_chunks::<4>().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect();
        let Some(pixels) = RgbImage::from_raw(picture.width as u32, picture.height as u32, rgb) else { continue };
        let (left, width, height) = placed(n, pixels.dimensions(), cell);
        let (wide, high) = (PICTURE_PX, (PICTURE_PX as f32 * height / width).round() as u32);
        let pixels = image::imageops::resize(&pixels, wide, high.max(1), image::imageops::FilterType::CatmullRom);
        page.images.push(Image { left, top, width, height, pixels, is_data: false });
        bottom = top + height;
    }
    page.text("picture", (LEFT - 22.0, 0.5 * (top + bottom) + 0.36 * LETTERS), LETTERS, Anchor::End, BLACK);
    (bottom, "the pictures made of these latents".to_owned())
}
