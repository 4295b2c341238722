use std::{path::PathBuf, sync::atomic::AtomicBool};

use super::*;
use crate::encoder::{
    Shape,
    pairs::{Mark, State, rat_states},
    recording::Recording,
    steerer::Steerer,
};

const RATE_HZ: f64 = 64.0;

fn shape() -> Shape {
    Shape { channels: 2, rate_hz: RATE_HZ, window: 64, patch: 4, width: 32, depth: 1, heads: 2, hidden: 32 }
}

/// An encoder that has learnt nothing.
fn encoder() -> Store {
    let mut vars = Vars::default();
    vars.begin(&shape().tensors(), &mut Random::new(3), &Device::Cpu).unwrap();
    let mut tensors: BTreeMap<String, Tensor> =
        vars.vars.iter().map(|(n, slot)| (n.clone(), slot.var.as_tensor().detach())).collect();
    // Filters as large as its positions, as they are after training.
    if let Some(filters) = tensors.get_mut("patch_embed.proj.weight") {
        *filters = (&*filters * 15.0).unwrap();
    }
    Store { tensors, head: shape().metadata(), path: PathBuf::from("made") }
}

/// Two states, told by their frequency, four seconds each.
fn two_states(seed: u64) -> Pairs {
    let mut random = Random::new(seed);
    let stretches: Vec<(f64, f64, usize)> = (0..24).map(|n| (n as f64 * 4.0, random.unit(), n % 2)).collect();
    let wave = |n: usize, channel: usize| {
        let secs = n as f64 / RATE_HZ;
        let (_, phase, state) = stretches[(secs / 4.0) as usize];
        let hz = if state == 0 { 3.0 } else { 9.0 };
        ((secs * hz + phase + 0.2 * channel as f64) * std::f64::consts::TAU).sin() as f32
    };
    let count = (stretches.len() as f64 * 4.0 * RATE_HZ) as usize;
    let channels = (0..2).map(|channel| (0..count).map(|n| wave(n, channel)).collect()).collect();
    let states: Vec<State> = rat_states().into_iter().take(2).collect();
    let marks = stretches.iter().map(|(from, _, state)| Mark {
        from_secs: *from,
        to_secs: from + 4.0,
        state: states[*state].name.clone(),
    });
    let marks = marks.collect();
    Pairs {
        recording: Recording { name: "made".into(), rate_hz: RATE_HZ, channels, states: Vec::new() },
        states,
        marks,
    }
}

fn plan(steps: usize, flow: f64) -> Plan {
    Plan {
        steps,
        batch: 16,
        blocks: 1,
        learning_rate: 3e-3,
        flow,
        cosine: 0.3,
        clip: None,
        seed: 1,
        shuffled: None,
        held_out: 0.0,
    }
}

fn trained(plan: &Plan) -> (Store, Outcome) {
    let mut watch = Watch { stop: &AtomicBool::new(false), tell: &mut |_, _, _| {} };
    align(&[two_states(1)], &encoder(), plan, &mut watch).unwrap()
}

#[test]
fn a_clip_image_model_looks_at_the_pictures_and_the_signal_learns_what_it_sees() {
    let clip = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clip_vision");
    let cosine = |steps| trained(&Plan { clip: Some(clip.clone()), cosine: 3.0, ..plan(steps, 0.0) }).1.losses[2];
    let (first, last) = (cosine(1), cosine(60));
    assert!(last < 0.5 * first, "{first} {last}");
    let nowhere = Plan { clip: Some("nowhere".into()), ..plan(1, 0.0) };
    let mut watch = Watch { stop: &AtomicBool::new(false), tell: &mut |_, _, _| {} };
    let message = align(&[two_states(1)], &encoder(), &nowhere, &mut watch).unwrap_err().to_string();
    assert!(message.starts_with("nowhere holds no config.json"), "{message}");
}

fn top_1(store: &Store) -> Score {
    let other = [two_states(2)];
    let labels = labels(&other, &Painter::new().unwrap()).unwrap();
    let examples = windows(&other, &labels, &shape(), |_| true).unwrap();
    let scored = score(&Steerer::from_store(store).unwrap(), &other, &examples, &labels).unwrap();
    Score::of(&scored, 2, 2, 1)
}

#[test]
fn steering_follows_the_states_of_a_signal_that_was_not_learnt_from() {
    let found = top_1(&trained(&plan(150, 0.0)).0);
    assert!(found.share > 0.9 && found.low > 0.8, "{found:?}");
    assert!(found.low <= found.share && found.share <= found.high);
}

