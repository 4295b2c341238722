use super::*;

fn times(config: &ScheduleConfig, sampler: Sampler, steps: usize) -> Vec<f32> {
    Schedule::new(config, sampler, steps).steps().iter().map(|s| s.timestep).collect()
}

#[test]
fn timesteps_are_those_of_diffusers() {
    let sd15 = ScheduleConfig::usual(Sampler::Ddim);
    assert_eq!(times(&sd15, Sampler::Ddim, 5), [801.0, 601.0, 401.0, 201.0, 1.0]);
    assert_eq!(times(&sd15, Sampler::Ddim, 3), [667.0, 334.0, 1.0]);
    assert_eq!(times(&sd15, Sampler::Lcm, 4), [999.0, 759.0, 499.0, 259.0]);
    assert_eq!(times(&sd15, Sampler::Lcm, 1), [999.0]);
    assert_eq!(times(&sd15, Sampler::Lcm, 50).last(), Some(&19.0));
    assert_eq!(times(&sd15, Sampler::Euler, 4), [999.0, 749.0, 499.0, 249.0]);
    assert_eq!(times(&sd15, Sampler::Euler, 3), [999.0, 666.0, 332.0]);
    let linspace = ScheduleConfig { spacing: Some(Spacing::Linspace), ..ScheduleConfig::usual(Sampler::Euler) };
    assert_eq!(times(&linspace, Sampler::Euler, 3), [999.0, 499.5, 0.0]);
}

#[test]
fn turbo_starts_at_the_largest_sigma() {
    let schedule = Schedule::new(&ScheduleConfig::usual(Sampler::Ddim), Sampler::Euler, 1);
    assert!((schedule.start - 14.61464).abs() < 1e-4, "{}", schedule.start);
    let mut x = [14.61464_f32 * 2.0];
    schedule.advance(&schedule.steps()[0], &mut x, &[2.0], None);
    assert!(x[0].abs() < 1e-3);
}

/// A U-Net that knows the picture: its answer is exact, so every sampler must end at the picture.
#[test]
fn with_exact_answers_every_sampler_ends_at_the_picture() {
    for prediction in [Prediction::Epsilon, Prediction::Velocity] {
        for (_, sampler) in Sampler::NAMES {
            for n in [1, 2, 7, 50] {
                let config = ScheduleConfig { prediction, ends_at_one: true, ..ScheduleConfig::usual(sampler) };
                let schedule = Schedule::new(&config, sampler, n);
                let picture = 0.7_f64;
                let mut x = [schedule.steps()[0].picture_and_noise(&schedule, picture, 0.3)];
                for step in schedule.steps() {
                    let (noise_share, picture_share) = schedule.mix(step);
                    let noise = (f64::from(x[0]) - f64::from(picture_share) * picture) / f64::from(noise_share);
                    let answer = match prediction {
                        Prediction::Epsilon => noise,
                        Prediction::Velocity => step.a * noise - step.b * picture,
                    };
                    schedule.advance(step, &mut x, &[answer as f32], Some(&[-0.4]));
                }
                assert!((f64::from(x[0]) - picture).abs() < 2e-3, "{prediction:?} {sampler:?} {n}: {}", x[0]);
            }
        }
    }
}

impl Step {
    fn picture_and_noise(&self, schedule: &Schedule, picture: f64, noise: f64) -> f32 {
        let (b, a) = schedule.mix(self);
        (f64::from(a) * picture + f64::from(b) * noise) as f32
    }
}
