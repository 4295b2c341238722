//! What torch.save wrote before 2020: five pickles one after the other, then the numbers of each storage.
//!
//! Magic number, protocol, system, the object itself, the storages' keys; then for each key its length (8 bytes) and its
//! numbers (torch/serialization.py, `_legacy_save`).

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use super::machine::{Arena, Id, Node, Reader, run};

/// The first pickle: 0x1950a86a20f9469cfc6c, least byte first.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Reads the object, and where each storage's numbers lie. `sizes_of` tells the bytes of one number of each storage.
pub fn read(
    file: &[u8],
    arena: &mut Arena,
    sizes_of: impl Fn(&Arena) -> HashMap<String, usize>,
) -> Result<(Id, BTreeMap<String, Range<usize>>), String> {
    let mut reader = Reader::new(file);
    let magic = run(&mut reader, arena)?;
    if *arena.get(magic) != Node::Bytes(MAGIC.to_vec()) {
        // A pickle without storages: plain values.
        return Ok((magic, BTreeMap::new()));
    }
    let protocol = run(&mut reader, arena)?;
    let system = run(&mut reader, arena)?;
    if arena.int(protocol) != Some(1001) {
        return Err("is a torch file of an unknown protocol; save it again with torch.save".to_owned());
    }
    if let Some(little) = arena.entry(system, "little_endian")
        && *arena.get(little) == Node::Bool(false)
    {
        return Err("was saved on a big-endian machine; save it again on another".to_owned());
    }
    let root = run(&mut reader, arena)?;
    let keys = run(&mut reader, arena)?;
    let sizes = sizes_of(arena);
    let mut storages = BTreeMap::new();
    let mut at = reader.at;
    let cut = || "is cut short within its numbers; copy or download it again".to_owned();
    for key in arena.tuple(keys).unwrap_or_default() {
        let Some(key) = arena.text(*key) else { continue };
        let Some(count) = file.get(at..at + 8) else { return Err(cut()) };
        let count = count.iter().rev().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        let size = *sizes.get(key).ok_or("holds a storage that no tensor uses; save it again with torch.save")?;
        let bytes = usize::try_from(count).ok().and_then(|n| n.checked_mul(size));
        let to = bytes.and_then(|b| (at + 8).checked_add(b)).filter(|to| *to <= file.len()).ok_or_else(cut)?;
        storages.insert(key.to_owned(), at + 8..to);
        at = to;
    }
    Ok((root, storages))
}