/// Of two states that are told apart at a glance, a shuffled majority makes one steering or the other: what tells is that
/// the labels cannot be followed.
#[test]
fn with_shuffled_states_there_is_nothing_to_learn() {
    let label_loss = |shuffled| trained(&Plan { shuffled, ..plan(150, 0.0) }).1.losses[0];
    let (true_states, shuffled) = (label_loss(None), label_loss(Some(0)));
    assert!(shuffled > 3.0 * true_states, "{shuffled} and {true_states}");
}

#[test]
fn the_diffusion_loss_reaches_the_head_and_the_file_is_read_again() {
    let (store, outcome) = trained(&plan(4, 1.0));
    assert!(outcome.losses.iter().all(|loss| loss.is_finite()) && outcome.losses[1] > 0.0, "{outcome:?}");
    assert!(outcome.unsteered > 0.0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("head.safetensors");
    crate::encoder::save(&path, &store.tensors, &store.head).unwrap();
    let steerer = Steerer::open(&path.display().to_string()).unwrap();
    let window = two_states(1).recording.window(&shape(), 0);
    assert_eq!(steerer.steer(&window).unwrap(), Steerer::from_store(&store).unwrap().steer(&window).unwrap());
    assert_eq!(steerer.targets().scene, ["warmth"]);
}

#[test]
fn an_encoder_without_a_head_and_looks_that_the_box_has_not_are_refused_in_a_sentence() {
    let message = Steerer::from_store(&encoder()).unwrap_err().to_string();
    assert!(message.contains("no head that steers"), "{message}");
    let mut pairs = two_states(1);
    pairs.states[0].genre.insert("cubism".into(), 1.0);
    let message = labels(&[pairs], &Painter::new().unwrap()).unwrap_err().to_string();
    assert!(message.contains("cubism") && message.contains("the box has ink"), "{message}");
}

#[test]
fn shuffling_keeps_stretches_whole_and_gives_each_every_state_in_turn() {
    let pairs = [two_states(1)];
    let labels = labels(&pairs, &Painter::new().unwrap()).unwrap();
    let before = windows(&pairs, &labels, &shape(), |_| true).unwrap();
    let shuffled = |turn| {
        let mut after = before.clone();
        windows::shuffle(&mut after, 2, turn, &mut Random::new(5));
        assert!(after.windows(2).all(|two| two[0].stretch != two[1].stretch || two[0].state == two[1].state));
        after
    };
    let (first, second) = (shuffled(0), shuffled(1));
    assert!(first != before && first.iter().any(|one| one.state == 0) && first.iter().any(|one| one.state == 1));
    assert!(first.iter().zip(&second).all(|(a, b)| a.state == 1 - b.state));
}

#[test]
fn words_of_a_signal_become_those_of_its_states_prompt() {
    let pairs = [two_states(1)];
    let labels = labels(&pairs, &Painter::new().unwrap()).unwrap();
    assert_eq!(prompts(&pairs, &labels).unwrap()[1], "calm surf on a wide beach, soft light");
    // Two texts of 9 words of 20 numbers, one of which is a hundred times larger, as CLIP's are.
    let mut random = Random::new(5);
    let values: Vec<f32> =
        (0..2 * 9 * 20).map(|n| random.normal() as f32 * if n % 20 == 7 { 100.0 } else { 1.0 }).collect();
    let prompts = Prompts { words: Tensor::from_vec(values, (2, 9, 20), &Device::Cpu).unwrap() };
    let mut watch = Watch { stop: &AtomicBool::new(false), tell: &mut |_, _, _| {} };
    let (store, _) = align_words(&pairs, &labels, &encoder(), &prompts, &plan(250, 0.0), &mut watch).unwrap();

    let other = [two_states(2)];
    let examples = windows(&other, &labels, &shape(), |_| true).unwrap();
    let steerer = Steerer::from_store(&store).unwrap();
    assert!(steerer.targets().are_words());
    let scored = score_words(&steerer, &other, &examples, &prompts).unwrap();
    let found = Score::of(&scored, 2, 2, 1);
    assert!(found.share > 0.9, "{found:?}");
    // Nearer to the state's own words than the mean of both is.
    let row = |state: usize| prompts.words.get(state).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (first, second) = (row(0), row(1));
    let error = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
    let to_mean = error(&first, &second) / 4.0;
    let own = |one: &Scored| error(&one.steering.context, if one.example.state == 0 { &first } else { &second });
    let mean = scored.iter().map(own).sum::<f64>() / scored.len() as f64;
    assert!(mean < 0.6 * to_mean, "{mean} of {to_mean}");
    let message = score(&steerer, &other, &examples, &labels).unwrap_err().to_string();
    assert!(message.contains("makes words for Stable Diffusion"), "{message}");

    let mut without = two_states(1);
    without.states[0].prompt = None;
    let message = super::prompts(&[without], &labels).unwrap_err().to_string();
    assert!(message.contains("the state awake has no prompt"), "{message}");
}
