//! A torch file with its tensors by name: mapped, and read where they lie.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
};

use memmap2::Mmap;
use safetensors::Dtype;

use super::{
    PickleError, archive, legacy,
    machine::{Arena, Id, Node, Reader, run},
};
use crate::half::f32_from_f16;

/// How deep dicts lie in each other, and how many values are looked at, before a file is called a trap.
const DEEPEST: usize = 32;
const MOST: usize = 1_000_000;
/// Numbers of a tensor that may be more than its storage has (strides of 0).
const SPREAD: usize = 1 << 20;

/// A tensor in a torch file.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    strides: Vec<usize>,
    /// In numbers, from the start of the storage.
    offset: usize,
    /// The storage's bytes in the file.
    storage: Range<usize>,
}

/// A torch file. Nothing in it was executed.
pub struct Torch {
    pub path: PathBuf,
    map: Mmap,
    arena: Arena,
    root: Id,
    tensors: BTreeMap<String, Stored>,
    /// Objects of unknown classes that were left alone: where they are and what they say they are.
    pub skipped: Vec<String>,
}

impl Torch {
    /// Reads the structure of a file; its numbers stay where they are.
    pub fn open(path: &Path) -> Result<Self, PickleError> {
        let refuse = |what: String| PickleError { path: path.to_owned(), what };
        let unreadable = |e: std::io::Error| refuse(format!("cannot be read: {e}"));
        let file = std::fs::File::open(path).map_err(unreadable)?;
        // SAFETY: the map is only read. Another program that shortens the file meanwhile would end this one (SIGBUS), as
        // with every program that maps its models.
        let map = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
        let mut arena = Arena::default();
        let (root, storages) = structure(&map, &mut arena).map_err(refuse)?;
        let mut walk = Walk { arena: &arena, storages, tensors: BTreeMap::new(), skipped: Vec::new(), left: MOST };
        walk.visit(root, "", 0).map_err(refuse)?;
        let (tensors, skipped) = (walk.tensors, walk.skipped);
        Ok(Self { path: path.to_owned(), map, arena, root, tensors, skipped })
    }

    /// Names of all tensors: the keys on the way to them, joined with dots.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub fn get(&self, name: &str) -> Option<&Stored> {
        self.tensors.get(name)
    }

    /// The values besides the tensors, and where they begin.
    pub fn values(&self) -> (&Arena, Id) {
        (&self.arena, self.root)
    }

    /// A whole number among the settings that a trainer keeps beside the tensors, in an object of any class or in a dict:
    /// what was set in it is read, the class is not asked for.
    pub fn setting(&self, object: &str, name: &str) -> Option<i64> {
        let of = self.arena.entry(self.root, object)?;
        let settings = match self.arena.get(of) {
            Node::Object { state: Some(state), .. } => *state,
            _ => of,
        };
        self.arena.int(self.arena.entry(settings, name)?)
    }

    /// The numbers of a tensor as they are in memory: rows one after the other, little-endian. Empty for no tensor.
    pub fn bytes(&self, name: &str) -> Cow<'_, [u8]> {
        let Some(stored) = self.tensors.get(name) else { return Cow::Borrowed(&[]) };
        let size = size_of(stored.dtype);
        let storage = self.map.get(stored.storage.clone()).unwrap_or_default();
        let count: usize = stored.shape.iter().product();
        if stored.is_contiguous() {
            return Cow::Borrowed(
                storage.get(stored.offset * size..(stored.offset + count) * size).unwrap_or_default(),
            );
        }
        let mut out = Vec::with_capacity(count * size);
        let mut place = vec![0; stored.shape.len()];
        for _ in 0..count {
            let at: usize = stored.offset + place.iter().zip(&stored.strides).map(|(i, s)| i * s).sum::<usize>();
            out.extend_from_slice(storage.get(at * size..(at + 1) * size).unwrap_or_default());
            for (i, len) in place.iter_mut().zip(&stored.shape).rev() {
                *i += 1;
                if *i < *len {
                    break;
                }
                *i = 0;
            }
        }
        Cow::Owned(out)
    }

    /// The numbers of a tensor as float32; the error is the end of a sentence that begins with the file's name.
    pub fn floats(&self, name: &str) -> Result<Vec<f32>, String> {
        let Some(stored) = self.tensors.get(name) else { return Err(format!("lacks {name}")) };
        let bytes = self.bytes(name);
        let words = || bytes.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b));
        Ok(match stored.dtype {
            Dtype::F32 => bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F64 => bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
            Dtype::BF16 => words().map(|w| f32::from_bits(u32::from(w) << 16)).collect(),
            Dtype::F16 => words().map(f32_from_f16).collect(),
            Dtype::I64 => bytes.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b) as f32).collect(),
            other => return Err(format!("holds {name} as {other:?}; float16, bfloat16, float32 and float64 are read")),
        })
    }
}

