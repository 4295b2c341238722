//! What happens while a control and its parameter are not at the same place.
//!
//! All positions are 0..1 along the control's way. The state starts anew whenever the parameter was moved by another
//! way: who calls finds that out from the table and says [`State::let_go`].

use super::map::Takeover;

/// Nearer than this counts as the same place: a step and a half of a control with 7 bits.
const NEAR: f64 = 1.5 / 127.0;

/// What is known of a control's place.
#[derive(Debug, Clone, Copy, Default)]
pub struct State {
    /// Where the control was last.
    last: Option<f64>,
    has: bool,
}

impl State {
    /// The parameter went elsewhere: the control does not have it any more.
    pub fn let_go(&mut self) {
        self.has = false;
    }

    /// The control was brought to the parameter's place, by a motor or as the count of an encoder.
    pub fn brought_to(&mut self, position: f64) {
        *self = Self { last: Some(position), has: true };
    }

    /// Whether a move of the control moves the parameter.
    pub fn has(&self) -> bool {
        self.has
    }

    /// Where the parameter goes when the control goes to `to` and the parameter is at `at`; None leaves it. `same` is
    /// true if both are the same value of a parameter that has only a few.
    pub fn moved(&mut self, takeover: Takeover, to: f64, at: f64, same: bool) -> Option<f64> {
        let last = self.last.replace(to);
        if self.has || takeover == Takeover::None || same || (to - at).abs() <= NEAR {
            self.has = true;
            return Some(to);
        }
        // Nothing is known of the way here: the next move has a direction.
        let last = last?;
        match takeover {
            Takeover::PickUp => {
                self.has = (last - at) * (to - at) <= 0.0;
                self.has.then_some(to)
            }
            _ => {
                let upwards = to > last;
                let (left, left_at) = if upwards { (1.0 - last, 1.0 - at) } else { (last, at) };
                let part = if left > 0.0 { ((to - last).abs() / left).min(1.0) } else { 1.0 };
                let place = if upwards { at + part * left_at } else { at - part * left_at };
                Some(place.clamp(0.0, 1.0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves a control along `way`; returns where the parameter, which starts at `at`, goes.
    fn follow(takeover: Takeover, mut at: f64, way: &[f64]) -> Vec<f64> {
        let mut state = State::default();
        let mut places = Vec::new();
        for to in way {
            at = state.moved(takeover, *to, at, false).unwrap_or(at);
            places.push((at * 1000.0).round() / 1000.0);
        }
        places
    }

    #[test]
    fn pick_up_waits_until_the_control_passes_the_value() {
        assert_eq!(follow(Takeover::PickUp, 0.5, &[0.1, 0.3, 0.45, 0.55, 0.9]), [0.5, 0.5, 0.5, 0.55, 0.9]);
        assert_eq!(follow(Takeover::PickUp, 0.5, &[0.9, 0.6, 0.2]), [0.5, 0.5, 0.2]);
        assert_eq!(follow(Takeover::PickUp, 0.5, &[0.505, 0.6]), [0.505, 0.6], "near enough to begin with");
    }

    #[test]
    fn pick_up_does_not_take_a_first_message_for_a_way() {
        assert_eq!(follow(Takeover::PickUp, 0.5, &[1.0]), [0.5]);
        assert_eq!(follow(Takeover::PickUp, 0.0, &[1.0, 0.9]), [0.0, 0.0]);
    }

    #[test]
    fn pick_up_starts_anew_when_it_is_let_go() {
        let mut state = State::default();
        assert_eq!(state.moved(Takeover::PickUp, 0.5, 0.5, false), Some(0.5));
        assert_eq!(state.moved(Takeover::PickUp, 0.6, 0.5, false), Some(0.6));
        state.let_go();
        assert_eq!(state.moved(Takeover::PickUp, 0.65, 0.2, false), None);
        assert_eq!(state.moved(Takeover::PickUp, 0.1, 0.2, false), Some(0.1), "passed on the way down");
    }

    #[test]
    fn scaling_moves_in_proportion_to_the_ways_left_and_meets_at_the_end() {
        // A tenth of the control's way up is a tenth of the parameter's.
        let places = follow(Takeover::Scale, 0.5, &[0.0, 0.1, 0.2]);
        assert_eq!(places, [0.5, 0.55, 0.6]);
        assert_eq!(follow(Takeover::Scale, 0.5, &[0.2, 0.6, 1.0, 0.5]), [0.5, 0.75, 1.0, 0.5]);
        assert_eq!(follow(Takeover::Scale, 0.8, &[0.5, 0.25, 0.0]), [0.8, 0.4, 0.0]);
    }

    #[test]
    fn scaling_never_leaves_the_range_and_never_turns_against_the_control() {
        for at in [0.0, 0.3, 1.0] {
            let way: Vec<f64> = (0..=40).map(|step| (f64::from(step) * 0.37).sin() * 0.5 + 0.5).collect();
            let places = follow(Takeover::Scale, at, &way);
            for (place, moved) in places.windows(2).zip(way.windows(2)) {
                let (went, turned) = (place[1] - place[0], moved[1] - moved[0]);
                // The last step, to where the control is, may be one of the control's own steps back.
                assert!(went * turned >= 0.0 || went.abs() <= NEAR, "{place:?} at {moved:?}");
                assert!((0.0..=1.0).contains(&place[1]));
            }
        }
    }

    #[test]
    fn none_jumps_at_once() {
        assert_eq!(follow(Takeover::None, 0.5, &[0.1, 0.9]), [0.1, 0.9]);
    }

    #[test]
    fn a_control_that_was_brought_there_has_it_at_once() {
        let mut state = State::default();
        state.brought_to(0.8);
        assert_eq!(state.moved(Takeover::PickUp, 0.7, 0.8, false), Some(0.7));
    }
}
