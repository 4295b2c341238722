//! How often the steering is nearer to the true state than to others: n-way top-1, each state counted alike, with an
//! interval from drawing whole stretches again and again (windows of one stretch are not independent).

use super::{Example, Label};
use crate::{
    encoder::{EncoderError, head::Steering, pairs::Pairs, steerer::Steerer},
    signal::Random,
};

const DRAWS: usize = 1000;

/// A test window with what was steered.
#[derive(Debug, Clone)]
pub struct Scored {
    pub example: Example,
    pub steering: Steering,
    /// State whose look is nearest.
    pub nearest: usize,
    /// States that were nearer than the true one.
    pub nearer: usize,
}

/// A share with the limits of its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    pub ways: usize,
    pub share: f64,
    pub low: f64,
    pub high: f64,
}

/// Squared distance of what is steered to the look of a state.
fn distance(steering: &Steering, label: &Label) -> f32 {
    let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    let mood = [steering.vivid, steering.bright];
    apart(&steering.genres, &label.genres)
        + 0.5 * apart(&mood, &label.mood)
        + 0.5 * apart(&steering.scene, &label.scene)
}

/// The state whose look is nearest, and how many are nearer than the true one.
pub fn nearest(steering: &Steering, labels: &[Label], truth: usize) -> (usize, usize) {
    let distances: Vec<f32> = labels.iter().map(|label| distance(steering, label)).collect();
    let best = distances.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(at, _)| at);
    let own = distances.get(truth).copied().unwrap_or(f32::MAX);
    (best, distances.iter().enumerate().filter(|(at, d)| *at != truth && **d <= own).count())
}

/// Steers every window.
///
/// # Errors
/// The encoder cannot be computed, or its head makes words.
pub fn score(
    steerer: &Steerer,
    pairs: &[Pairs],
    examples: &[Example],
    labels: &[Label],
) -> Result<Vec<Scored>, EncoderError> {
    if steerer.targets().are_words() {
        let what = "the head makes words for Stable Diffusion, and the states are told by genres: give one of the box";
        return Err(EncoderError::Message(what.to_owned()));
    }
    let one = |example: &Example| {
        let window = pairs[example.pairs].recording.window(steerer.shape(), example.first);
        let steering = steerer.steer(&window)?;
        let (nearest, nearer) = nearest(&steering, labels, example.state);
        Ok(Scored { example: *example, steering, nearest, nearer })
    };
    examples.iter().map(one).collect()
}

/// The chance that the true state is nearest among itself and `ways - 1` others drawn at random.
fn wins(nearer: usize, states: usize, ways: usize) -> f64 {
    let farther = states - 1 - nearer;
    (0..ways - 1).map(|n| farther.saturating_sub(n) as f64 / (states - 1 - n) as f64).product()
}

/// Mean over the states of the mean over their windows.
fn balanced(scored: &[&Scored], states: usize, ways: usize) -> f64 {
    let (mut sums, mut counts) = (vec![0.0; states], vec![0.0; states]);
    for one in scored {
        sums[one.example.state] += wins(one.nearer, states, ways);
        counts[one.example.state] += 1.0;
    }
    let there: Vec<f64> = sums.iter().zip(&counts).filter(|(_, n)| **n > 0.0).map(|(sum, n)| sum / n).collect();
    there.iter().sum::<f64>() / there.len().max(1) as f64
}

impl Score {
    /// Of windows in `states` states.
    pub fn of(scored: &[Scored], states: usize, ways: usize, seed: u64) -> Self {
        let ways = ways.clamp(2, states.max(2));
        let mut stretches: Vec<Vec<&Scored>> = Vec::new();
        for one in scored {
            match stretches.last_mut() {
                Some(stretch) if stretch[0].example.stretch == one.example.stretch => stretch.push(one),
                _ => stretches.push(vec![one]),
            }
        }
        let mut random = Random::new(seed);
        let mut draws: Vec<f64> = (0..DRAWS)
            .map(|_| {
                let pick = |_| stretches[(random.unit() * stretches.len() as f64) as usize].iter().copied();
                let drawn: Vec<&Scored> = (0..stretches.len()).flat_map(pick).collect();
                balanced(&drawn, states, ways)
            })
            .collect();
        draws.sort_by(f64::total_cmp);
        let at = |share: f64| draws.get((share * (DRAWS - 1) as f64) as usize).copied().unwrap_or_default();
        let share = balanced(&scored.iter().collect::<Vec<_>>(), states, ways);
        Self { ways, share, low: at(0.025), high: at(0.975) }
    }

    pub fn chance(&self) -> f64 {
        1.0 / self.ways as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn among_all_states_only_the_nearest_wins_and_among_two_the_share_that_is_farther() {
        assert_eq!([0, 1, 3].map(|nearer| wins(nearer, 4, 4)), [1.0, 0.0, 0.0]);
        assert!((wins(1, 4, 2) - 2.0 / 3.0).abs() < 1e-12 && wins(0, 4, 3) == 1.0);
    }
}
