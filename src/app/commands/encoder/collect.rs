//! `wavedream encoder collect`: records a signal together with what somebody is in or looks at.
//!
//! Three ways of marking: states typed while they last, pictures shown one after the other, on the stage or in a terminal,
//! and the source's own word (`--from-states`). The signal is kept as it comes, at its own rate.

mod slides;
#[cfg(feature = "window")]
mod stage;

use std::{
    fs,
    io::{BufRead, IsTerminal},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use crossbeam_channel::{Receiver, bounded};

use super::{pretrain::stop_on_signal, show};
use crate::{
    app::{cli::CollectArgs, commands::print},
    encoder::pairs::{self, Mark, State},
    latent::npy,
    signal::{self, Read, Source},
};
use slides::Slides;

/// Blocks in which the signal is read.
const BLOCKS_PER_SEC: f64 = 30.0;
/// Where nothing is said.
const SECS: f64 = 600.0;
/// Numbers that fit into memory.
const MOST_VALUES: usize = 500_000_000;

pub fn run(args: &CollectArgs) -> Result<()> {
    let states = match (&args.states, &args.pictures) {
        (Some(file), _) => pairs::read_states(file)?,
        (None, Some(folder)) => pictures(folder)?,
        (None, None) => pairs::rat_states(),
    };
    if args.output.join("pairs.toml").exists() {
        bail!("{}: holds pairs already; name a new folder", args.output.display());
    }
    let source = signal::open(&args.source)?;
    if args.from_states && source.state().is_none() {
        bail!("{}: does not know its own states; mark them while it plays, without --from-states", args.source);
    }
    fs::create_dir_all(&args.output).with_context(|| format!("{} cannot be made", args.output.display()))?;
    let marker = match (args.from_states, args.pictures.is_some()) {
        (true, _) => Marker::Source,
        (_, true) => {
            let pause_secs = args.pause.unwrap_or(0.0);
            Marker::Pictures { each_secs: args.each, pause_secs, next_secs: 0.0, looks: true }
        }
        _ => Marker::Typed { lines: lines()? },
    };
    let shows = matches!(marker, Marker::Pictures { .. });
    tell(&marker, &states, args);
    let width = source.description().channels.len();
    let mut session = Session { states, marker, marks: Vec::new(), now: None, samples: Vec::new(), width, secs: 0.0 };
    let stop = stop_on_signal()?;
    if !shows {
        let rate_hz = session.record(source, &stop, args, &mut |_| Some(0))?;
        return session.save(&args.output, rate_hz);
    }
    let paths = session.states.iter().filter_map(|state| state.picture.clone()).collect();
    let slides = Slides::start(paths, args.seed)?;
    #[cfg(feature = "window")]
    if !args.terminal {
        return stage::run(args.fullscreen, &stop, |screen| {
            let mut show = |look: bool| match look.then(|| slides.next()) {
                Some(slide) => slide.map(|slide| {
                    screen.show(&slide.image);
                    slide.at
                }),
                None => {
                    screen.dark();
                    Some(0)
                }
            };
            let rate_hz = session.record(source, &stop, args, &mut show)?;
            session.save(&args.output, rate_hz)
        });
    }
    let mut show = |look: bool| match look.then(|| slides.next()) {
        Some(slide) => slide.map(|slide| {
            show::picture(&slide.image);
            slide.at
        }),
        None => {
            show::nothing();
            Some(0)
        }
    };
    let rate_hz = session.record(source, &stop, args, &mut show)?;
    session.save(&args.output, rate_hz)
}

/// Shows the next picture and gives its number, or shows none; none when there are no more.
type Show<'a> = dyn FnMut(bool) -> Option<usize> + 'a;

/// Who says what the signal is in.
enum Marker {
    Source,
    Typed {
        lines: Receiver<String>,
    },
    Pictures {
        each_secs: f64,
        /// Of darkness before each.
        pause_secs: f64,
        next_secs: f64,
        looks: bool,
    },
}

/// What was said.
#[derive(Debug, PartialEq)]
enum Word {
    Stay,
    In(Option<usize>),
    /// At the next picture, or at none.
    Look(bool),
    End,
}

impl Marker {
    fn hear(&mut self, states: &[State], secs: f64, source: Option<&str>) -> Word {
        let number = |name: &str| states.iter().position(|known| known.name == name);
        match self {
            Self::Source => Word::In(source.and_then(number)),
            Self::Typed { lines } => lines.try_iter().last().map_or(Word::Stay, |line| typed(&line, states)),
            Self::Pictures { each_secs, pause_secs, next_secs, looks } if secs >= *next_secs => {
                *looks = *pause_secs <= 0.0 || !*looks;
                *next_secs += if *looks { *each_secs } else { *pause_secs };
                Word::Look(*looks)
            }
            Self::Pictures { .. } => Word::Stay,
        }
    }
}

/// A number, a name, 0 for none of them, or q.
fn typed(line: &str, states: &[State]) -> Word {
    let word = line.trim();
    if word.eq_ignore_ascii_case("q") {
        return Word::End;
    }
    let named = states.iter().position(|state| state.name.eq_ignore_ascii_case(word));
    match (word.parse::<usize>(), named) {
        (Ok(0), _) => Word::In(None),
        (Ok(n), _) if n <= states.len() => Word::In(Some(n - 1)),
        (_, Some(n)) => Word::In(Some(n)),
        _ if word.is_empty() => Word::Stay,
        _ => {
            eprintln!("there is no state {word:?}");
            Word::Stay
        }
    }
}

struct Session {
    states: Vec<State>,
    marker: Marker,
    marks: Vec<Mark>,
    /// Since when the signal is in which state.
    now: Option<(f64, usize)>,
    /// Frame after frame.
    samples: Vec<f32>,
    width: usize,
    secs: f64,
}

impl Session {
    /// Reads until it is over; gives the rate.
    fn record(
        &mut self,
        mut source: Box<dyn Source>,
        stop: &Arc<AtomicBool>,
        args: &CollectArgs,
        show: &mut Show<'_>,
    ) -> Result<f64> {
        let (width, rate_hz) = (self.width, source.description().rate_hz);
        let until_secs = args.seconds.or(source.description().duration_secs).unwrap_or(SECS);
        // Only what knows itself can be read faster than it plays.
        let paced = !args.from_states;
        let begun = Instant::now();
        let frames = (rate_hz / BLOCKS_PER_SEC).ceil() as usize;
        let mut block = Vec::new();
        while self.secs < until_secs && !stop.load(Ordering::Relaxed) {
            if let Some(wait) = Duration::from_secs_f64(self.secs).checked_sub(begun.elapsed()).filter(|_| paced) {
                std::thread::sleep(wait);
            }
            block.clear();
            match source.read(frames, &mut block)? {
                Read::End => break,
                Read::Changed => bail!("{}: its channels or rate changed; record again", args.source),
                Read::Frames(0) => std::thread::sleep(Duration::from_millis(5)),
                Read::Frames(_) => {}
            }
            if !self.mark(source.state(), show) {
                break;
            }
            self.samples.extend(block.iter().map(|x| *x as f32));
            self.secs = (self.samples.len() / width) as f64 / rate_hz;
            if self.samples.len() > MOST_VALUES {
                eprintln!("the memory is full after {:.0} s; what was recorded is kept", self.secs);
                break;
            }
        }
        self.enter(None);
        Ok(rate_hz)
    }

    /// What holds from here on; false if that was all.
    fn mark(&mut self, state: Option<&str>, show: &mut Show<'_>) -> bool {
        match self.marker.hear(&self.states, self.secs, state) {
            Word::Stay => {}
            Word::In(state) => self.enter(state),
            Word::Look(look) => {
                let Some(at) = show(look) else { return false };
                // The same picture twice is two looks at it.
                self.enter(None);
                if look {
                    self.enter(Some(at));
                }
            }
            Word::End => return false,
        }
        true
    }

    fn enter(&mut self, state: Option<usize>) {
        if self.now.map(|(_, state)| state) == state {
            return;
        }
        if let Some((from_secs, before)) = self.now.take() {
            let name = self.states[before].name.clone();
            self.marks.push(Mark { from_secs, to_secs: self.secs, state: name });
        }
        self.now = state.map(|state| (self.secs, state));
        if let (Some(state), Marker::Typed { .. }) = (state, &self.marker) {
            eprintln!("{:7.1} s: {}", self.secs, self.states[state].name);
        }
    }

    fn save(mut self, folder: &Path, rate_hz: f64) -> Result<()> {
        if self.marks.is_empty() {
            bail!("{}: nothing was marked, so nothing is kept", folder.display());
        }
        // A picture that nobody has seen is nothing to learn from, and may be none.
        let seen = |state: &State| self.marks.iter().any(|mark| mark.state == state.name);
        self.states.retain(|state| state.picture.is_none() || seen(state));
        let width = self.width;
        npy::write_array(&folder.join("signal.npy"), &[self.samples.len() / width, width], &self.samples)?;
        for (n, picture) in self.states.iter_mut().filter_map(|state| state.picture.as_mut()).enumerate() {
            let ending = picture.extension().map_or_else(|| "png".into(), |e| e.to_string_lossy().into_owned());
            let own = PathBuf::from(format!("picture-{:03}.{ending}", n + 1));
            fs::copy(&picture, folder.join(&own)).with_context(|| format!("{} cannot be copied", picture.display()))?;
            *picture = own;
        }
        pairs::write(folder, rate_hz, &self.states, &self.marks)?;
        print(&format!("{}: {:.1} s, {width} channels, {} marks\n", folder.display(), self.secs, self.marks.len()))
    }
}

fn tell(marker: &Marker, states: &[State], args: &CollectArgs) {
    match marker {
        Marker::Source => {}
        Marker::Typed { .. } => {
            let names: Vec<String> = states.iter().enumerate().map(|(n, s)| format!("{} {}", n + 1, s.name)).collect();
            eprintln!("type a number and Enter when a state begins: {}; 0 none of them, q ends", names.join(", "));
        }
        Marker::Pictures { .. } if cfg!(feature = "window") && !args.terminal => {
            eprintln!("look at the pictures in the window; closing it ends, and what was recorded is kept");
        }
        Marker::Pictures { .. } if !std::io::stdout().is_terminal() => {
            eprintln!("pictures are shown in a terminal: run this in one");
        }
        Marker::Pictures { .. } => eprintln!("look at the pictures; Ctrl-C ends, and what was recorded is kept"),
    }
}

/// Each picture of a folder is a state of its own.
fn pictures(folder: &Path) -> Result<Vec<State>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let kinds = ["png", "jpg", "jpeg", "gif"];
    let is_picture = |path: &PathBuf| {
        path.extension().is_some_and(|ending| kinds.contains(&ending.to_string_lossy().to_lowercase().as_str()))
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).filter(is_picture).collect();
    paths.sort();
    if paths.is_empty() {
        bail!("{}: holds no pictures ({})", folder.display(), kinds.join(", "));
    }
    let state = |path: PathBuf| State {
        name: path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
        picture: Some(path),
        ..State::default()
    };
    Ok(paths.into_iter().map(state).collect())
}

