//! The zip that torch.save writes since 2020: every entry stored as it is, so that tensors can be mapped.
//!
//! Only the directory at the end is believed (PKWARE's APPNOTE.TXT, 4.3 and zip64 in 4.5.3), and each entry is checked
//! to lie within the file.

use std::{collections::BTreeMap, ops::Range};

const END: &[u8] = b"PK\x05\x06";
const END_LEN: usize = 22;
/// The longest comment that may stand after the end.
const COMMENT: usize = 0xffff;

/// Where each entry's bytes lie, by name without the archive's folder.
pub fn entries(file: &[u8]) -> Result<BTreeMap<String, Range<usize>>, String> {
    let broken = || "is not a whole zip archive; copy or download it again".to_owned();
    let from = file.len().saturating_sub(END_LEN + COMMENT);
    let end = file[from..].windows(END.len()).rposition(|w| w == END).map(|i| from + i);
    let end = end.filter(|end| end + END_LEN <= file.len()).ok_or_else(broken)?;
    let (mut count, mut at) = (number(file, end + 10, 2), number(file, end + 16, 4));
    // In a large file these are in the record that the locator before the end points to.
    if let Some(locator) = end.checked_sub(20).filter(|at| file[*at..].starts_with(b"PK\x06\x07")) {
        let record = usize::try_from(number(file, locator + 8, 8).unwrap_or(0)).unwrap_or(usize::MAX);
        if file.get(record..).is_some_and(|r| r.starts_with(b"PK\x06\x06")) {
            (count, at) = (number(file, record.saturating_add(32), 8), number(file, record.saturating_add(48), 8));
        }
    }
    let (count, at) = (count.ok_or_else(broken)?, at.ok_or_else(broken)?);
    let mut at = usize::try_from(at).map_err(|_| broken())?;
    let mut entries = BTreeMap::new();
    for _ in 0..count {
        let (name, range, next) = entry(file, at).ok_or_else(broken)??;
        // `archive/data.pkl`: the folder is named after the file.
        let name = name.split_once('/').map_or(name.as_str(), |(_, rest)| rest).to_owned();
        entries.insert(name, range);
        at = next;
    }
    Ok(entries)
}

/// A little-endian number of `len` bytes.
fn number(file: &[u8], at: usize, len: usize) -> Option<u64> {
    Some(file.get(at..at.checked_add(len)?)?.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)))
}

type Entry = (String, Range<usize>, usize);

/// The directory's entry at a place: none if it is broken, an error if it is packed.
fn entry(file: &[u8], at: usize) -> Option<Result<Entry, String>> {
    let field = |offset: usize, len: usize| number(file, at.checked_add(offset)?, len);
    let small = |offset: usize, len: usize| usize::try_from(field(offset, len)?).ok();
    if !file.get(at..)?.starts_with(b"PK\x01\x02") {
        return None;
    }
    let (method, name_len, extra_len, comment_len) = (field(10, 2)?, small(28, 2)?, small(30, 2)?, small(32, 2)?);
    let (mut size, mut local) = (field(24, 4)?, field(42, 4)?);
    let name_at = at + 46;
    let name = String::from_utf8_lossy(file.get(name_at..name_at + name_len)?).into_owned();
    let extra = file.get(name_at + name_len..name_at + name_len + extra_len)?;
    let packed = field(20, 4)?;
    zip64(extra, &mut size, packed, &mut local);
    if method != 0 {
        return Some(Err(format!("holds {name} packed, as torch.save never does; save it again with torch.save")));
    }
    let local = usize::try_from(local).ok()?;
    if !file.get(local..)?.starts_with(b"PK\x03\x04") {
        return None;
    }
    let skip = |offset| number(file, local + offset, 2).and_then(|n| usize::try_from(n).ok());
    let from = local.checked_add(30)?.checked_add(skip(26)?)?.checked_add(skip(28)?)?;
    let to = from.checked_add(usize::try_from(size).ok()?).filter(|to| *to <= file.len())?;
    Some(Ok((name, from..to, name_at + name_len + extra_len + comment_len)))
}

/// Large sizes and places stand in an extra field, those that are needed, in this order.
fn zip64(mut extra: &[u8], size: &mut u64, packed: u64, local: &mut u64) {
    const FULL: u64 = 0xffff_ffff;
    while let (Some(id), Some(len)) = (number(extra, 0, 2), number(extra, 2, 2)) {
        let Some(body) = extra.get(4..4 + len as usize) else { return };
        if id == 1 {
            let mut at = 0;
            let mut next = |at_len: usize| {
                at += at_len;
                number(body, at - at_len, at_len)
            };
            if *size == FULL {
                *size = next(8).unwrap_or(FULL);
            }
            if packed == FULL {
                next(8);
            }
            if *local == FULL {
                *local = next(8).unwrap_or(FULL);
            }
        }
        extra = &extra[4 + len as usize..];
    }
}
