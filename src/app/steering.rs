//! How the state of the signal reaches the picture: as offsets beside what was set, like an LFO's.
//!
//! [`Steering::tick`] runs once a frame on the thread that ticks [`Motion`], before it; in a film by its clock. The
//! prompt is blended where a picture is asked for ([`blended_prompt`]).

use std::sync::Arc;

use crate::{
    control::{Handle, Motion, SetError, Table, Value},
    diffusion::{SignalWords, sd::blends},
    encoder::head,
    state::{GenreMix, Mood, STATE_NAMES, STATES},
};

const GENRES: &str = "/dream/genre/";
/// Smaller offsets are none.
const LEAST: f32 = 1e-4;
/// A text is encoded anew for each other blend: shares go in steps.
const SHARE_STEPS: f32 = 12.0;

/// What an encoder says in the place of a prompt, and how much it counts.
pub fn words(said: &head::Steering, amount: f32) -> SignalWords {
    SignalWords { values: said.context.as_slice().into(), width: said.targets.context_width, weight: amount }
}

/// Follows `/steer`.
pub struct Steering {
    table: Table,
    layout: u64,
    /// Depth and path of vivid and bright.
    moods: [(Handle, Arc<str>); 2],
    mix: Handle,
    of_state: [Handle; STATES.len()],
    genres: Vec<(Arc<str>, Handle)>,
    base: Vec<f32>,
    offsets: Vec<f32>,
}

impl Steering {
    pub fn new(table: &Table) -> Result<Self, SetError> {
        let mood = |name: &str| Ok((table.handle(&format!("/steer/{name}"))?, Arc::from(format!("/dream/{name}"))));
        let genre = |state: &str| table.handle(&format!("/steer/genre/{state}"));
        let [awake, quiet, asleep, dreaming] = STATE_NAMES;
        let mut steering = Self {
            table: table.clone(),
            layout: 0,
            moods: [mood("vivid")?, mood("bright")?],
            mix: table.handle("/steer/mix")?,
            of_state: [genre(awake)?, genre(quiet)?, genre(asleep)?, genre(dreaming)?],
            genres: Vec::new(),
            base: Vec::new(),
            offsets: Vec::new(),
        };
        steering.find_genres();
        Ok(steering)
    }

    fn find_genres(&mut self) {
        self.layout = self.table.layout();
        let genre = |handle: Handle| {
            Some((Arc::from(handle.path()), handle)).filter(|(path, _): &(Arc<str>, _)| path.starts_with(GENRES))
        };
        self.genres = self.table.all().into_iter().filter_map(genre).collect();
    }

    /// Aims the next tick of `motion` as the mood says.
    pub fn tick(&mut self, mood: &Mood, motion: &mut Motion) {
        for (depth, path) in &self.moods {
            // From -1 to 1 is the whole normal scale.
            let offset = depth.f32() * mood.swing() / 2.0;
            if offset.abs() > LEAST {
                motion.aim(path, f64::from(offset));
            }
        }
        let mix = self.mix.f32();
        if mix <= 0.0 {
            return;
        }
        if self.layout != self.table.layout() {
            self.find_genres();
        }
        self.base.clear();
        self.base.extend(self.genres.iter().map(|(_, handle)| match handle.value() {
            Value::Float(weight) => weight as f32,
            _ => 0.0,
        }));
        let place = |handle: &Handle| {
            let wanted = handle.text();
            self.genres.iter().position(|(path, _)| path[GENRES.len()..] == *wanted)
        };
        let of_state = std::array::from_fn(|state| place(&self.of_state[state]));
        GenreMix { of_state, mix }.offsets(&self.base, &mood.shares, &mut self.offsets);
        for ((path, _), offset) in self.genres.iter().zip(&self.offsets) {
            if offset.abs() > LEAST {
                motion.aim(path, f64::from(*offset));
            }
        }
    }

    /// Every parameter that the state moves, for the panel.
    #[cfg(any(feature = "window", test))]
    pub fn movers(&self) -> impl Iterator<Item = (String, String)> {
        let moods = self.moods.iter().filter(|(depth, _)| depth.f32() != 0.0).map(|(_, path)| path);
        let genres = self.genres.iter().filter(|_| self.mix.f32() > 0.0).map(|(path, _)| path);
        moods.chain(genres).map(|path| (path.to_string(), "state".to_owned()))
    }
}

/// The prompts of the states, blended into the one that was set.
pub struct Prompts {
    words: Handle,
    of_state: [Handle; STATES.len()],
}

impl Prompts {
    pub fn new(table: &Table) -> Result<Self, SetError> {
        let prompt = |state: &str| table.handle(&format!("/steer/prompt/{state}"));
        let [awake, quiet, asleep, dreaming] = STATE_NAMES;
        let of_state = [prompt(awake)?, prompt(quiet)?, prompt(asleep)?, prompt(dreaming)?];
        Ok(Self { words: table.handle("/steer/words")?, of_state })
    }

    /// What is to be seen in this mood.
    pub fn blended(&self, set: &str, mood: &Mood) -> String {
        let texts = std::array::from_fn(|state| self.of_state[state].text());
        blended_prompt(set, &texts, &mood.shares, self.words.f32())
    }
}

