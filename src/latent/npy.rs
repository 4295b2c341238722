//! Latents as numpy files.
//!
//! Format: NEP 1 (numpy.lib.format), versions 1 to 3. Written as little-endian float32, C order, shape (4, h, w); read as
//! float32 or float64 of either byte order, shape (c, h, w) or (1, c, h, w).

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::Shape;

const MAGIC: &[u8] = b"\x93NUMPY";
/// The header is padded so that the data starts at a multiple of this.
const ALIGNMENT: usize = 64;

/// Why a latent cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum NpyError {
    #[error("cannot read the latent {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write the latent {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} is not a latent: {why}")]
    NotALatent { path: PathBuf, why: String },
    #[error("{path} holds no table of tokens: {why}")]
    NotATable { path: PathBuf, why: String },
}

/// Writes `values` as (c, h, w).
pub fn write(path: &Path, shape: Shape, values: &[f32]) -> Result<(), NpyError> {
    let Shape { channels, height, width } = shape;
    write_array(path, &[channels, height, width], values)
}

/// Writes `values` as an array of these sizes, in C order.
pub fn write_array(path: &Path, sizes: &[usize], values: &[f32]) -> Result<(), NpyError> {
    let wrong = |source| NpyError::Write { path: path.into(), source };
    if values.len() != sizes.iter().product::<usize>() {
        let why = format!("{} values do not fill {sizes:?}", values.len());
        return Err(wrong(io::Error::new(io::ErrorKind::InvalidInput, why)));
    }
    let shape: Vec<String> = sizes.iter().map(usize::to_string).collect();
    let shape = format!("({}{})", shape.join(", "), if sizes.len() == 1 { "," } else { "" });
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let unpadded = MAGIC.len() + 4 + header.len() + 1;
    header.extend(std::iter::repeat_n(' ', unpadded.next_multiple_of(ALIGNMENT) - unpadded));
    header.push('\n');

    let mut bytes = Vec::with_capacity(unpadded + ALIGNMENT + 4 * values.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[1, 0]);
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    values.iter().for_each(|v| bytes.extend_from_slice(&v.to_le_bytes()));
    fs::File::create(path).and_then(|mut file| file.write_all(&bytes)).map_err(wrong)
}

/// Reads any number of latents of one shape, `(n, 4, h, w)`: their shape, and all values one after the other.
pub fn read_many(path: &Path) -> Result<(Shape, Vec<f32>), NpyError> {
    let bytes = fs::read(path).map_err(|source| NpyError::Read { path: path.into(), source })?;
    let each = |sizes: &[usize]| match *sizes {
        [_, c, h, w] => shape_from(&[c, h, w]),
        _ => Err(format!("its shape is {sizes:?}, and noise for several steps is (n, 4, h, w)")),
    };
    numbers(&bytes, each).map_err(|why| NpyError::NotALatent { path: path.into(), why })
}

/// Reads a latent and its shape.
pub fn read(path: &Path) -> Result<(Shape, Vec<f32>), NpyError> {
    let bytes = fs::read(path).map_err(|source| NpyError::Read { path: path.into(), source })?;
    parse(&bytes).map_err(|why| NpyError::NotALatent { path: path.into(), why })
}

/// Reads a table, (rows, columns) or (1, rows, columns), as `encoder embed` writes it: its sides, and its values row by
/// row.
pub fn read_table(path: &Path) -> Result<(usize, usize, Vec<f32>), NpyError> {
    let bytes = fs::read(path).map_err(|source| NpyError::Read { path: path.into(), source })?;
    let sides = |sizes: &[usize]| match *sizes {
        [height, width] | [1, height, width] if height * width > 0 => Ok(Shape { channels: 1, height, width }),
        _ => Err(format!("its shape is {sizes:?}, and (tokens, numbers) is expected")),
    };
    let (shape, values) = numbers(&bytes, sides).map_err(|why| NpyError::NotATable { path: path.into(), why })?;
    Ok((shape.height, shape.width, values))
}

fn parse(bytes: &[u8]) -> Result<(Shape, Vec<f32>), String> {
    numbers(bytes, shape_from)
}

/// The shape that is seen in an array's sizes, and its values.
fn numbers(bytes: &[u8], seen: impl Fn(&[usize]) -> Result<Shape, String>) -> Result<(Shape, Vec<f32>), String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("it is no .npy file; write one with numpy.save")?;
    let cut = || "it is cut off in its header".to_string();
    let (length, start): (usize, usize) = match *rest {
        [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([a, b])), 4),
        [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([a, b, c, d]) as usize, 6),
        [version, _, _, _, ..] if version > 3 => return Err(format!("its .npy version {version} is unknown")),
        _ => return Err(cut()),
    };
    let header = rest.get(start..start.saturating_add(length)).ok_or_else(cut)?;
    let header = std::str::from_utf8(header).map_err(|_| "its header is not text")?;
    let data = &rest[start + length..];

    let (big_endian, size) = match field(header, "descr")?.trim_matches(['\'', '"']) {
        "<f4" | "=f4" => (false, 4),
        ">f4" => (true, 4),
        "<f8" | "=f8" => (false, 8),
        ">f8" => (true, 8),
        other => return Err(format!("it holds `{other}`, and a latent is float32 or float64")),
    };
    if field(header, "fortran_order")? != "False" {
        return Err("it is in Fortran order; save numpy.ascontiguousarray of it".into());
    }
    let sizes = sizes_from(field(header, "shape")?)?;
    let shape = seen(&sizes)?;
    let expected = sizes.iter().try_fold(size, |all: usize, n| all.checked_mul(*n));
    if expected != Some(data.len()) {
        let expected = expected.map_or_else(|| "more".to_owned(), |n| n.to_string());
        return Err(format!("{sizes:?} needs {expected} bytes and {} are there", data.len()));
    }
    let values: Vec<f32> = data.chunks_exact(size).map(|value| number(value, big_endian)).collect();
    match values.iter().position(|v| !v.is_finite()) {
        Some(at) => Err(format!("value {at} is {}, and every value of a latent is finite", values[at])),
        None => Ok((shape, values)),
    }
}

