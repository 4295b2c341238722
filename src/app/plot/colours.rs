//! The colours of the figure: few, dark on white, and two maps whose lightness runs evenly, so that they can be read in
//! grey and by those who do not tell red from green.

/// Red, green, blue.
pub type Rgb = [u8; 3];

pub const BLACK: Rgb = [26, 28, 33];
pub const GREY: Rgb = [112, 116, 124];
pub const PALE: Rgb = [214, 217, 222];
pub const TRACE: Rgb = [28, 58, 94];
/// Of the lanes, one after the other.
pub const LANES: [Rgb; 4] = [[0, 110, 124], [178, 84, 22], [96, 62, 134], [70, 110, 40]];

/// Little power is light, as paper is.
const POWER: [Rgb; 7] =
    [[252, 252, 248], [222, 235, 226], [164, 209, 202], [88, 166, 182], [38, 112, 155], [27, 60, 113], [18, 18, 52]];
/// Below, around and above zero.
const SIGNED: [Rgb; 5] = [[24, 70, 130], [120, 170, 208], [248, 247, 243], [226, 150, 112], [148, 34, 40]];

/// 0..1 as power.
pub fn power(share: f64) -> Rgb {
    along(&POWER, share)
}

/// -1..1.
pub fn signed(value: f64) -> Rgb {
    along(&SIGNED, 0.5 * (value + 1.0))
}

fn along(map: &[Rgb], share: f64) -> Rgb {
    let place = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 } * (map.len() - 1) as f64;
    let left = (place as usize).min(map.len() - 2);
    let part = place - left as f64;
    std::array::from_fn(|i| {
        let (a, b) = (f64::from(map[left][i]), f64::from(map[left + 1][i]));
        (a + part * (b - a)).round() as u8
    })
}

/// Between a colour and white.
pub fn faint(colour: Rgb, share: f32) -> Rgb {
    colour.map(|value| (255.0 - share * (255.0 - f32::from(value))).round() as u8)
}