/// What is typed, line after line, from a thread of its own.
fn lines() -> Result<Receiver<String>> {
    let (typed, lines) = bounded(8);
    let body = move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if typed.send(line).is_err() {
                break;
            }
        }
    };
    std::thread::Builder::new().name("typed".into()).spawn(body).context("no thread for what is typed")?;
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_a_name_nothing_and_the_end_are_understood() {
        let states = pairs::rat_states();
        assert_eq!(typed(" 2 ", &states), Word::In(Some(1)));
        assert_eq!(typed("REM", &states), Word::In(Some(3)));
        assert_eq!(typed("0", &states), Word::In(None));
        assert_eq!(typed("q", &states), Word::End);
        assert_eq!(
            [typed("", &states), typed("9", &states), typed("what", &states)],
            [Word::Stay, Word::Stay, Word::Stay]
        );
    }

    #[test]
    fn pictures_come_each_so_many_seconds_with_darkness_before_them_if_that_is_wanted() {
        let heard = |pause_secs: f64| -> Vec<Option<bool>> {
            let mut marker = Marker::Pictures { each_secs: 2.0, pause_secs, next_secs: 0.0, looks: true };
            let at = [0.0, 1.0, 1.9, 2.0, 3.0, 4.1].map(|secs| match marker.hear(&[], secs, None) {
                Word::Look(look) => Some(look),
                _ => None,
            });
            at.into()
        };
        let look = Some(true);
        assert_eq!(heard(0.0), [look, None, None, look, None, look]);
        let dark = Some(false);
        assert_eq!(heard(1.0), [dark, look, None, None, dark, look]);
    }
}
