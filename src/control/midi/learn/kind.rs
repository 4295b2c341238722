//! Which control was moved, and of which kind it is, from what it sent.
//!
//! What tells them apart: an absolute control never sends the same value twice in a row and passes all values in
//! between; a relative one repeats few values from at most two zones (near 1 and 127, near 64, near 1 and 65), and
//! leaps between them; a button sends 0 and one high value. A pair sends controllers 32 apart, one for one.

use super::Seen;
use crate::control::midi::{
    assemble::Reading,
    encoder::Encoder,
    map::{STEP, Way},
    source::Source,
};

/// A control, its channel (from 0), and what it does.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub source: Source,
    pub channel: u8,
    pub way: Way,
}

/// Whether more would change what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sure {
    Yes,
    /// If nothing follows.
    WhenAlone,
    /// If it is not turned back.
    AfterDoubt,
}

/// Fewer values than this are no movement.
const FEWEST: usize = 3;

/// None if it cannot be told yet.
pub fn find(seen: &[Seen]) -> Option<(Found, Sure)> {
    registered(seen).or_else(|| pressed(seen)).or_else(|| moved(seen))
}

fn found(seen: &Seen, source: Source, way: Way) -> Found {
    Found { source, channel: seen.signal.channel, way }
}

/// An NRPN or RPN is sent in controllers that nothing else uses together.
fn registered(seen: &[Seen]) -> Option<(Found, Sure)> {
    let is = |seen: &&Seen| matches!(seen.signal.source, Source::Nrpn(_) | Source::Rpn(_));
    let last = seen.iter().rfind(is)?;
    Some((found(last, last.signal.source, Way::Auto), Sure::Yes))
}

/// A key or pad; its pressure goes with it, but a fader's touch goes with the fader.
fn pressed(seen: &[Seen]) -> Option<(Found, Sure)> {
    let is_note = |seen: &&Seen| matches!(seen.signal.source, Source::Note(_));
    let note = seen.iter().find(is_note)?;
    let moves = seen.iter().filter(|seen| matches!(seen.signal.source, Source::Cc(_) | Source::Bend)).count();
    (moves < FEWEST).then(|| (found(note, note.signal.source, Way::Auto), Sure::Yes))
}

/// The control that said most.
fn moved(seen: &[Seen]) -> Option<(Found, Sure)> {
    let address = |seen: &Seen| (seen.signal.source, seen.signal.channel);
    let single =
        |seen: &&Seen| !matches!(seen.signal.source, Source::Cc14(_) | Source::Program(Some(_)) | Source::Note(_));
    let count = |of: &Seen| seen.iter().filter(|other| address(other) == address(of)).count();
    // The first of those with the most: max_by_key would take the last.
    let most = seen.iter().filter(single).rev().max_by_key(|seen| count(seen))?;
    let readings = || seen.iter().filter(|other| address(other) == address(most)).map(|seen| seen.signal.reading);
    match most.signal.source {
        Source::Cc(number) => {
            if let Some(pair) = pair(seen, most, number) {
                return Some((found(most, pair, Way::Position), Sure::Yes));
            }
            let values: Vec<u8> = readings()
                .filter_map(|reading| match reading {
                    Reading::Seven(value) => Some(value),
                    _ => None,
                })
                .collect();
            let (way, sure) = controller(&values)?;
            Some((found(most, most.signal.source, way), sure))
        }
        source @ Source::Program(None) => Some((found(most, source, Way::Auto), Sure::Yes)),
        source if readings().count() >= FEWEST => Some((found(most, source, Way::Position), Sure::Yes)),
        _ => None,
    }
}

/// The pair that this controller is half of, if its other half said about as much.
fn pair(seen: &[Seen], most: &Seen, number: u8) -> Option<Source> {
    let count = |wanted: u8| {
        let is = |seen: &&Seen| seen.signal.source == Source::Cc(wanted) && seen.signal.channel == most.signal.channel;
        seen.iter().filter(is).count()
    };
    let coarse = number % 32;
    let (a, b) = (count(coarse), count(coarse + 32));
    (number < 64 && a.min(b) >= 2 && a.max(b) <= 3 * a.min(b)).then_some(Source::Cc14(coarse))
}

/// What the values of one controller are.
fn controller(values: &[u8]) -> Option<(Way, Sure)> {
    if let Some(button) = button(values) {
        return Some(button);
    }
    if let Some((encoder, sure)) = relative(values) {
        return Some((Way::Relative { encoder, step: STEP }, sure));
    }
    let mut distinct = values.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    (distinct.len() >= FEWEST).then_some((Way::Position, Sure::Yes))
}

/// 0 and one high value.
fn button(values: &[u8]) -> Option<(Way, Sure)> {
    let high = values.iter().copied().max().filter(|high| *high >= 64)?;
    let only_two = values.iter().all(|value| *value == 0 || *value == high);
    match values {
        _ if !only_two => None,
        // Pressed and let go.
        [first, second, ..] if *first == high && *second == 0 => Some((Way::Button, Sure::Yes)),
        // It keeps its state itself and sends the other one at each press.
        [_] => Some((Way::Gate, Sure::WhenAlone)),
        [0, ..] if values.contains(&high) => Some((Way::Button, Sure::Yes)),
        _ => None,
    }
}

/// How an encoder writes its steps, if these are steps.
fn relative(values: &[u8]) -> Option<(Encoder, Sure)> {
    let (mut up, mut below_64, mut above_64, mut down) = (false, false, false, false);
    for value in values {
        match value {
            1..=20 => up = true,
            44..=63 => below_64 = true,
            65..=84 => above_64 = true,
            108..=127 => down = true,
            _ => return None,
        }
    }
    let repeats = values.windows(2).filter(|pair| pair[0] == pair[1]).count();
    let many = values.len() >= FEWEST;
    match (up, below_64, above_64, down) {
        (true, false, false, true) if many => Some((Encoder::TwosComplement, Sure::Yes)),
        (true, false, true, false) if many => Some((Encoder::SignedBit, Sure::Yes)),
        (false, true, true, false) if repeats >= 1 => Some((Encoder::BinaryOffset, Sure::Yes)),
        // Turned one way only: the most common of those that it may be.
        (true, false, false, false) | (false, false, false, true) if repeats >= 2 => {
            Some((Encoder::TwosComplement, Sure::AfterDoubt))
        }
        (false, true, false, false) | (false, false, true, false) if repeats >= 2 => {
            Some((Encoder::BinaryOffset, Sure::AfterDoubt))
        }
        _ => None,
    }
}