/// `set` with the prompts of the states in it, `words` (0..1) strongly, in the spelling of weighted blends.
fn blended_prompt(set: &str, texts: &[Arc<str>; 4], shares: &[f32; 4], words: f32) -> String {
    let stepped = |share: f32| (share * words.clamp(0.0, 1.0) * SHARE_STEPS).round() / SHARE_STEPS;
    let with = texts.iter().zip(shares).map(|(text, share)| (text.trim(), stepped(*share)));
    let with: Vec<(&str, f32)> = with.filter(|(text, share)| !text.is_empty() && *share > 0.0).collect();
    let taken: f32 = with.iter().map(|(_, share)| share).sum();
    if taken <= 0.0 {
        return set.to_owned();
    }
    let kept = blends(set).into_iter().map(|(text, share)| (text.trim(), share * (1.0 - taken).max(0.0)));
    let states = with
        .into_iter()
        .flat_map(|(text, share)| blends(text).into_iter().map(move |(text, part)| (text, part * share)));
    // Within a blend a stroke parts prompts: one that was meant as a word becomes a comma.
    let spelt = |(text, share): (&str, f32)| format!("{}::{share:.3}", text.trim().replace('|', ","));
    kept.chain(states).filter(|(_, share)| *share >= 0.0005).map(spelt).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::full_table,
        control::Origin,
        diffusion,
        state::{Reading, State},
    };

    fn mood(state: State, arousal: f32) -> Mood {
        let mut shares = [0.0; 4];
        shares[state as usize] = 1.0;
        let mut mood = Mood::default();
        mood.hop(&Reading { arousal, shares, ..Reading::default() }, 1.0);
        mood
    }

    fn stage() -> (Table, Motion, Steering) {
        let table = full_table(&diffusion::card("box").unwrap());
        let (motion, steering) = (Motion::new(&table).unwrap(), Steering::new(&table).unwrap());
        (table, motion, steering)
    }

    fn played(table: &Table, path: &str) -> f64 {
        (table.handle(path).unwrap().number() * 1e3).round() / 1e3
    }

    fn set(table: &Table, settings: &[&str]) {
        settings.iter().for_each(|setting| drop(table.set_from_text(setting, Origin::Key).unwrap()));
    }

    #[test]
    fn nothing_moves_unasked() {
        let (table, mut motion, mut steering) = stage();
        set(&table, &["/dream/vivid=0.3", "/dream/genre/ink=0.5"]);
        let before: Vec<_> = table.all().iter().map(Handle::number).collect();
        steering.tick(&mood(State::Awake, 1.0), &mut motion);
        motion.tick(0.1, &[]);
        assert_eq!(table.all().iter().map(Handle::number).collect::<Vec<_>>(), before);
        assert_eq!(steering.movers().count(), 0);
    }

    #[test]
    fn arousal_moves_moods_around_what_was_set_and_leaves_it() {
        let (table, mut motion, mut steering) = stage();
        set(&table, &["/dream/bright=0.2", "/steer/bright=0.5", "/steer/vivid=-0.4"]);
        steering.tick(&mood(State::Awake, 1.0), &mut motion);
        motion.tick(0.1, &[]);
        assert_eq!((played(&table, "/dream/bright"), played(&table, "/dream/vivid")), (0.7, -0.4));
        assert_eq!(table.get("/dream/bright"), Ok(Value::Float(0.2)), "what was set stays");
        steering.tick(&mood(State::Asleep, 0.0), &mut motion);
        motion.tick(0.1, &[]);
        assert_eq!(played(&table, "/dream/bright"), -0.3);
        set(&table, &["/steer/bright=0", "/steer/vivid=0"]);
        steering.tick(&mood(State::Asleep, 0.0), &mut motion);
        motion.tick(0.1, &[]);
        assert_eq!(played(&table, "/dream/bright"), 0.2, "and is there again");
    }

    #[test]
    fn the_genre_of_the_state_is_mixed_in() {
        let (table, mut motion, mut steering) = stage();
        set(&table, &["/dream/genre/ink=1", "/steer/mix=0.75", "/steer/genre/asleep=surf"]);
        let mut frame = |state| {
            steering.tick(&mood(state, 0.5), &mut motion);
            motion.tick(0.1, &[]);
            (played(&table, "/dream/genre/ink"), played(&table, "/dream/genre/surf"))
        };
        assert_eq!(frame(State::Asleep), (0.25, 0.75));
        assert_eq!(frame(State::Awake), (1.0, 0.0), "without a genre of its own");
    }

    #[test]
    fn prompts_of_the_states_are_blended_by_their_shares() {
        let texts = ["a bright meadow".into(), "".into(), "night | fog".into(), "a::1 | b::3".into()];
        let text = |set: &str, shares, words| blended_prompt(set, &texts, &shares, words);
        assert_eq!(text("a sea", [1.0, 0.0, 0.0, 0.0], 0.0), "a sea");
        assert_eq!(text("a sea", [0.0, 1.0, 0.0, 0.0], 1.0), "a sea", "a state without a prompt");
        assert_eq!(text("a sea", [1.0, 0.0, 0.0, 0.0], 0.5), "a sea::0.500 | a bright meadow::0.500");
        assert_eq!(text("a sea", [1.0, 0.0, 0.0, 0.0], 1.0), "a bright meadow::1.000");
        assert_eq!(
            text("c::1 | d::1", [0.5, 0.0, 0.5, 0.0], 0.5),
            "c::0.250 | d::0.250 | a bright meadow::0.250 | night , fog::0.250"
        );
        assert_eq!(text("a sea", [0.0, 0.0, 0.0, 1.0], 1.0), "a::0.250 | b::0.750");
        let shares = |prompt: &str| blends(prompt).iter().map(|(_, share)| share).sum::<f32>();
        assert!((shares(&text("a sea", [0.3, 0.0, 0.33, 0.37], 0.9)) - 1.0).abs() < 0.01);
    }
}
