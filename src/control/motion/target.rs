//! What modulates a parameter, added up: two LFOs on one parameter both count.

use std::sync::Arc;

use crate::control::{Handle, Kind, Origin, Table, Value};

/// The parameters that are modulated.
#[derive(Default)]
pub struct Targets {
    layout: u64,
    all: Vec<Target>,
}

struct Target {
    path: Arc<str>,
    handle: Option<Handle>,
    sum: f64,
    before: f64,
    /// Somebody aims at it in this frame.
    is_meant: bool,
    is_new: bool,
}

impl Targets {
    /// Adds an offset on the normal scale for this frame. An empty path is no target.
    pub fn add(&mut self, path: &Arc<str>, offset: f64) {
        if path.is_empty() {
            return;
        }
        let at = self.all.iter().position(|target| target.path == *path).unwrap_or_else(|| {
            let path = Arc::clone(path);
            self.all.push(Target { path, handle: None, sum: 0.0, before: 0.0, is_meant: false, is_new: true });
            self.all.len() - 1
        });
        let target = &mut self.all[at];
        target.sum += offset;
        target.is_meant = true;
    }

    /// Plays what was added since the last time; what nobody aims at any more plays its base value again. Returns what
    /// is wrong with new targets.
    pub fn apply(&mut self, table: &Table) -> Vec<String> {
        let layout = table.layout();
        let moved = std::mem::replace(&mut self.layout, layout) != layout;
        let mut told = Vec::new();
        for target in &mut self.all {
            let is_new = std::mem::take(&mut target.is_new);
            if is_new || moved {
                let found = table.handle(&target.path);
                if is_new && let Err(error) = &found {
                    told.push(format!("nothing can be modulated there: {error}"));
                }
                target.handle = found.ok();
            }
            if let Some(handle) = &target.handle {
                match handle.param().kind {
                    Kind::Text if is_new => told.push(format!("{} is a text and cannot be modulated", target.path)),
                    Kind::Text => {}
                    // A trigger fires when the sum rises through 0: at the start of each cycle.
                    Kind::Trigger if target.sum > 0.0 && target.before <= 0.0 && !is_new => {
                        // The handle is there, so the path is.
                        drop(table.set(&target.path, Value::Pulse, Origin::Program));
                    }
                    Kind::Trigger => {}
                    _ => table.modulate(handle, if target.is_meant { target.sum } else { 0.0 }),
                }
            }
            target.before = target.sum;
        }
        self.all.retain(|target| target.is_meant);
        for target in &mut self.all {
            (target.sum, target.is_meant) = (0.0, false);
        }
        told
    }
}
