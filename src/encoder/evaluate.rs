//! How well the steering follows the states of the synthetic rat, which are known.
//!
//! Trained on one rat, tested on another (another seed, hence another probe and other moments) and at a later time: no
//! window that is tested lies beside one that was learnt from. Beside it the same with the states of the stretches
//! shuffled before training: what is left then is what the procedure itself gives away. Both tell how the steering of a
//! made-up animal follows the states that it was made with, and nothing about thoughts.

use super::{
    EncoderError, Store,
    align::{Example, Label, Plan, Score, Scored, align, labels, score, windows},
    pairs::{Pairs, rat_states},
    pretrain::Watch,
    recording::Recording,
    steerer::Steerer,
};
use crate::encoder::align::Painter;

/// Between two windows that are scored, in windows of a stretch.
const EVERY: usize = 3;
/// The paper's ways that four states allow.
pub const WAYS: [usize; 2] = [2, 4];

/// Which rats.
#[derive(Debug, Clone, PartialEq)]
pub struct Rats {
    pub train_seed: u64,
    pub test_seed: u64,
    /// Of each.
    pub secs: f64,
    /// How often the states are shuffled: a head takes each kind of stretch for one state, so a single shuffle is far from
    /// chance by chance. As many shuffles as there are states are even.
    pub shuffles: usize,
}

/// One run: what was steered on the other rat, and the scores for [`WAYS`].
#[derive(Debug, Clone)]
pub struct Run {
    pub scored: Vec<Scored>,
    pub scores: Vec<Score>,
}

/// All that was found.
pub struct Evaluation {
    pub labels: Vec<Label>,
    pub pairs: Pairs,
    pub steered: Run,
    /// A head for each time that the states were shuffled; none where a head was given that is trained already.
    pub shuffled: Vec<Run>,
}

/// The rat from a seed with its states, from a moment on.
///
/// # Errors
/// Never for a rate that the rat takes.
pub fn rat(seed: u64, from_secs: f64, secs: f64, rate_hz: f64) -> Result<Pairs, EncoderError> {
    let mut recording = Recording::read(&format!("synth://rat?seed={seed}"), rate_hz, Some(from_secs + secs))?;
    let from = ((from_secs * rate_hz).round() as usize).min(recording.samples());
    for channel in &mut recording.channels {
        channel.drain(..from);
    }
    let before = recording.state_at(from_secs).map(str::to_owned);
    recording.states.retain(|(at, _)| *at > from_secs);
    recording.states.iter_mut().for_each(|(at, _)| *at -= from_secs);
    if let Some(before) = before {
        recording.states.insert(0, (0.0, before));
    }
    Ok(Pairs::from_states(recording, rat_states()))
}

/// Trains on one rat and tests on the other, with true and with shuffled states; or tests a head as it is.
///
/// # Errors
/// The encoder is none, or cannot be computed.
pub fn evaluate(
    store: &Store,
    trained: Option<&Store>,
    rats: &Rats,
    plan: &Plan,
    watch: &mut Watch,
) -> Result<Evaluation, EncoderError> {
    let shape = trained.unwrap_or(store).shape()?;
    let tested = vec![rat(rats.test_seed, rats.secs, rats.secs, shape.rate_hz)?];
    let labels = labels(&tested, &Painter::new()?)?;
    let examples: Vec<Example> = windows(&tested, &labels, &shape, |_| true)?.into_iter().step_by(EVERY).collect();
    let test = |store: &Store| -> Result<Run, EncoderError> {
        let scored = score(&Steerer::from_store(store)?, &tested, &examples, &labels)?;
        let scores = WAYS.map(|ways| Score::of(&scored, labels.len(), ways, plan.seed)).to_vec();
        Ok(Run { scored, scores })
    };
    let (steered, shuffled) = match trained {
        Some(head) => (test(head)?, Vec::new()),
        None => {
            let learnt = vec![rat(rats.train_seed, 0.0, rats.secs, shape.rate_hz)?];
            let (head, _) = align(&learnt, store, plan, watch)?;
            let mut shuffled = Vec::with_capacity(rats.shuffles);
            for n in 0..rats.shuffles {
                let plan = Plan { shuffled: Some(n), ..plan.clone() };
                shuffled.push(test(&align(&learnt, store, &plan, watch)?.0)?);
            }
            (test(&head)?, shuffled)
        }
    };
    let pairs = tested.into_iter().next().ok_or_else(|| EncoderError::Message("nothing was tested".into()))?;
    Ok(Evaluation { labels, pairs, steered, shuffled })
}

/// How often each true state (rows) was taken for each (columns).
pub fn confusion(run: &Run, states: usize) -> Vec<Vec<usize>> {
    let mut table = vec![vec![0; states]; states];
    for one in &run.scored {
        table[one.example.state][one.nearest] += 1;
    }
    table
}

/// The steering at a moment: of the scored window that ended last before it.
pub fn at(run: &Run, secs: f64) -> Option<&Scored> {
    run.scored.iter().take_while(|one| one.example.end_secs <= secs).last()
}
