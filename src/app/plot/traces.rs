//! How traces are scaled, and what of them is drawn: at most two points a pixel, the extremes.

/// Half of a lane holds this part of the samples.
const HELD: f32 = 0.995;

/// Extremes of the samples that fall on each pixel of a width; None where all of them are missing.
pub fn extremes(samples: &[f32], pixels: usize) -> Vec<Option<(f32, f32)>> {
    (0..pixels)
        .map(|pixel| {
            let bound = |pixel: usize| pixel * samples.len() / pixels;
            let found = samples[bound(pixel)..bound(pixel + 1)].iter().filter(|x| x.is_finite());
            found.fold(None, |seen: Option<(f32, f32)>, x| {
                Some(seen.map_or((*x, *x), |(low, high)| (low.min(*x), high.max(*x))))
            })
        })
        .collect()
}

/// Mean of what is there.
pub fn mean(samples: &[f32]) -> f32 {
    let (count, sum) =
        samples.iter().filter(|x| x.is_finite()).fold((0usize, 0.0f64), |(n, sum), x| (n + 1, sum + f64::from(*x)));
    (sum / count.max(1) as f64) as f32
}

/// How far from its mean a channel usually goes.
pub fn reach(samples: &[f32]) -> f32 {
    let mean = mean(samples);
    let mut sizes: Vec<f32> = samples.iter().filter(|x| x.is_finite()).map(|x| (x - mean).abs()).collect();
    if sizes.is_empty() {
        return 1.0;
    }
    let place = ((sizes.len() - 1) as f32 * HELD) as usize;
    let (_, reach, _) = sizes.select_nth_unstable_by(place, f32::total_cmp);
    if *reach > 0.0 { *reach } else { 1.0 }
}

/// The reach that channels of one unit have in common.
pub fn common_reach(reaches: &[f32]) -> f32 {
    let mut sorted = reaches.to_vec();
    sorted.sort_by(f32::total_cmp);
    // A loud channel may leave its lane, a quiet one is still seen.
    sorted.get(sorted.len() * 3 / 4).copied().unwrap_or(1.0)
}

/// A round length of a scale bar: at most this.
pub fn bar(most: f32) -> f64 {
    let most = f64::from(most).max(1e-30);
    let decade = 10f64.powf(most.log10().floor());
    [5.0, 2.0, 1.0].into_iter().map(|step| step * decade).find(|length| *length <= most * 1.001).unwrap_or(decade)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_is_drawn_however_narrow_the_page_and_what_is_missing_is_a_gap() {
        let mut samples = vec![0.0; 1000];
        samples[503] = 9.0;
        samples[100..300].fill(f32::NAN);
        let drawn = extremes(&samples, 20);
        assert_eq!(drawn[10], Some((0.0, 9.0)));
        assert_eq!((drawn[1], drawn[2], drawn[5], drawn[6]), (Some((0.0, 0.0)), None, None, Some((0.0, 0.0))));
        // Fewer samples than pixels: some have none of their own.
        assert_eq!(extremes(&[1.0, 2.0], 4), [None, Some((1.0, 1.0)), None, Some((2.0, 2.0))]);
    }

    #[test]
    fn a_scale_bar_is_round_and_not_too_long() {
        for (most, length) in [(7.3, 5.0), (0.021, 0.02), (460.0, 200.0), (1000.0, 1000.0)] {
            assert!((bar(most) - length).abs() < 1e-9, "{most}: {}", bar(most));
        }
    }
}
