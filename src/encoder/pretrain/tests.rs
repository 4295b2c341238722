use std::sync::atomic::AtomicBool;

use super::*;

fn plan(steps: usize) -> Plan {
    let shape = Shape { channels: 2, rate_hz: 64.0, window: 64, patch: 4, width: 32, depth: 1, heads: 2, hidden: 32 };
    Plan { shape, masked: 0.75, steps, batch: 8, learning_rate: 3e-3, held_out: 0.25, seed: 3 }
}

/// Two sines of which each half second tells the whole: what an encoder must learn.
fn sines() -> Recording {
    let wave = |hz: f64| (0..64 * 60).map(|n| (n as f64 / 64.0 * std::f64::consts::TAU * hz).sin() as f32).collect();
    Recording { name: "sines".into(), rate_hz: 64.0, channels: vec![wave(3.0), wave(5.0)], states: Vec::new() }
}

fn run(steps: usize, output: &Path) -> Result<Outcome, EncoderError> {
    let mut watch = Watch { stop: &AtomicBool::new(false), tell: &mut |_, _, _| {} };
    pretrain(&[sines()], &plan(steps), output, &mut watch)
}

#[test]
fn training_learns_to_tell_what_is_hidden_and_writes_an_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("e.safetensors");
    let outcome = run(150, &output).unwrap();
    assert!(outcome.held_out.beats_both(), "{:?}", outcome.tested);
    assert!(outcome.losses[140..].iter().sum::<f32>() < 0.7 * outcome.losses[..10].iter().sum::<f32>());
    let store = crate::encoder::load(&output, &Device::Cpu).unwrap();
    assert_eq!(store.shape().unwrap(), plan(0).shape);
    assert!(store.tensors.keys().all(|name| !name.contains("decoder")));
}

#[test]
fn a_training_that_was_stopped_goes_on_as_if_it_had_not_been() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole.safetensors"), folder.path().join("parts.safetensors"));
    let straight = run(12, &whole).unwrap();
    let stop = AtomicBool::new(false);
    let mut tell = |done, _, _| stop.store(done == 5, Ordering::Relaxed);
    let first = pretrain(&[sines()], &plan(12), &parts, &mut Watch { stop: &stop, tell: &mut tell }).unwrap();
    assert!(first.stopped && first.steps == 5);
    let second = run(12, &parts).unwrap();
    assert_eq!(second.losses, straight.losses);
    let values = |path: &Path| -> Vec<Vec<f32>> {
        let store = crate::encoder::load(path, &Device::Cpu).unwrap();
        store.tensors.values().map(|tensor| tensor.flatten_all().unwrap().to_vec1().unwrap()).collect()
    };
    assert!(values(&whole) == values(&parts));
}

#[test]
fn a_state_of_other_settings_and_recordings_too_short_are_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("e.safetensors");
    run(1, &output).unwrap();
    let mut watch = Watch { stop: &AtomicBool::new(false), tell: &mut |_, _, _| {} };
    let other = Plan { masked: 0.5, ..plan(1) };
    let message = pretrain(&[sines()], &other, &output, &mut watch).unwrap_err().to_string();
    assert!(message.contains("e.state is the state of a training with other settings"), "{message}");
    let short = Recording { channels: vec![vec![0.0; 100]], ..sines() };
    let message = pretrain(&[short], &plan(1), &output, &mut watch).unwrap_err().to_string();
    assert!(message.contains("too short"), "{message}");
}

#[test]
fn what_is_learnt_and_what_is_tested_never_share_a_sample() {
    let parts = batch::parts(&[sines()], &plan(1)).unwrap();
    let last_learnt = parts[0].learnt.end - 1 + 64;
    assert!(last_learnt <= parts[0].tested.start, "{parts:?}");
}
