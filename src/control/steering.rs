//! The parameters by which the state of the signal steers: all off until somebody turns them up.

use super::Param;

/// The states, as paths name them, and how sentences do.
const STATES: [(&str, &str); 4] =
    [("awake", "awake and about"), ("quiet", "awake and still"), ("asleep", "asleep"), ("dreaming", "dreaming")];
/// A state without a genre.
const NONE: &str = "none";

/// What belongs to the sources.
pub fn signal() -> Vec<Param> {
    vec![
        Param::text("/signal/effects", "")
            .setup()
            .about("The source that moves the effects while the other paints; empty is the one that paints."),
        Param::choice("/state/kind", ["auto", "rodent", "human", "other"]).setup().about(
            "Whose signal it is, for the bands and ratios that tell its state; auto goes by what the source says.",
        ),
    ]
}

/// How the state steers a model of these genres.
pub fn params<S: AsRef<str>>(genres: impl IntoIterator<Item = S>) -> Vec<Param> {
    let mut choices = vec![NONE.to_owned()];
    choices.extend(genres.into_iter().map(|name| name.as_ref().to_owned()));
    let mut params = vec![
        Param::float("/steer/vivid", -1.0, 1.0, 0.0).about(
            "How far arousal moves the mood: up to vivid when aroused, down to calm when not; below 0 the other way.",
        ),
        Param::float("/steer/bright", -1.0, 1.0, 0.0).about(
            "How far arousal moves the light: up to bright when aroused, down to dark when not; below 0 the other way.",
        ),
        Param::float("/steer/mix", 0.0, 1.0, 0.0)
            .about("How strongly the genre of the state is mixed into what was set; 1 takes its place."),
    ];
    for (state, words) in STATES {
        params.push(
            Param::choice(format!("/steer/genre/{state}"), &choices)
                .about(format!("The genre of a signal that is {words}; none leaves what was set.")),
        );
    }
    params.push(
        Param::float("/steer/words", 0.0, 1.0, 0.0)
            .about("How strongly the prompt of the state is blended into the prompt, for models that read."),
    );
    for (state, words) in STATES {
        params.push(Param::text(format!("/steer/prompt/{state}"), "").about(format!(
            "What is to be seen when the signal is {words}, for models that read; empty is the prompt."
        )));
    }
    params.push(
        Param::float("/steer/secs", 0.1, 60.0, 4.0)
            .log()
            .unit("s")
            .about("How long a change of the signal's state takes to arrive in the picture."),
    );
    params
}
