//! NumPy's `.npy`: one array of numbers (format: numpy/lib/format.py, versions 1 to 3).

use std::path::Path;

use super::beside::Beside;
use super::recording::{Column, Loaded};
use crate::signal::url::Address;
use crate::signal::{Channel, SourceError};

pub const MAGIC: &[u8] = b"\x93NUMPY";
/// More channels than any probe has: the axes were meant the other way round, or the header is nonsense.
const MAX_CHANNELS: usize = 4096;

/// Length, and distance between neighbours in numbers.
type Axis = (usize, usize);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Bool,
    Signed,
    Unsigned,
    Float,
}

struct Header {
    number: Number,
    bytes: usize,
    big_endian: bool,
    fortran_order: bool,
    shape: Vec<usize>,
    /// Where the numbers begin.
    data_at: usize,
}

pub fn load(path: &Path, bytes: &[u8], address: &Address) -> Result<Loaded, SourceError> {
    let header = header(bytes).map_err(|what| SourceError::malformed(path, what))?;
    let shape: Vec<usize> = header.shape.iter().copied().filter(|length| *length != 1).collect();
    let count = header.shape.iter().try_fold(1usize, |product, length| product.checked_mul(*length));
    let data = &bytes[header.data_at..];
    let needed = count.and_then(|count| count.checked_mul(header.bytes));
    if needed.is_none_or(|needed| needed > data.len()) {
        return Err(SourceError::malformed(
            path,
            format!(
                "is cut off: its header promises {} bytes of numbers and there are {}; copy it again",
                needed.map_or("endless".to_owned(), |needed| needed.to_string()),
                data.len()
            ),
        ));
    }
    // Of each axis longer than one, in the order of the shape.
    let axes: Vec<Axis> = match shape[..] {
        [] if count == Some(1) => vec![(1, 1)],
        [length] => vec![(length, 1)],
        [first, second] if header.fortran_order => vec![(first, 1), (second, first)],
        [first, second] => vec![(first, second), (second, 1)],
        _ => {
            let what = format!("has the shape {:?}; one or two axes (time, channels) are read", header.shape);
            return Err(SourceError::malformed(path, what));
        }
    };
    if count == Some(0) {
        return Err(SourceError::malformed(path, "holds an array without numbers; record it again"));
    }
    let mut odd = Vec::new();
    let beside = Beside::read(path).unwrap_or_else(|why| {
        odd.push(why);
        None
    });
    let Some(rate_hz) = address.rate_hz()?.or(beside.as_ref().map(|beside| beside.rate_hz)) else {
        return Err(SourceError::NeedsRate { path: path.display().to_string(), kind: "an .npy file" });
    };
    let (time, channel) = match &beside {
        // Written frame after frame, however few frames there are.
        Some(beside) if axes.len() == 2 && axes[1].0 == beside.channels.len() && address.text_of("time").is_none() => {
            (axes[0], axes[1])
        }
        _ => oriented(&axes, &header, address)?,
    };
    if channel.0 > MAX_CHANNELS {
        let what = format!("would have {} channels; say which axis is time with time=0 or time=1", channel.0);
        return Err(SourceError::malformed(path, what));
    }
    let beside = beside.filter(|beside| beside.channels.len() == channel.0);
    let annotations = beside.as_ref().map_or_else(Vec::new, |beside| beside.annotations.clone());
    let unnamed = |number| Channel { name: format!("ch{number}"), unit: String::new(), rate_hz };
    let mut channels = beside.map_or_else(|| (0..channel.0).map(unnamed).collect::<Vec<_>>(), |beside| beside.channels);
    channels.iter_mut().for_each(|channel| channel.rate_hz = rate_hz);
    let names: Vec<String> = channels.iter().map(|channel| channel.name.clone()).collect();
    let chosen = address.channels(&names)?;
    let columns = chosen.iter().map(|index| column(&header, data, time, index * channel.1)).collect();
    Ok(Loaded {
        channels: chosen.iter().map(|index| channels[*index].clone()).collect(),
        columns,
        recorded: Vec::new(),
        rate_hz,
        annotations,
        odd,
    })
}

/// Which axis is time and which the channels: the longer is time unless the key `time` says otherwise.
fn oriented(axes: &[Axis], header: &Header, address: &Address) -> Result<(Axis, Axis), SourceError> {
    let asked = address.whole("time", 0..=1, "the axis of time,")?;
    let single = (1, 0);
    Ok(match (axes, asked) {
        ([first, second], None) if second.0 > first.0 => (*second, *first),
        ([first, second], None | Some(0)) => (*first, *second),
        ([first, second], Some(_)) => (*second, *first),
        // An axis of one was dropped: time may still be asked to be that one.
        ([only], Some(axis)) if header.shape.len() == 2 && header.shape.get(axis as usize) == Some(&1) => {
            (single, *only)
        }
        ([only, ..], _) => (*only, single),
        ([], _) => (single, single),
    })
}

