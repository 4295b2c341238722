//! What the signal says about itself: features that steer the stage.

mod pulse;

pub use pulse::{PULSE_POINTS, Pulse, PulseMeter};
