//! What the signal says of itself, by the names under which envelope followers find it.

use crate::state::{FEATURES, Pulse, Reading};

/// The names, in the order of [`features`].
pub fn names() -> [&'static str; FEATURES.len()] {
    FEATURES.map(|(name, _)| name)
}

/// Each feature with its value, 0..1; the wave is -1..1, and followers take its size.
pub fn features(pulse: &Pulse, reading: &Reading) -> [(&'static str, f32); FEATURES.len()] {
    reading.features(pulse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::{ear::Ear, full_table},
        control::{Motion, Origin, Value},
        diffusion,
        signal::{self, Settings},
    };

    /// Plays a rat in a state for some seconds, with a follower on a feature; gives what the follower's target came to.
    fn moved(state: &str, feature: &str) -> f64 {
        let table = full_table(&diffusion::card("box").unwrap());
        for setting in
            [&format!("/envelope/1/source={feature}"), "/envelope/1/target=/effect/bloom/amount", "/envelope/1/depth=1"]
        {
            table.set_from_text(setting, Origin::Panel).unwrap();
        }
        let mut motion = Motion::new(&table).unwrap();
        let source = signal::open(&format!("synth://rat?seed=6&channels=8&state={state}")).unwrap();
        let mut ear = Ear::new(source, Settings::default(), &table).unwrap();
        for hop in 1..=450 {
            ear.advance_to_hop(hop).unwrap();
            assert!(ear.listen(hop));
            assert!(motion.tick(1.0 / 30.0, &features(ear.pulse(), ear.reading())).is_empty());
        }
        let target = table.handle("/effect/bloom/amount").unwrap();
        assert_eq!(target.value(), Value::Float(0.0), "what was set stays");
        target.number()
    }

    #[test]
    fn the_state_of_a_signal_moves_a_parameter_all_the_way() {
        assert!(moved("awake", "awake") > 0.6 && moved("awake", "asleep") < 0.1);
        assert!(moved("sleep", "asleep") > 0.6 && moved("sleep", "awake") < 0.1);
    }

    #[test]
    fn the_names_that_presets_of_before_use_are_still_there_and_first() {
        assert_eq!(names()[..3], ["level", "onset", "wave"]);
        let distinct: std::collections::HashSet<_> = names().into_iter().collect();
        assert_eq!(distinct.len(), names().len());
    }
}