fn column(header: &Header, data: &[u8], (length, stride): Axis, start: usize) -> Column {
    let numbers = (0..length).map(|index| {
        let at = (start + index * stride) * header.bytes;
        let mut raw = [0u8; 8];
        let number = &data[at..at + header.bytes];
        // Little-endian in the low bytes, whatever the file has.
        raw.iter_mut().zip(number).for_each(|(to, from)| *to = *from);
        if header.big_endian {
            raw[..header.bytes].reverse();
        }
        u64::from_le_bytes(raw)
    });
    match (header.number, header.bytes) {
        (Number::Signed, 2) => Column::I16 { values: numbers.map(|raw| raw as i16).collect(), gain: 1.0, offset: 0.0 },
        (Number::Signed, 4) => Column::I32 { values: numbers.map(|raw| raw as i32).collect(), gain: 1.0, offset: 0.0 },
        (Number::Signed, 1) => {
            Column::I16 { values: numbers.map(|raw| i16::from(raw as i8)).collect(), gain: 1.0, offset: 0.0 }
        }
        (Number::Unsigned | Number::Bool, 1) => {
            Column::I16 { values: numbers.map(|raw| raw as i16).collect(), gain: 1.0, offset: 0.0 }
        }
        (Number::Unsigned, 2) => {
            Column::I32 { values: numbers.map(|raw| raw as i32).collect(), gain: 1.0, offset: 0.0 }
        }
        (Number::Float, 2) => Column::F32(numbers.map(|raw| f32_from_half(raw as u16)).collect()),
        (Number::Float, 4) => Column::F32(numbers.map(|raw| f32::from_bits(raw as u32)).collect()),
        (Number::Float, _) => Column::F64(numbers.map(f64::from_bits).collect()),
        (Number::Signed, _) => Column::F64(numbers.map(|raw| raw as i64 as f64).collect()),
        (Number::Unsigned | Number::Bool, _) => Column::F64(numbers.map(|raw| raw as f64).collect()),
    }
}

fn f32_from_half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let fraction = f32::from(bits & 0x3ff) / 1024.0;
    match bits >> 10 & 0x1f {
        0 => sign * fraction * 2f32.powi(-14),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        exponent => sign * (1.0 + fraction) * 2f32.powi(i32::from(exponent) - 15),
    }
}

/// The error is the rest of a sentence that begins with the path.
fn header(bytes: &[u8]) -> Result<Header, String> {
    if !bytes.starts_with(MAGIC) {
        return Err("is not an .npy file (it does not begin with \\x93NUMPY); save it with numpy.save".to_owned());
    }
    let cut = || "is cut off within its header; copy it again".to_owned();
    let major = *bytes.get(6).ok_or_else(cut)?;
    let (length, text_at): (usize, usize) = match major {
        1 => {
            let raw = bytes.get(8..10).ok_or_else(cut)?;
            (usize::from(u16::from_le_bytes([raw[0], raw[1]])), 10)
        }
        2 | 3 => {
            let raw = bytes.get(8..12).ok_or_else(cut)?;
            (u32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]) as usize, 12)
        }
        _ => {
            return Err(format!("is of .npy version {major}, and versions 1 to 3 are read; save it anew with numpy"));
        }
    };
    let text = text_at.checked_add(length).and_then(|end| bytes.get(text_at..end)).ok_or_else(cut)?;
    let text = String::from_utf8_lossy(text);
    let odd = |what: &str| format!("has a header without {what}; save it anew with numpy.save");
    let descr = field(&text, "descr").ok_or_else(|| odd("'descr'"))?;
    let (number, size, big_endian) = number_kind(descr)?;
    let fortran_order = match field(&text, "fortran_order").ok_or_else(|| odd("'fortran_order'"))? {
        order if order.starts_with("True") => true,
        order if order.starts_with("False") => false,
        _ => return Err(odd("a usable 'fortran_order'")),
    };
    let shape = field(&text, "shape").ok_or_else(|| odd("'shape'"))?;
    let inner = shape.strip_prefix('(').and_then(|rest| rest.split_once(')')).ok_or_else(|| odd("a usable 'shape'"))?;
    let shape = inner
        .0
        .split(',')
        .map(|length| length.trim().trim_end_matches('L'))
        .filter(|length| !length.is_empty())
        .map(|length| length.parse::<usize>().map_err(|_| odd("a usable 'shape'")))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Header { number, bytes: size, big_endian, fortran_order, shape, data_at: text_at + length })
}

/// What follows `'key':` in the text of a Python dict.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let at = [format!("'{key}'"), format!("\"{key}\"")].iter().find_map(|quoted| {
        let start = text.find(quoted.as_str())?;
        Some(start + quoted.len())
    })?;
    Some(text[at..].trim_start().strip_prefix(':')?.trim_start())
}

fn number_kind(descr: &str) -> Result<(Number, usize, bool), String> {
    let refused = |what: &str| {
        format!("holds {what}, not plain numbers; save one array of numbers, for example with .astype('float32')")
    };
    let Some(quote) = descr.chars().next().filter(|quote| matches!(quote, '\'' | '"')) else {
        return Err(refused("records with named fields"));
    };
    let code = descr[1..].split(quote).next().unwrap_or("");
    let (order, kind) = match code.chars().next() {
        Some(order @ ('<' | '>' | '|' | '=')) => (order, &code[1..]),
        _ => ('=', code),
    };
    let number = match kind {
        "b1" => Number::Bool,
        "i1" | "i2" | "i4" | "i8" => Number::Signed,
        "u1" | "u2" | "u4" | "u8" => Number::Unsigned,
        "f2" | "f4" | "f8" => Number::Float,
        _ => return Err(refused(&format!("the type '{code}'"))),
    };
    let size = usize::from(kind.as_bytes()[1] - b'0');
    let big_endian = order == '>' || (order == '=' && cfg!(target_endian = "big"));
    Ok((number, size, big_endian))
}
