//! Pairs of a signal and what goes with it: a folder with `signal.npy` and `pairs.toml`.
//!
//! A state is a name and what it looks like: genres, mood and scene, or a picture. A mark says from when to when the
//! signal was in a state, or the picture was looked at.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{EncoderError, recording::Recording};

const VERSION: u32 = 1;
const FILE: &str = "pairs.toml";

/// What a state looks like.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    pub name: String,
    /// Weights by name; none where a picture says it all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub genre: BTreeMap<String, f32>,
    #[serde(default)]
    pub vivid: f32,
    #[serde(default)]
    pub bright: f32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scene: BTreeMap<String, f32>,
    /// What it is in words, for a head of Stable Diffusion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// A picture that looks like it, beside the file that names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<PathBuf>,
}

/// From when to when the signal was in a state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    pub from_secs: f64,
    pub to_secs: f64,
    pub state: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate_hz: Option<f64>,
    states: Vec<State>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    marks: Vec<Mark>,
}

/// A recording with its marks.
#[derive(Debug, Clone)]
pub struct Pairs {
    pub recording: Recording,
    pub states: Vec<State>,
    pub marks: Vec<Mark>,
}

/// The four states of the synthetic rat, as the shipped head paints them.
pub fn rat_states() -> Vec<State> {
    let state = |name: &str, genre: &str, prompt: &str, vivid, bright, warmth| State {
        name: name.to_owned(),
        genre: BTreeMap::from([(genre.to_owned(), 1.0)]),
        vivid,
        bright,
        scene: BTreeMap::from([("warmth".to_owned(), warmth)]),
        prompt: Some(prompt.to_owned()),
        picture: None,
    };
    vec![
        state("awake", "flowers", "a meadow full of flowers in bright sunlight", 0.6, 0.5, 0.6),
        state("rest", "surf", "calm surf on a wide beach, soft light", -0.2, 0.3, 0.2),
        state("sleep", "aurora", "an aurora in a dark night sky over snow", -0.5, -0.6, -0.7),
        state("rem", "glass", "a window of stained glass in vivid colours", 0.9, -0.1, 0.1),
    ]
}

fn refuse(path: &Path, what: impl Into<String>) -> EncoderError {
    EncoderError::File { path: path.into(), what: what.into() }
}

fn parse(path: &Path) -> Result<File, EncoderError> {
    let text = std::fs::read_to_string(path).map_err(|cause| EncoderError::Read { path: path.into(), cause })?;
    let file: File = toml::from_str(&text).map_err(|e| {
        let why = e.message().to_owned();
        let line = 1 + e.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count());
        refuse(path, format!("cannot be understood (line {line}: {why})"))
    })?;
    if file.version != VERSION {
        return Err(refuse(path, format!("is of version {}; this program reads version {VERSION}", file.version)));
    }
    if file.states.is_empty() {
        return Err(refuse(path, "names no states; give each a name and a genre, or a picture"));
    }
    for state in &file.states {
        let numbers = state.genre.values().chain(state.scene.values()).chain([&state.vivid, &state.bright]);
        if numbers.into_iter().any(|x| !x.is_finite()) {
            return Err(refuse(path, format!("has a number in the state {} that is not finite", state.name)));
        }
    }
    Ok(file)
}

/// The states that a file names, with pictures as paths from here.
///
/// # Errors
/// A sentence that names the file and the line.
pub fn read_states(path: &Path) -> Result<Vec<State>, EncoderError> {
    let mut states = parse(path)?.states;
    let folder = path.parent().unwrap_or(Path::new(""));
    for picture in states.iter_mut().filter_map(|state| state.picture.as_mut()) {
        *picture = folder.join(&picture);
    }
    Ok(states)
}

impl Pairs {
    /// Reads a folder, its signal at the rate of an encoder.
    ///
    /// # Errors
    /// What is not there or does not fit, in a sentence.
    pub fn read(folder: &Path, rate_hz: f64) -> Result<Self, EncoderError> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Err(refuse(folder, format!("holds no {FILE}; `wavedream encoder collect` records one")));
        }
        let file = parse(&path)?;
        let states = read_states(&path)?;
        let known = |mark: &&Mark| !states.iter().any(|state| state.name == mark.state);
        if let Some(mark) = file.marks.iter().find(known) {
            return Err(refuse(&path, format!("marks the state {:?}, which it does not name", mark.state)));
        }
        let signal = folder.join(file.signal.unwrap_or_else(|| "signal.npy".into()));
        let address = match file.rate_hz {
            Some(rate) => format!("{}?rate={rate}&time=0", signal.display()),
            None => signal.display().to_string(),
        };
        let recording = Recording::read(&address, rate_hz, None)?;
        Ok(Self { recording, states, marks: file.marks })
    }

    /// The synthetic rat or another source that knows its own states, without a folder between.
    pub fn from_states(recording: Recording, states: Vec<State>) -> Self {
        let ends = recording.states.iter().skip(1).map(|(from, _)| *from).chain([recording.secs()]);
        let marks = recording.states.iter().zip(ends).map(|((from_secs, state), to_secs)| Mark {
            from_secs: *from_secs,
            to_secs,
            state: state.clone(),
        });
        let marks = marks.filter(|mark| states.iter().any(|state| state.name == mark.state)).collect();
        Self { recording, states, marks }
    }
}

/// Writes `pairs.toml` for a signal at its own rate; pictures are named as they are.
///
/// # Errors
/// The file cannot be written.
pub fn write(folder: &Path, rate_hz: f64, states: &[State], marks: &[Mark]) -> Result<(), EncoderError> {
    let path = folder.join(FILE);
    let file = File {
        version: VERSION,
        signal: Some("signal.npy".into()),
        rate_hz: Some(rate_hz),
        states: states.to_vec(),
        marks: marks.to_vec(),
    };
    let text = toml::to_string(&file).map_err(|e| refuse(&path, format!("cannot be written: {e}")))?;
    std::fs::write(&path, text).map_err(|cause| EncoderError::Write { path, cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_what_is_wrong_is_told_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let marks = vec![Mark { from_secs: 0.5, to_secs: 2.0, state: "rest".into() }];
        write(folder.path(), 64.0, &rat_states(), &marks).unwrap();
        let values: Vec<f32> = (0..2 * 192).map(|n| (n as f32 * 0.3).sin()).collect();
        crate::latent::npy::write_array(&folder.path().join("signal.npy"), &[192, 2], &values).unwrap();
        let pairs = Pairs::read(folder.path(), 32.0).unwrap();
        assert_eq!((pairs.states, pairs.marks), (rat_states(), marks));
        assert_eq!((pairs.recording.channels.len(), pairs.recording.samples()), (2, 96));

        let path = folder.path().join("states.toml");
        std::fs::write(&path, "version = 1\n[[states]]\nname = \"a\"\ngenres = 1\n").unwrap();
        let message = read_states(&path).unwrap_err().to_string();
        assert!(message.contains("line 4") && message.contains("genres"), "{message}");
        std::fs::write(&path, "version = 2\nstates = []\n").unwrap();
        assert!(read_states(&path).unwrap_err().to_string().contains("version 2"));
        let message = Pairs::read(&folder.path().join("none"), 32.0).unwrap_err().to_string();
        assert!(message.contains("holds no pairs.toml"), "{message}");
    }
}
