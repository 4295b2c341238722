use candle_core::{Device, Tensor};

use super::*;

/// A step of a latent of one number.
fn step_of(schedule: &Schedule, step: &Step, x: f32, answer: f32, past: &mut Past, noise: Option<f32>) -> f32 {
    let tensor = |v: f32| Tensor::new(&[v], &Device::Cpu).unwrap();
    let by = Tensor::new(&schedule.factors(step), &Device::Cpu).unwrap().reshape((FACTORS, 1)).unwrap();
    let (mut x, mut answer) = (tensor(x), tensor(answer));
    if schedule.sampler() == Sampler::Plms {
        (x, answer) = past.blend(&x, &answer).unwrap();
    }
    advanced(&x, &answer, noise.map(tensor).as_ref(), &by).unwrap().to_vec1::<f32>().unwrap()[0]
}

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
    let x = step_of(&schedule, &schedule.steps()[0], 14.61464 * 2.0, 2.0, &mut Past::default(), None);
    assert!(x.abs() < 1e-3);
}

/// A U-Net that knows the picture: its answer is exact, so every sampler must end at the picture.
#[test]
fn with_exact_answers_every_sampler_ends_at_the_picture() {
    for prediction in [Prediction::Epsilon, Prediction::Velocity] {
        for (_, sampler) in Sampler::NAMES {
            if (sampler, prediction) == (Sampler::Plms, Prediction::Velocity) {
                // Its answers at two timesteps are mixed, and a velocity is another at each.
                continue;
            }
            for n in [1, 2, 7, 50] {
                let config = ScheduleConfig { prediction, ends_at_one: true, ..ScheduleConfig::usual(sampler) };
                let schedule = Schedule::new(&config, sampler, n);
                let picture = 0.7_f64;
                let mut x = schedule.steps()[0].picture_and_noise(&schedule, picture, 0.3);
                let mut past = Past::default();
                for step in schedule.steps() {
                    let (noise_share, picture_share) = schedule.mix(step);
                    let noise = (f64::from(x) - f64::from(picture_share) * picture) / f64::from(noise_share);
                    let answer = match prediction {
                        Prediction::Epsilon if sampler == Sampler::Plms => 0.3,
                        Prediction::Epsilon => noise,
                        Prediction::Velocity => step.a * noise - step.b * picture,
                    };
                    x = step_of(&schedule, step, x, answer as f32, &mut past, Some(-0.4));
                }
                assert!((f64::from(x) - picture).abs() < 2e-3, "{prediction:?} {sampler:?} {n}: {x}");
            }
        }
    }
}

#[test]
fn plms_takes_the_second_step_twice() {
    let sd15 = ScheduleConfig::usual(Sampler::Ddim);
    assert_eq!(times(&sd15, Sampler::Plms, 5), [801.0, 601.0, 601.0, 401.0, 201.0, 1.0]);
    assert_eq!(times(&sd15, Sampler::Plms, 1), [1.0]);
}

#[test]
fn from_a_picture_the_last_steps_are_taken_and_at_least_one() {
    let sd15 = ScheduleConfig::usual(Sampler::Ddim);
    let begun = |sampler, steps, begin| {
        let schedule = Schedule::beginning(&sd15, sampler, steps, begin);
        let times: Vec<f32> = schedule.steps().iter().map(|s| s.timestep).collect();
        (times, schedule.skipped())
    };
    assert_eq!(begun(Sampler::Ddim, 5, Begin::Whole(0.5)), (vec![201.0, 1.0], 3));
    assert_eq!(begun(Sampler::Ddim, 5, Begin::Whole(0.6)), (vec![401.0, 201.0, 1.0], 2));
    assert_eq!(begun(Sampler::Ddim, 5, Begin::Whole(1.0)).1, 0);
    assert_eq!(begun(Sampler::Euler, 10, Begin::Whole(0.7)).1, 3);
    for odd in [0.0, -1.0, f32::NAN] {
        assert_eq!(begun(Sampler::Lcm, 4, Begin::Whole(odd)), (vec![259.0], 3), "{odd}");
    }
    // A knob does not jump: between whole steps the first one is shorter.
    assert_eq!(begun(Sampler::Euler, 4, Begin::Exact(0.5)), (vec![499.0, 249.0], 2));
    assert_eq!(begun(Sampler::Euler, 4, Begin::Exact(0.6)), (vec![599.0, 249.0], 2));
    assert_eq!(begun(Sampler::Euler, 1, Begin::Exact(0.5)), (vec![500.0], 0));
}

/// What is left to do from a moved first step ends at the picture too.
#[test]
fn with_exact_answers_a_run_from_a_picture_ends_at_the_picture() {
    for (_, sampler) in Sampler::NAMES {
        for strength in [0.0, 0.1, 0.33, 0.5, 0.77, 1.0] {
            let config = ScheduleConfig { ends_at_one: true, ..ScheduleConfig::usual(sampler) };
            let schedule = Schedule::beginning(&config, sampler, 6, Begin::Exact(strength));
            let mut x = schedule.steps()[0].picture_and_noise(&schedule, 0.7, 0.3);
            let mut past = Past::default();
            for step in schedule.steps() {
                // LCM's fresh noise is the same noise here, so that the exact answer stays.
                x = step_of(&schedule, step, x, 0.3, &mut past, Some(0.3));
            }
            assert!((f64::from(x) - 0.7).abs() < 3e-2, "{sampler:?} {strength}: {x}");
        }
    }
}

impl Step {
    fn picture_and_noise(&self, schedule: &Schedule, picture: f64, noise: f64) -> f32 {
        let (b, a) = schedule.mix(self);
        (f64::from(a) * picture + f64::from(b) * noise) as f32
    }
}
