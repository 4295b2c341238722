//! The machine that records the signal alone, as `/show/signal` says, whoever sets it.
//!
//! Lives beside the [`super::Deck`] on the thread that makes frames and never waits on it.

use std::{
    path::{Path, PathBuf},
    thread::JoinHandle,
};

use anyhow::Result;

use super::{SignalRecorder, SignalTap};
use crate::{
    app::UsageError,
    control::{Handle, Origin, Table, Value},
    signal::record::{ENDINGS, ending},
};

/// Records the signal as the parameters say.
pub struct SignalDeck {
    table: Table,
    tap: SignalTap,
    on: Handle,
    format: Handle,
    /// The file that was asked for when the show began.
    asked: Option<PathBuf>,
    recorder: Option<SignalRecorder>,
    /// A recording that is being finished.
    closing: Option<JoinHandle<Vec<String>>>,
}

impl SignalDeck {
    /// With the file that `--record-signal` names, if any: it begins with the show then.
    ///
    /// # Errors
    /// It cannot be written where it was asked for, or is of no known kind.
    pub fn new(table: &Table, tap: &SignalTap, file: Option<&Path>) -> Result<Self> {
        if let Some(file) = file {
            let ending = ending(file).unwrap_or_default();
            let shown = file.display();
            anyhow::ensure!(
                ENDINGS.contains(&ending.as_str()),
                UsageError(format!("--record-signal: {shown} must end in .edf or .npy"))
            );
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
            anyhow::ensure!(
                folder.is_none_or(Path::is_dir),
                UsageError(format!("--record-signal: the folder of {shown} does not exist"))
            );
            table.set("/show/signal", Value::Bool(true), Origin::CommandLine)?;
        }
        Ok(Self {
            on: table.handle("/show/signal")?,
            format: table.handle("/show/signal_format")?,
            table: table.clone(),
            tap: tap.clone(),
            asked: file.map(Path::to_owned),
            recorder: None,
            closing: None,
        })
    }

    /// Begins and ends what the parameter asks for, and says what came of it. `file` gives a name with an ending.
    pub fn follow(&mut self, file: impl Fn(&str) -> PathBuf) -> Vec<String> {
        let mut told = Vec::new();
        match (&self.recorder, self.on.is_on()) {
            (None, true) if self.closing.is_none() => {
                let path = self.asked.clone().unwrap_or_else(|| file(&self.format.text()));
                match SignalRecorder::start(&path, &self.tap) {
                    Ok(recorder) => self.recorder = Some(recorder),
                    Err(error) => {
                        self.switch_off();
                        told.push(format!("{}: the signal cannot be recorded ({error})", path.display()));
                    }
                }
            }
            (Some(recorder), on) if !on || recorder.has_ended() => self.end(),
            _ => {}
        }
        if let Some(recorder) = &self.recorder {
            told.extend(recorder.messages());
            self.write("/show/signal_lost", Value::Int(i64::try_from(recorder.missed()).unwrap_or(i64::MAX)));
        }
        if self.closing.as_ref().is_some_and(JoinHandle::is_finished) {
            told.extend(self.closing.take().and_then(|thread| thread.join().ok()).unwrap_or_default());
        }
        told
    }

    /// Finishes the file, and waits for it: the program ends.
    pub fn close(&mut self) -> Vec<String> {
        self.end();
        self.closing.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }

    /// On a thread of its own, for the disk may be slow.
    fn end(&mut self) {
        let Some(recorder) = self.recorder.take() else { return };
        self.switch_off();
        let finish = move || recorder.finish();
        self.closing = std::thread::Builder::new().name("signal file end".into()).spawn(finish).ok();
    }

    fn switch_off(&self) {
        self.write("/show/signal", Value::Bool(false));
    }

    fn write(&self, path: &str, value: Value) {
        let is_other = self.table.get(path).is_ok_and(|before| before != value);
        if is_other && let Err(error) = self.table.set(path, value, Origin::Program) {
            tracing::warn!("{error}");
        }
    }
}
