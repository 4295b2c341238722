//! Windows of marked signal, and the states as the box paints them.

use crate::{
    encoder::{EncoderError, Shape, pairs::Pairs},
    signal::Random,
};

use super::Painter;

/// A state takes a while to arrive: windows end so much after its beginning, or after half of a shorter stretch.
const ARRIVAL_SECS: f64 = 1.5;
/// Between two windows.
const STEP_SECS: f64 = 0.25;

/// A state by its name, as numbers in the order of the box.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    pub name: String,
    /// Whether it says genres and mood; a picture alone does not.
    pub named: bool,
    /// Adding to 1.
    pub genres: Vec<f32>,
    pub mood: Vec<f32>,
    pub scene: Vec<f32>,
    pub picture: Option<std::path::PathBuf>,
}

/// A window of which the state is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Example {
    pub pairs: usize,
    /// First sample.
    pub first: usize,
    /// Moment at which it ends.
    pub end_secs: f64,
    pub state: usize,
    /// Number of the stretch that it lies in.
    pub stretch: usize,
}

/// The states of all pairs, each name once.
///
/// # Errors
/// A genre or scene value that the box does not have, or two looks of one name.
pub fn labels(pairs: &[Pairs], painter: &Painter) -> Result<Vec<Label>, EncoderError> {
    let states = pairs.iter().flat_map(|pairs| &pairs.states);
    let scene = painter.scene_names(states.clone());
    let mut labels: Vec<Label> = Vec::new();
    for state in states {
        let unknown = |what: &str, name: &str, known: &[String]| {
            EncoderError::Message(format!(
                "the state {} asks for the {what} {name:?}; the box has {}",
                state.name,
                known.join(", ")
            ))
        };
        let card = painter.card();
        if let Some(name) = state.genre.keys().find(|name| !card.genres.contains(name)) {
            return Err(unknown("genre", name, &card.genres));
        }
        if let Some(name) = state.scene.keys().find(|name| !card.scene.contains(name)) {
            return Err(unknown("scene value", name, &card.scene));
        }
        let weight = |name: &String| state.genre.get(name).copied().unwrap_or(0.0).max(0.0);
        let sum: f32 = card.genres.iter().map(weight).sum();
        let even = 1.0 / card.genres.len().max(1) as f32;
        let share = |name: &String| if sum > 0.0 { weight(name) / sum } else { even };
        if sum <= 0.0 && state.picture.is_none() {
            let what = format!("the state {} names no genre and no picture, so it looks like nothing", state.name);
            return Err(EncoderError::Message(what));
        }
        let label = Label {
            name: state.name.clone(),
            named: sum > 0.0,
            genres: card.genres.iter().map(share).collect(),
            mood: vec![state.vivid.clamp(-1.0, 1.0), state.bright.clamp(-1.0, 1.0)],
            scene: scene.iter().map(|name| state.scene.get(name).copied().unwrap_or(0.0).clamp(-1.0, 1.0)).collect(),
            picture: state.picture.clone(),
        };
        match labels.iter().find(|known| known.name == label.name) {
            None => labels.push(label),
            Some(known) if *known == label => {}
            Some(_) => {
                return Err(EncoderError::Message(format!("the state {} has two looks in these pairs", state.name)));
            }
        }
    }
    Ok(labels)
}

/// Windows in the marked stretches that end at a share of the recording's time which `wanted` takes.
///
/// # Errors
/// There is none.
pub fn windows(
    pairs: &[Pairs],
    labels: &[Label],
    shape: &Shape,
    wanted: impl Fn(f64) -> bool,
) -> Result<Vec<Example>, EncoderError> {
    let mut examples = Vec::new();
    let mut stretch = 0;
    for (number, of) in pairs.iter().enumerate() {
        let length_secs = of.recording.secs();
        for mark in &of.marks {
            stretch += 1;
            let Some(state) = labels.iter().position(|label| label.name == mark.state) else { continue };
            let half = (mark.to_secs - mark.from_secs) / 2.0;
            let mut end_secs = (mark.from_secs + half.min(ARRIVAL_SECS)).max(shape.secs());
            while end_secs <= mark.to_secs.min(length_secs) {
                let first = (end_secs * shape.rate_hz).round() as usize;
                let fits = first >= shape.window && first <= of.recording.samples();
                if fits && wanted(end_secs / length_secs) {
                    examples.push(Example { pairs: number, first: first - shape.window, end_secs, state, stretch });
                }
                end_secs += STEP_SECS;
            }
        }
    }
    if examples.is_empty() {
        let secs = shape.secs();
        return Err(EncoderError::Message(format!(
            "the pairs hold no marked stretch in which a window of {secs:.1} s ends; record longer ones"
        )));
    }
    Ok(examples)
}

/// Numbers of the examples of each state.
pub fn by_state(examples: &[Example], states: usize) -> Vec<Vec<usize>> {
    let mut lists = vec![Vec::new(); states];
    for (number, example) in examples.iter().enumerate() {
        lists[example.state].push(number);
    }
    lists
}

/// Gives each stretch a state by chance, `turn` states further on: each alike, so that what is learnt means nothing. Over as
/// many turns as there are states every stretch has had each of them once, and what is right by chance is even.
///
/// (Were the stretches' own states handed round instead, the frequent ones would be learnt less often as what they are
/// than chance says, and the rest of them no more often.)
pub fn shuffle(examples: &mut [Example], states: usize, turn: usize, random: &mut Random) {
    let (mut stretch, mut state) = (None, 0);
    for example in examples.iter_mut() {
        if stretch.replace(example.stretch) != Some(example.stretch) {
            state = ((random.unit() * states as f64) as usize + turn) % states.max(1);
        }
        example.state = state;
    }
}
