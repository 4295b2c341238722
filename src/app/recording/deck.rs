//! The machines beside the stage: one records the show, one films the screen, one records the signal alone.
//!
//! Follows `/show/record` and `/show/film`, whoever sets them. Lives on the thread that makes frames and never waits on
//! it: files are opened, written and closed by threads of their own, and what came of them is told later.

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;

use super::{Recorder, SignalDeck, SignalTap, format::Head};
use crate::{
    app::UsageError,
    control::{Desk, Handle, Origin, SetError, Table, Value, Zone},
    stage::{Compositor, film::ScreenFilm},
};

/// Of a film of the screen.
const FILM_FPS: f64 = 30.0;

/// The files that the command line names.
#[derive(Debug, Clone, Copy, Default)]
pub struct Files<'a> {
    pub show: Option<&'a Path>,
    pub film: Option<&'a Path>,
    pub signal: Option<&'a Path>,
}

/// What of the show the head of a recording says beside the table.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub source: &'a str,
    pub size: (u32, u32),
}

/// Records and films as the parameters say.
pub struct Deck {
    table: Table,
    signal: SignalTap,
    zone: Zone,
    folder: Handle,
    record: Handle,
    film: Handle,
    model: Handle,
    record_file: Option<PathBuf>,
    film_file: Option<PathBuf>,
    recorder: Option<Recorder>,
    filming: Option<ScreenFilm>,
    /// Films that are being finished.
    ending: Vec<ScreenFilm>,
    /// A recording that is being finished.
    closing: Option<std::thread::JoinHandle<String>>,
    signal_deck: SignalDeck,
}

impl Deck {
    /// What the command line names begins with the show.
    ///
    /// # Errors
    /// One of them cannot be written where it was asked for.
    pub fn new(table: &Table, signal: &SignalTap, files: Files<'_>) -> Result<Self> {
        let Files { show: record, film, signal: of_signal } = files;
        if let Some(folder) = record.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty()) {
            let shown = folder.display();
            anyhow::ensure!(folder.is_dir(), UsageError(format!("--record: the folder {shown} does not exist")));
        }
        film.map_or(Ok(()), ScreenFilm::check)?;
        for (path, file) in [("/show/record", record), ("/show/film", film)] {
            if file.is_some() {
                table.set(path, Value::Bool(true), Origin::CommandLine)?;
            }
        }
        let handle = |name: &str| -> Result<Handle, SetError> { table.handle(&format!("/show/{name}")) };
        Ok(Self {
            folder: handle("folder")?,
            record: handle("record")?,
            film: handle("film")?,
            model: table.handle("/dream/model")?,
            table: table.clone(),
            signal: signal.clone(),
            zone: Zone::of_system().unwrap_or_default(),
            record_file: record.map(Path::to_owned),
            film_file: film.map(Path::to_owned),
            recorder: None,
            filming: None,
            ending: Vec::new(),
            closing: None,
            signal_deck: SignalDeck::new(table, signal, of_signal)?,
        })
    }

    /// Begins and ends what the parameters ask for, and says what came of it. Without a compositor only the recording.
    pub fn follow(&mut self, desk: &Desk, compositor: Option<&mut Compositor>, facts: &Facts<'_>) -> Vec<String> {
        let mut told = Vec::new();
        match (&self.recorder, self.record.is_on()) {
            (None, true) if self.closing.is_none() => told.extend(self.begin_recording(desk, facts)),
            (Some(recorder), on) if !on || recorder.has_ended() => self.end_recording(),
            _ => {}
        }
        if self.closing.as_ref().is_some_and(std::thread::JoinHandle::is_finished) {
            told.extend(self.closing.take().and_then(|thread| thread.join().ok()));
        }
        if let Some(compositor) = compositor {
            self.follow_film(compositor, &mut told);
        }
        let (folder, zone) = (&self.folder, &self.zone);
        told.extend(self.signal_deck.follow(|ending| named(folder, zone, "signal-", ending)));
        let repeated = self.filming.as_ref().map_or(0, ScreenFilm::repeated);
        let lost = self.recorder.as_ref().map_or(0, Recorder::lost);
        self.show("/show/repeated", repeated);
        self.show("/show/lost", lost);
        told
    }

    /// The stage begins a transition.
    pub fn transition(&self, name: &str, secs: f32) {
        if let Some(recorder) = &self.recorder {
            recorder.transition(name, f64::from(secs));
        }
    }

    /// Another model paints from now on.
    pub fn model(&self, name: &str) {
        if let Some(recorder) = &self.recorder {
            recorder.model(name);
        }
    }

    /// A new compositor comes, for the graphics device was lost: the film so far is finished, another begins.
    pub fn device_lost(&mut self) {
        self.ending.extend(self.filming.take());
    }

    /// Finishes all files, and waits for it: the program ends.
    pub fn close(&mut self, compositor: Option<&mut Compositor>) -> Vec<String> {
        if let Some(compositor) = compositor {
            compositor.end_film();
        }
        self.end_recording();
        let mut told: Vec<_> = self.closing.take().and_then(|thread| thread.join().ok()).into_iter().collect();
        told.extend(self.filming.take().into_iter().chain(self.ending.drain(..)).map(came_of));
        told.extend(self.signal_deck.close());
        told
    }

    fn begin_recording(&mut self, desk: &Desk, facts: &Facts<'_>) -> Option<String> {
        let path = self.file(self.record_file.as_deref(), "wds");
        let of_preset = |preset: &crate::control::Preset| (preset.file.clone(), shipped(&preset.file));
        let cues = desk.cues().map(|cues| (cues.file.clone(), String::new()));
        let head = Head {
            unix_secs: unix_secs(),
            // As it was asked for: a name, or a path that says more than the name in it.
            model: self.model.text().to_string(),
            source: facts.source.to_owned(),
            preset: desk.current().map_or_else(String::new, |preset| preset.id.clone()),
            size: [facts.size.0, facts.size.1],
            files: desk.presets().iter().map(of_preset).chain(cues).collect(),
            ..Head::default()
        };
        match Recorder::start(&path, head, &self.table, &self.signal) {
            Ok(recorder) => {
                self.recorder = Some(recorder);
                None
            }
            Err(error) => {
                self.switch_off("/show/record");
                Some(format!("{}: cannot be recorded ({error})", path.display()))
            }
        }
    }

    /// On a thread of its own, for the disk may be slow.
    fn end_recording(&mut self) {
        let Some(recorder) = self.recorder.take() else { return };
        self.switch_off("/show/record");
        let finish = move || match recorder.finish() {
            Ok(made) if made.lost == 0 => {
                format!("{}: {:.1} s of the show are recorded", made.path.display(), made.secs)
            }
            Ok(made) => format!(
                "{}: {:.1} s of the show are recorded, without {} changes or blocks that came too fast",
                made.path.display(),
                made.secs,
                made.lost
            ),
            Err(error) => error.to_string(),
        };
        self.closing = std::thread::Builder::new().name("show end".into()).spawn(finish).ok();
    }

    fn follow_film(&mut self, compositor: &mut Compositor, told: &mut Vec<String>) {
        match (&self.filming, self.film.is_on()) {
            (None, true) => {
                let path = self.file(self.film_file.as_deref(), "mp4");
                match ScreenFilm::start(&path, compositor.device(), compositor.size(), FILM_FPS) {
                    Ok((film, camera)) => {
                        compositor.film(Some(camera));
                        self.filming = Some(film);
                    }
                    Err(error) => {
                        self.switch_off("/show/film");
                        told.push(error.to_string());
                    }
                }
            }
            (Some(film), on) if !on || film.has_ended() => {
                compositor.film(None);
                self.ending.extend(self.filming.take());
                self.switch_off("/show/film");
            }
            _ => {}
        }
        let (ended, ending) = self.ending.drain(..).partition(ScreenFilm::has_ended);
        self.ending = ending;
        let ended: Vec<ScreenFilm> = ended;
        told.extend(ended.into_iter().map(came_of));
    }

    /// The file that was asked for, or one named by the clock; never one that is there.
    fn file(&self, asked: Option<&Path>, ending: &str) -> PathBuf {
        free(&asked.map_or_else(|| named(&self.folder, &self.zone, "", ending), Path::to_owned))
    }

    fn switch_off(&self, path: &str) {
        self.write(path, Value::Bool(false));
    }

    fn show(&self, path: &str, number: u64) {
        let value = Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
        if self.table.get(path).is_ok_and(|before| before != value) {
            self.write(path, value);
        }
    }

    fn write(&self, path: &str, value: Value) {
        if let Err(error) = self.table.set(path, value, Origin::Program) {
            tracing::warn!("{error}");
        }
    }
}

