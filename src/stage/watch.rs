//! Watches a folder of shader files. Files are read and checked on the thread `stage-shaders`; the frame thread only
//! looks into a short channel.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::{declaration::Fault, library, wgsl::Shader};

/// Editors write a file in several steps: wait until it has been quiet for this long.
const QUIET: Duration = Duration::from_millis(40);

pub(super) type Loaded = (PathBuf, Result<Shader, Fault>);

pub(super) struct Watch {
    // Ends the thread when it is dropped: its channel closes.
    _watcher: RecommendedWatcher,
    loaded: Receiver<Loaded>,
}

impl Watch {
    pub fn new(folder: &Path) -> Result<Self, String> {
        // An event lost to a full channel only delays the reload to the next save.
        let (changed_tx, changed) = bounded::<PathBuf>(256);
        let (loaded_tx, loaded) = bounded(16);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if event.kind.is_access() || event.kind.is_remove() {
                return;
            }
            for path in event.paths {
                if library::is_shader(&path) {
                    let _ = changed_tx.try_send(path);
                }
            }
        })
        .map_err(|error| error.to_string())?;
        watcher.watch(folder, RecursiveMode::Recursive).map_err(|error| error.to_string())?;
        std::thread::Builder::new()
            .name("stage-shaders".to_owned())
            .spawn(move || follow(&changed, &loaded_tx))
            .map_err(|error| error.to_string())?;
        Ok(Self { _watcher: watcher, loaded })
    }

    /// A file that was saved since; never waits.
    pub fn next(&self) -> Option<Loaded> {
        self.loaded.try_recv().ok()
    }
}

fn follow(changed: &Receiver<PathBuf>, loaded: &Sender<Loaded>) {
    while let Ok(first) = changed.recv() {
        let mut files = BTreeSet::from([first]);
        while let Ok(more) = changed.recv_timeout(QUIET) {
            files.insert(more);
        }
        for file in files {
            if !file.is_file() {
                continue;
            }
            let result = library::read(&file);
            if loaded.send((file, result)).is_err() {
                return;
            }
        }
    }
}