impl Stored {
    fn is_contiguous(&self) -> bool {
        let mut next = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(len, stride)| {
            let fits = *len == 1 || *stride == next;
            next *= len;
            fits
        })
    }
}

type Storages = BTreeMap<String, Range<usize>>;

fn structure(map: &[u8], arena: &mut Arena) -> Result<(Id, Storages), String> {
    if map.starts_with(b"PK") {
        let entries = archive::entries(map)?;
        let Some(pickle) = entries.get("data.pkl") else {
            return Err("is a zip archive, but none of torch.save (it has no data.pkl)".to_owned());
        };
        if entries.get("byteorder").is_some_and(|r| map[r.clone()].trim_ascii() == b"big") {
            return Err("was saved on a big-endian machine; save it again on another".to_owned());
        }
        if entries.keys().any(|name| name.starts_with("code/")) {
            return Err("is a TorchScript program, not a state dict; it is not read".to_owned());
        }
        let root = run(&mut Reader::new(&map[pickle.clone()]), arena)?;
        let data = |(name, range): (String, Range<usize>)| Some((name.strip_prefix("data/")?.to_owned(), range));
        return Ok((root, entries.into_iter().filter_map(data).collect()));
    }
    if map.first() != Some(&0x80) {
        return Err("is no file of torch.save".to_owned());
    }
    legacy::read(map, arena, |arena| {
        let storages =
            arena.nodes().iter().filter_map(|node| if let Node::Outside(id) = node { Some(*id) } else { None });
        storages.filter_map(|id| storage(arena, id)).map(|s| (s.key.to_owned(), s.dtype.map_or(1, size_of))).collect()
    })
}

struct Storage<'a> {
    key: &'a str,
    /// None: bytes, whose kind the tensor tells.
    dtype: Option<Dtype>,
}

/// `('storage', class, key, location, count, …)`.
fn storage(arena: &Arena, id: Id) -> Option<Storage<'_>> {
    let [what, class, key, ..] = arena.tuple(id)? else { return None };
    let (_, class) = arena.global(*class).filter(|_| arena.text(*what) == Some("storage"))?;
    let dtype = match class {
        "FloatStorage" => Dtype::F32,
        "HalfStorage" => Dtype::F16,
        "BFloat16Storage" => Dtype::BF16,
        "DoubleStorage" => Dtype::F64,
        "LongStorage" => Dtype::I64,
        "IntStorage" => Dtype::I32,
        "ShortStorage" => Dtype::I16,
        "CharStorage" => Dtype::I8,
        "ByteStorage" => Dtype::U8,
        "BoolStorage" => Dtype::BOOL,
        "UntypedStorage" | "_UntypedStorage" => return Some(Storage { key: arena.text(*key)?, dtype: None }),
        _ => return None,
    };
    Some(Storage { key: arena.text(*key)?, dtype: Some(dtype) })
}

fn size_of(dtype: Dtype) -> usize {
    dtype.bitsize().div_ceil(8)
}

fn dtype_named(name: &str) -> Option<Dtype> {
    let known = [
        ("float32", Dtype::F32),
        ("float16", Dtype::F16),
        ("bfloat16", Dtype::BF16),
        ("float64", Dtype::F64),
        ("int64", Dtype::I64),
        ("int32", Dtype::I32),
        ("int16", Dtype::I16),
        ("int8", Dtype::I8),
        ("uint8", Dtype::U8),
        ("bool", Dtype::BOOL),
    ];
    known.iter().find(|(n, _)| *n == name).map(|(_, d)| *d)
}

struct Walk<'a> {
    arena: &'a Arena,
    storages: Storages,
    tensors: BTreeMap<String, Stored>,
    skipped: Vec<String>,
    left: usize,
}

