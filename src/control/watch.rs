//! Tells when files in some folders have been saved.
//!
//! The operating system calls back on a thread of `notify`; that only leaves a mark, which [`Watch::settled`] reads on
//! the main thread. Editors write a file in several strokes, so a mark counts once the folder has been still.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, bounded};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// Longer than the strokes of an editor's save, shorter than a glance from it to the stage.
const STILL: Duration = Duration::from_millis(120);

/// Folders that are being watched.
#[derive(Debug)]
pub struct Watch {
    _watcher: RecommendedWatcher,
    marks: Receiver<()>,
    last: Option<Instant>,
}

impl Watch {
    pub fn new(folders: &[PathBuf]) -> Result<Self, notify::Error> {
        let (mark, marks) = bounded(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // Full means that the mark is already there.
                let _ = mark.try_send(());
            }
        })?;
        for folder in folders {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        Ok(Self { _watcher: watcher, marks, last: None })
    }

    /// True once after something was saved and the folders have come to rest.
    pub fn settled(&mut self) -> bool {
        if self.marks.try_recv().is_ok() {
            self.last = Some(Instant::now());
        }
        let settled = self.last.is_some_and(|last| last.elapsed() >= STILL);
        if settled {
            self.last = None;
        }
        settled
    }
}
