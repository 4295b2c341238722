//! What is measured of the signal, as parameters that can only be read: a lighting desk follows the arousal over OSC, a
//! phone sees it on the page. Not part of presets, undo and recordings: the signal brings it back.

#[cfg(any(feature = "window", test))]
mod shown;

#[cfg(feature = "window")]
pub use shown::StateBoard;

use crate::{
    control::Param,
    state::{FEATURES, STATE_NAMES},
};

/// Too fast to be read.
const LEFT_OUT: &str = "wave";

/// `/state/…`: what followers can follow, the state in a word, and both sources in a sentence.
pub fn params() -> Vec<Param> {
    let number =
        |(name, about): &(&str, &str)| Param::float(format!("/state/{name}"), 0.0, 1.0, 0.0).measured().about(*about);
    let mut params = vec![
        Param::choice("/state/now", STATE_NAMES)
            .starting_at("quiet")
            .measured()
            .about("The state of the signal that paints."),
        Param::text("/state/words", "")
            .measured()
            .about("State, arousal and dominant rhythm of the signal that paints."),
        Param::text("/state/effects", "").measured().about("The source that moves the effects, and how it is."),
        Param::float("/state/rhythm_hz", 0.0, 50.0, 0.0)
            .unit("Hz")
            .measured()
            .about("The dominant rhythm of the signal that paints."),
    ];
    params.extend(FEATURES.iter().filter(|(name, _)| *name != LEFT_OUT).map(number));
    params
}