/// Four or eight bytes as a number.
fn number(bytes: &[u8], big_endian: bool) -> f32 {
    let mut little = [0; 8];
    let size = bytes.len().min(8);
    for (i, byte) in bytes.iter().take(size).enumerate() {
        little[if big_endian { size - 1 - i } else { i }] = *byte;
    }
    match size {
        8 => f64::from_le_bytes(little) as f32,
        _ => f32::from_le_bytes([little[0], little[1], little[2], little[3]]),
    }
}

/// The text of a field of the header, a Python dictionary.
fn field<'a>(header: &'a str, name: &str) -> Result<&'a str, String> {
    let missing = || format!("its header has no `{name}`");
    let at = header.find(&format!("'{name}'")).ok_or_else(missing)? + name.len() + 2;
    let value = header[at..].trim_start().strip_prefix(':').ok_or_else(missing)?.trim_start();
    let end = match value.strip_prefix('(') {
        Some(_) => value.find(')').map(|end| end + 1),
        None => value.find([',', '}']),
    };
    Ok(value[..end.ok_or_else(missing)?].trim())
}

fn sizes_from(text: &str) -> Result<Vec<usize>, String> {
    let inside = text.trim_matches(['(', ')']).trim().trim_end_matches(',');
    let size = |size: &str| size.trim().parse().map_err(|_| format!("its shape is {text}, and that is none"));
    inside.split(',').map(size).collect()
}

fn shape_from(sizes: &[usize]) -> Result<Shape, String> {
    let wrong = || format!("its shape is {sizes:?}, and a latent is (4, h, w) or (1, 4, h, w)");
    let sizes = match *sizes {
        [1, c, h, w] | [c, h, w] => [c, h, w],
        _ => return Err(wrong()),
    };
    sizes.map(|size| size.to_string()).join("x").parse().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { channels: 4, height: 2, width: 3 };

    fn file(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
    }

    fn values() -> Vec<f32> {
        (0..24).map(|i| i as f32 * 0.25 - 3.0).collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latent.npy");
        write(&path, SHAPE, &values()).unwrap();
        assert_eq!(read(&path).unwrap(), (SHAPE, values()));
        let bytes = fs::read(&path).unwrap();
        assert_eq!((bytes.len() - 4 * 24) % ALIGNMENT, 0, "numpy aligns the data");
    }

    #[test]
    fn both_sizes_and_byte_orders_are_read_with_or_without_a_batch() {
        let bytes = |of: fn(f32) -> Vec<u8>| values().into_iter().flat_map(of).collect::<Vec<u8>>();
        for (descr, data) in [
            ("<f4", bytes(|v| v.to_le_bytes().to_vec())),
            (">f4", bytes(|v| v.to_be_bytes().to_vec())),
            ("<f8", bytes(|v| f64::from(v).to_le_bytes().to_vec())),
            (">f8", bytes(|v| f64::from(v).to_be_bytes().to_vec())),
        ] {
            for shape in ["(4, 2, 3)", "(1, 4, 2, 3)", "(4,2,3,)"] {
                assert_eq!(parse(&file(descr, "False", shape, &data)).unwrap(), (SHAPE, values()), "{descr} {shape}");
            }
        }
    }

    #[test]
    fn each_wrong_file_is_refused_with_what_is_wrong() {
        let data = [0u8; 96];
        for (bytes, word) in [
            (b"PNG".to_vec(), "no .npy"),
            (Vec::new(), "no .npy"),
            (MAGIC.to_vec(), "cut off"),
            (file("<f4", "False", "(4, 2, 3)", &data)[..30].to_vec(), "cut off"),
            (file("<f4", "False", "(4, 2, 3)", &data[..50]), "needs 96 bytes and 50"),
            (file("<i4", "False", "(4, 2, 3)", &data), "`<i4`"),
            (file("<f4", "True", "(4, 2, 3)", &data), "Fortran"),
            (file("<f4", "False", "(24,)", &data), "(4, h, w)"),
            (file("<f4", "False", "(2, 4, 2, 3)", &data), "(4, h, w)"),
            (file("<f4", "False", "(4, 0, 3)", &data), "(4, h, w)"),
            (file("<f4", "False", "(99999999999, 99999999999, 9)", &data), "(4, h, w)"),
            (file("<f4", "False", "(4, 2, 3)", &[255; 96]), "finite"),
        ] {
            let why = parse(&bytes).unwrap_err();
            assert!(why.contains(word), "{why} / {word}");
        }
    }

    #[test]
    fn truncated_and_random_bytes_never_panic() {
        let whole = file("<f4", "False", "(4, 2, 3)", &[0; 96]);
        for cut in 0..whole.len() {
            assert!(parse(&whole[..cut]).is_err());
        }
        for seed in 0..300 {
            let mut bytes: Vec<u8> = (0..200).map(|i| crate::latent::noise::bits(seed, i) as u8).collect();
            bytes[..8].copy_from_slice(b"\x93NUMPY\x01\x00");
            assert!(parse(&bytes).is_err());
        }
    }
}
