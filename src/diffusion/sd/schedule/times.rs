//! The steps of each sampler, and where they begin with a picture.

use super::{Begin, Sampler, ScheduleConfig, Step, TRAINED};

/// LCM's own schedule, of which a run takes some.
const LCM_ORIGINAL: usize = 50;

/// The steps of a run, and how many of `n` are left out before the first.
pub(super) fn steps(config: &ScheduleConfig, sampler: Sampler, n: usize, begin: Begin) -> (Vec<Step>, usize) {
    let squares = config.squares();
    let all = match sampler {
        Sampler::Lcm => lcm_times(n),
        Sampler::Ddim | Sampler::Plms => config.timesteps(Sampler::Ddim, n),
        Sampler::Euler => config.timesteps(sampler, n),
    };
    let (times, skipped, moved) = cut(all, begin);
    let steps = match sampler {
        Sampler::Ddim => ddim(config, &squares, n, &times, moved),
        Sampler::Plms => twice(ddim(config, &squares, n, &times, moved)),
        Sampler::Euler => euler(&squares, &times),
        Sampler::Lcm => lcm(&squares, &times),
    };
    (steps, skipped)
}

/// Leaves out what comes before the beginning, as diffusers' StableDiffusionImg2ImgPipeline counts it, but never all; and
/// tells whether the first step that is left was moved.
fn cut(mut times: Vec<f64>, begin: Begin) -> (Vec<f64>, usize, bool) {
    let n = times.len();
    let (strength, exact) = match begin {
        Begin::Noise => return (times, 0, false),
        Begin::Whole(strength) => (f64::from(strength), false),
        Begin::Exact(strength) => (f64::from(strength), true),
    };
    // Of float32: 0.7 of 10 steps is 7 and not 6.99999.
    let wanted = ((n as f64 * strength.clamp(0.0, 1.0)) * 1e6).round() / 1e6;
    let left = (wanted.floor() as usize).clamp(1, n);
    let skipped = n - left;
    let before = times[skipped];
    if exact {
        // Between the step before and the first one; in the last step, towards no noise at all.
        let first = if wanted < 1.0 {
            before * wanted
        } else {
            let above = skipped.checked_sub(1).map_or(before, |i| times[i]);
            before + (above - before) * (wanted - left as f64)
        };
        times[skipped] = first.round().max(0.0);
    }
    let moved = times[skipped] != before;
    (times.split_off(skipped), skipped, moved)
}

/// A step goes back 1000 / n timesteps; a first step that was moved, to the second.
fn ddim(config: &ScheduleConfig, squares: &[f64], n: usize, times: &[f64], moved: bool) -> Vec<Step> {
    let final_square = if config.ends_at_one { 1.0 } else { squares[0] };
    let back = (TRAINED / n) as i64;
    let whole = |t: f64| (t.round() as i64).clamp(0, TRAINED as i64 - 1);
    let step = |(i, t): (usize, &f64)| {
        let at = whole(*t);
        let next = match times.get(i + 1) {
            Some(next) if moved && i == 0 => whole(*next),
            _ => at - back,
        };
        let next = usize::try_from(next).map_or(final_square, |next| squares[next]);
        Step::new(*t, squares[at as usize], next, i + 1 == times.len())
    };
    times.iter().enumerate().map(step).collect()
}

/// PLMS takes its first step twice, the second time knowing the answer at its end.
fn twice(mut steps: Vec<Step>) -> Vec<Step> {
    if let [first, second, ..] = steps[..] {
        steps.insert(1, Step { timestep: second.timestep, ..first });
    }
    steps
}

/// Sigma is taken between whole timesteps where the spacing asks for it; the last step ends at 0.
fn euler(squares: &[f64], times: &[f64]) -> Vec<Step> {
    let sigma_at = |t: f64| {
        let sigma = |i: usize| ((1.0 - squares[i]) / squares[i]).sqrt();
        let low = (t.max(0.0).floor() as usize).min(TRAINED - 1);
        let high = (low + 1).min(TRAINED - 1);
        let part = (t - low as f64).clamp(0.0, 1.0);
        sigma(low) * (1.0 - part) + sigma(high) * part
    };
    let step = |(i, t): (usize, &f64)| {
        let sigma = sigma_at(*t);
        let next_sigma = times.get(i + 1).map_or(0.0, |t| sigma_at(*t));
        let square = 1.0 / (sigma * sigma + 1.0);
        let last = i + 1 == times.len();
        Step { sigma, next_sigma, ..Step::new(*t, square, 1.0 / (next_sigma * next_sigma + 1.0), last) }
    };
    times.iter().enumerate().map(step).collect()
}

/// Of the timesteps 999, 979, … 19 every (50 / n)th, from the first on.
fn lcm_times(n: usize) -> Vec<f64> {
    let skip = TRAINED / LCM_ORIGINAL;
    (0..n).map(|j| (skip * (LCM_ORIGINAL - j * LCM_ORIGINAL / n) - 1) as f64).collect()
}

fn lcm(squares: &[f64], times: &[f64]) -> Vec<Step> {
    let square = |t: f64| squares[(t as usize).min(TRAINED - 1)];
    let step = |(i, t): (usize, &f64)| {
        let next = *times.get(i + 1).unwrap_or(t);
        Step::new(*t, square(*t), square(next), i + 1 == times.len())
    };
    times.iter().enumerate().map(step).collect()
}
