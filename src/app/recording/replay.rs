//! Plays a recorded show into the table, at whatever frame rate.
//!
//! Each setting comes at its own moment, also between two frames: the table is moved up to that moment first, so a glide
//! has the same course at 24 frames a second as at 60. Runs on the thread of whoever renders; looks at no clock.

use std::path::Path;

use serde_json::Value as Json;

use super::{
    Show,
    format::{Event, Happened},
    reader::Heard,
    source::Replayed,
};
use crate::{
    control::{Origin, Table, Value},
    signal::{Source, SourceError},
};

/// What happens beside parameters.
pub enum Turn {
    /// Another source, and the time of the show at which its first frame is.
    Line(Box<dyn Source>, f64),
    /// The hops of the line count from this time of the show.
    HopZero(f64),
    /// Name and seconds.
    Transition(String, f64),
    Model(String),
}

/// A recorded show being played.
pub struct Replay {
    show: Show,
    next_event: usize,
    next_line: usize,
    now_secs: f64,
    pinned: Vec<String>,
    /// Frames of the line that plays which were there before the recording began move its hops.
    moved_secs: f64,
    unknown: Vec<String>,
}

impl Replay {
    /// `pinned` are paths that stay as they are set now, whatever the show does.
    pub fn new(show: Show, pinned: Vec<String>) -> Self {
        Self { show, next_event: 0, next_line: 0, now_secs: 0.0, pinned, moved_secs: 0.0, unknown: Vec::new() }
    }

    pub fn show(&self) -> &Show {
        &self.show
    }

    /// Gives the table the values that the show began with.
    pub fn begin(&mut self, table: &Table) {
        let start = std::mem::take(&mut self.show.head.start);
        for (path, value) in &start {
            self.set(table, path, value, 0.0);
        }
        for (path, offset) in std::mem::take(&mut self.show.head.offsets) {
            self.offset(table, &path, offset);
        }
    }

    /// Moves the table towards `to_secs`, and gives what happens on the way beside parameters, one at a time; None when
    /// it is there.
    ///
    /// # Errors
    /// The file cannot be read any more.
    pub fn turn(&mut self, table: &Table, to_secs: f64) -> Result<Option<Turn>, SourceError> {
        loop {
            let line_secs = self.show.lines.get(self.next_line).map_or(f64::INFINITY, |heard| heard.line.begins_secs());
            let event_secs = self.show.events.get(self.next_event).map_or(f64::INFINITY, |event| event.t);
            let next_secs = line_secs.min(event_secs);
            // A little later is the same frame: times are rounded.
            if next_secs > to_secs + 1e-9 {
                self.move_to(table, to_secs);
                return Ok(None);
            }
            self.move_to(table, next_secs);
            if line_secs <= event_secs {
                self.next_line += 1;
                if let Some(heard) = self.show.lines.get(self.next_line - 1).filter(|heard| !heard.blocks.is_empty()) {
                    let (source, start_secs) = open(&self.show.path, heard)?;
                    self.moved_secs = start_secs - heard.line.hop_zero;
                    return Ok(Some(Turn::Line(source, start_secs)));
                }
                continue;
            }
            self.next_event += 1;
            let Event { what, .. } = self.show.events[self.next_event - 1].clone();
            match what {
                Happened::Set(path, value, secs, _) => self.set(table, &path, &value, secs),
                Happened::Offset(path, offset) => self.offset(table, &path, offset),
                Happened::Transition(name, secs) => return Ok(Some(Turn::Transition(name, secs))),
                Happened::Model(name) => return Ok(Some(Turn::Model(name))),
                Happened::HopZero(line, hop_zero) => {
                    let plays = self.next_line.checked_sub(1).and_then(|at| self.show.lines.get(at));
                    // What is live counts from when it came, whatever the clock of the hops did.
                    if plays.is_some_and(|heard| heard.line.line == line && !heard.line.live) {
                        return Ok(Some(Turn::HopZero(hop_zero + self.moved_secs)));
                    }
                }
            }
        }
    }

    /// A sentence about parameters that the show moved and this program does not have.
    pub fn unknown(&self) -> Option<String> {
        let (first, more) = (self.unknown.first()?, self.unknown.len() - 1);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Some(format!("{}: moves {first}{more}, which is not there: the film goes without", self.show.path.display()))
    }

    fn move_to(&mut self, table: &Table, secs: f64) {
        if secs > self.now_secs {
            table.tick(secs - self.now_secs);
            self.now_secs = secs;
        }
    }

    fn set(&mut self, table: &Table, path: &str, value: &Json, secs: f64) {
        if self.pinned.iter().any(|pinned| pinned == path) {
            return;
        }
        let value = match value {
            Json::Bool(on) => Value::Bool(*on),
            Json::String(text) => Value::text(text),
            Json::Number(number) => Value::Float(number.as_f64().unwrap_or(0.0)),
            _ => return,
        };
        // As the program: what only shows a state was recorded too.
        if table.set_smooth(path, value, secs, Origin::Program).is_err()
            && !self.unknown.iter().any(|known| known == path)
        {
            self.unknown.push(path.to_owned());
        }
    }

    fn offset(&self, table: &Table, path: &str, offset: f64) {
        if let Ok(handle) = table.handle(path)
            && !self.pinned.iter().any(|pinned| pinned == path)
        {
            table.modulate(&handle, offset);
        }
    }
}

fn open(path: &Path, heard: &Heard) -> Result<(Box<dyn Source>, f64), SourceError> {
    let (source, start_secs) = Replayed::open(path, heard)?;
    Ok((Box::new(source), start_secs))
}