fn came_of(film: ScreenFilm) -> String {
    match film.finish() {
        Ok(made) => {
            let mut said = format!("{}: {:.1} s of film", made.path.display(), made.frames as f64 / FILM_FPS);
            if made.repeated + made.left_out > 0 {
                let busy = format!(", {} of {} frames repeated", made.repeated, made.frames);
                said.push_str(&busy);
            }
            if made.left_out > 0 {
                said.push_str(&format!(" and {} left out", made.left_out));
            }
            made.notes.iter().for_each(|note| said.push_str(&format!("; {note}")));
            said
        }
        Err(error) => error.to_string(),
    }
}

/// The text of a preset that is part of the program; empty for a file, which the recorder reads.
fn shipped(file: &str) -> String {
    let of_program = crate::control::SHIPPED.iter().find(|(name, _)| *name == file);
    of_program.map_or_else(String::new, |(_, text)| (*text).to_owned())
}

/// Named by the clock, in the folder for such files.
fn named(folder: &Handle, zone: &Zone, kind: &str, ending: &str) -> PathBuf {
    let stamp = zone.local(unix_secs()).stamp();
    Path::new(folder.text().trim()).join(format!("wavedream-{kind}{stamp}.{ending}"))
}

/// `show.wds`, or `show-2.wds` if that is there.
pub(super) fn free(path: &Path) -> PathBuf {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
    let numbered = (2..10_000).map(|n| path.with_file_name(format!("{stem}-{n}{ending}")));
    std::iter::once(path.to_owned()).chain(numbered).find(|path| !path.exists()).unwrap_or_else(|| path.to_owned())
}

fn unix_secs() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
