//! Models that do as the test says, by the letters of their names: `big` ones take 10 bytes, others 4.

use std::time::{Duration, Instant};

use super::*;
use crate::{
    diffusion::{
        Card, Conditioning, GenerateError, LoadError, Model, Picture, Raw, Timing,
        device::{DeviceChoice, Precision},
    },
    latent::{Latent, Shape},
};

struct Plain(Card);

impl Model for Plain {
    fn card(&self) -> &Card {
        &self.0
    }
    fn flops(&self, _: Shape, _: usize) -> u64 {
        1
    }
    fn generate(
        &mut self,
        latent: &Latent,
        _: &Conditioning,
        _: usize,
        picture: &mut Picture,
    ) -> Result<Timing, GenerateError> {
        assert_eq!(latent.values.len(), 64 * 64);
        picture.rgba = vec![1];
        Ok(Timing::default())
    }
    fn generate_raw(&mut self, _: &Latent, _: &Conditioning, _: usize) -> Result<Raw, GenerateError> {
        unreachable!("not asked for")
    }
}

fn card_of(name: &str) -> Result<Card, LoadError> {
    if name.starts_with("missing") {
        return Err(LoadError::File { path: name.into(), what: "is not there".into() });
    }
    Ok(Card {
        name: name.to_owned(),
        genres: vec![],
        scene: vec![],
        context_width: 0,
        latent_channels: 1,
        factor: 8,
        multiple: 1,
        max_steps: 1,
        usual_steps: 1,
        reads_text: true,
        needs_signal: false,
        words: [0; 2],
        weights: if name.starts_with("big") { 10 } else { 4 },
        bytes: if name.starts_with("big") { 40 } else { 16 },
    })
}

fn load_of(name: &str, how: How) -> Result<Box<dyn Model>, LoadError> {
    if name.starts_with("broken") || how.device == DeviceChoice::Metal {
        return Err(LoadError::File { path: name.into(), what: "is cut short".into() });
    }
    Ok(Box::new(Plain(card_of(name)?)))
}

struct Show {
    residents: Residents,
    dreamer: Arc<Dreamer>,
    told: Vec<String>,
    how: How,
    played: Vec<String>,
}

impl Show {
    fn new() -> Self {
        let dreamer = Arc::new(Dreamer::start("box", load_of("box", How::default()).unwrap()).unwrap().0);
        let residents =
            Residents::with(Arc::clone(&dreamer), ("box", How::default()), Opener { card: card_of, load: load_of });
        Self { residents, dreamer, told: Vec::new(), how: How::default(), played: Vec::new() }
    }

    /// One frame. A weight takes four bytes.
    fn tick(&mut self, model: &str, ahead: &[String], budget_weights: u64) {
        let wanted = Wanted { model, how: self.how, ahead, budget_bytes: 4 * budget_weights };
        for turn in self.residents.tick(&wanted, WarmUp::default) {
            match turn {
                Turn::Plays { name, playing, anew } => {
                    assert_eq!(playing.card.name, name);
                    self.played.push(if anew { format!("{name} anew") } else { name });
                }
                Turn::Told(text) => self.told.push(text),
            }
        }
    }

    /// Frames until the condition holds.
    fn until(&mut self, model: &str, ahead: &[String], budget: u64, condition: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            assert!(start.elapsed() < Duration::from_secs(10), "waited in vain: {:?}", self.here());
            self.tick(model, ahead, budget);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn here(&self) -> Vec<String> {
        self.dreamer.residents().into_iter().map(|inmate| inmate.name).collect()
    }
}

#[test]
fn a_model_that_was_there_before_is_played_again_in_the_same_frame() {
    let mut show = Show::new();
    show.until("ink", &[], 100, |show| show.played == ["ink"]);
    assert_eq!(show.here(), ["ink", "box"]);
    show.tick("box", &[], 100);
    assert_eq!(show.played, ["ink", "box"]);
    assert_eq!((show.here(), show.residents.plays()), (vec!["box".to_owned(), "ink".to_owned()], "box"));
    assert!(show.told.is_empty());
}

#[test]
fn what_was_used_longest_ago_leaves_when_memory_is_short() {
    let mut show = Show::new();
    for (model, here) in
        [("a", vec!["a", "box"]), ("b", vec!["b", "a", "box"]), ("c", vec!["c", "b", "a"]), ("big", vec!["big"])]
    {
        show.until(model, &[], 12, |show| show.residents.plays() == model);
        assert_eq!(show.here(), here, "{model}");
    }
    assert_eq!(show.told.len(), 1, "{:?}", show.told);
    assert!(show.told[0].contains("big") && show.told[0].contains("/dream/memory"), "{:?}", show.told);
}

#[test]
fn models_of_presets_are_there_before_they_are_asked_for_as_far_as_memory_goes() {
    let mut show = Show::new();
    let ahead = ["a", "missing", "big", "b"].map(str::to_owned);
    show.until("box", &ahead, 12, |show| show.here().len() == 3);
    assert_eq!(show.here(), ["box", "b", "a"]);
    show.tick("b", &ahead, 12);
    assert_eq!(show.played, ["b"]);
    assert!(show.told.is_empty(), "{:?}", show.told);
    // It was not there when nobody needed it; whoever asks for it hears of it.
    show.until("missing", &ahead, 12, |show| !show.told.is_empty());
    assert!(show.told[0].contains("missing is not there") && show.told[0].contains("b plays on"), "{:?}", show.told);
}

#[test]
fn a_model_that_cannot_be_loaded_is_told_once_and_tried_again_when_it_is_asked_for_again() {
    let mut show = Show::new();
    show.until("broken", &[], 100, |show| show.told.len() == 1);
    for _ in 0..20 {
        show.tick("broken", &[], 100);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!((show.told.len(), show.residents.plays()), (1, "box"));
    show.tick("box", &[], 100);
    show.until("broken", &[], 100, |show| show.told.len() == 2);
}

#[test]
fn another_way_of_loading_loads_the_one_that_plays_again_while_it_plays_on() {
    let mut show = Show::new();
    show.until("ink", &[], 100, |show| show.played == ["ink"]);
    show.how.precision = Precision::Half;
    show.until("ink", &[], 100, |show| show.played.len() == 2);
    assert_eq!(show.played[1], "ink anew");
    assert_eq!(show.here(), ["ink"], "nothing stays that was loaded in the old way");
    // A way that there is not: told once, and what plays goes on.
    show.how.device = DeviceChoice::Metal;
    show.until("ink", &[], 100, |show| show.told.len() == 1);
    for _ in 0..20 {
        show.tick("ink", &[], 100);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!((show.told.len(), show.played.len(), show.here()), (1, 2, vec!["ink".to_owned()]));
    // Back again nothing is loaded, since that is how it plays.
    show.how.device = DeviceChoice::Auto;
    for _ in 0..20 {
        show.tick("ink", &[], 100);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!((show.told.len(), show.played.len()), (1, 2));
    // And a model that comes instead is loaded in the new way, with nothing left of the old one.
    show.how.device = DeviceChoice::Cpu;
    show.until("sea", &[], 100, |show| show.played.len() == 3);
    assert_eq!((show.played[2].as_str(), show.here()), ("sea", vec!["sea".to_owned()]));
}