impl Walk<'_> {
    fn visit(&mut self, id: Id, name: &str, depth: usize) -> Result<(), String> {
        self.left = self.left.checked_sub(1).ok_or("refers to its own values too often to be a model")?;
        let arena = self.arena;
        let joined = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
        match arena.get(id) {
            // Deeper than any state dict: the settings of some program, or a dict within itself.
            _ if depth > DEEPEST => {}
            Node::Dict(items) => {
                for (key, value) in items {
                    match arena.get(*key) {
                        Node::Text(key) => self.visit(*value, &joined(key), depth + 1)?,
                        Node::Int(key) => self.visit(*value, &joined(&key.to_string()), depth + 1)?,
                        _ => {}
                    }
                }
            }
            Node::Tuple(items) | Node::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.visit(*item, &joined(&i.to_string()), depth + 1)?;
                }
            }
            Node::Object { callable, arguments, .. } => match self.tensor(*callable, *arguments, name, 0)? {
                Some(stored) => drop(self.tensors.insert(name.to_owned(), stored)),
                None => {
                    let class = arena.global(*callable).map_or_else(String::new, |(m, n)| format!("{m}.{n}"));
                    self.skipped.push(if name.is_empty() { class } else { format!("{name} ({class})") });
                }
            },
            _ => {}
        }
        Ok(())
    }

    /// The tensor that a call makes; none if it makes something else.
    fn tensor(&self, callable: Id, arguments: Id, name: &str, depth: usize) -> Result<Option<Stored>, String> {
        let arena = self.arena;
        let (Some((module, function)), Some(args)) = (arena.global(callable), arena.tuple(arguments)) else {
            return Ok(None);
        };
        let inner = |id: Id| match arena.get(id) {
            Node::Object { callable, arguments, .. } if depth < DEEPEST => {
                self.tensor(*callable, *arguments, name, depth + 1)
            }
            _ => Ok(None),
        };
        match (module, function, args) {
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state", [data, ..]) => inner(*data),
            ("torch._tensor", "_rebuild_from_type_v2", [function, _, args, ..]) if depth < DEEPEST => {
                self.tensor(*function, *args, name, depth + 1)
            }
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2", [storage, offset, size, stride, ..]) => {
                self.stored(*storage, None, [*offset, *size, *stride], name).map(Some)
            }
            ("torch._utils", "_rebuild_tensor_v3", [storage, offset, size, stride, _, _, dtype, ..]) => {
                let dtype = arena.global(*dtype).and_then(|(_, n)| dtype_named(n));
                self.stored(*storage, dtype, [*offset, *size, *stride], name).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn stored(&self, at: Id, dtype: Option<Dtype>, layout: [Id; 3], name: &str) -> Result<Stored, String> {
        let broken = |what: &str| format!("holds the tensor {name} {what}; copy or download the file again");
        let Node::Outside(id) = self.arena.get(at) else { return Err(broken("without numbers")) };
        let found = storage(self.arena, *id).ok_or_else(|| broken("of a kind that is not known"))?;
        let dtype = dtype.or(found.dtype).ok_or_else(|| broken("of a kind that is not known"))?;
        let storage = self.storages.get(found.key).ok_or_else(|| broken("without its numbers"))?.clone();
        let [offset, size, stride] = layout;
        let lengths = |id: Id| -> Option<Vec<usize>> {
            self.arena.tuple(id)?.iter().map(|i| usize::try_from(self.arena.int(*i)?).ok()).collect()
        };
        let layout = || Some((usize::try_from(self.arena.int(offset)?).ok()?, lengths(size)?, lengths(stride)?));
        let (offset, shape, strides) = layout().ok_or_else(|| broken("without a shape"))?;
        let numbers = storage.len() / size_of(dtype).max(1);
        let count = shape.iter().try_fold(1_usize, |n, len| n.checked_mul(*len));
        let last = shape
            .iter()
            .zip(&strides)
            .try_fold(offset, |at, (len, stride)| at.checked_add(len.saturating_sub(1).checked_mul(*stride)?));
        let fits = shape.len() == strides.len()
            && count.is_some_and(|n| n <= numbers.max(SPREAD))
            && (count == Some(0) || last.is_some_and(|last| last < numbers));
        if fits { Ok(Stored { dtype, shape, strides, offset, storage }) } else { Err(broken("beyond its numbers")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_and_cut_files_are_refused_and_nothing_panics() {
        let whole: &[u8] = include_bytes!("../../tests/fixtures/pickle/zip.ckpt");
        let legacy: &[u8] = include_bytes!("../../tests/fixtures/pickle/legacy.ckpt");
        let mut state = 1_u32;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        for file in [whole, legacy] {
            for cut in (0..file.len()).step_by(7) {
                drop(structure(&file[..cut], &mut Arena::default()));
            }
            for _ in 0..2000 {
                let mut bytes = file.to_vec();
                for _ in 0..1 + next() % 4 {
                    let at = next() as usize % bytes.len();
                    bytes[at] = next() as u8;
                }
                let mut arena = Arena::default();
                let Ok((root, storages)) = structure(&bytes, &mut arena) else { continue };
                let mut walk =
                    Walk { arena: &arena, storages, tensors: BTreeMap::new(), skipped: Vec::new(), left: 10_000 };
                drop(walk.visit(root, "", 0));
            }
        }
    }
}
