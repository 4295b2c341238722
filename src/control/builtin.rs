//! The parameters that the program always has, and those it declares once it knows the model and the shaders.
//!
//! Effects and transitions declare their own at the head of their shader (`/effect/trails/amount`).

use super::{Param, desk, history, midi, morph, motion};

/// The same in every run, in the order of the signal's way to the screen.
pub fn builtin() -> Vec<Param> {
    [
        signal(),
        latent(),
        dream(),
        encoder(),
        stage(),
        presets(),
        desk::shelf::params(),
        morph::params(),
        desk::cueing::params(),
        history::params(),
        show(),
        motion::params(),
        midi::params(),
        osc(),
    ]
    .concat()
}

fn signal() -> Vec<Param> {
    vec![
        Param::float("/signal/dc_hz", 0.0, 5.0, 0.5)
            .unit("Hz")
            .setup()
            .about("Drift slower than this is removed; 0 leaves the signal's offset in."),
        Param::choice("/signal/notch", ["off", "50", "60"])
            .unit("Hz")
            .setup()
            .about("Removes the hum of the mains and its harmonics."),
        Param::float("/signal/low_hz", 0.0, 100.0, 0.0)
            .unit("Hz")
            .setup()
            .about("Lower edge of the band that paints; 0 leaves it open."),
        Param::float("/signal/high_hz", 0.0, 250.0, 0.0)
            .unit("Hz")
            .setup()
            .about("Upper edge of the band that paints; 0 leaves it open."),
        Param::float("/signal/gain", 0.01, 100.0, 1.0)
            .log()
            .setup()
            .about("Makes the signal larger or smaller before it becomes noise."),
        Param::choice("/synth/state", ["auto", "awake", "rest", "sleep", "rem"])
            .setup()
            .about("The state of the synthetic brain; auto lets it change by itself."),
    ]
}

fn latent() -> Vec<Param> {
    vec![
        Param::choice("/latent/mapping", ["flow", "paper", "gauss", "walk", "spectral"])
            .about("How samples become the noise that a picture starts from: flow is calm, paper boils, walk travels."),
        Param::float("/latent/beat_secs", 0.1, 30.0, 2.0)
            .log()
            .unit("s")
            .about("Time from one key noise to the next in the walk mapping."),
        Param::choice("/latent/beats", ["off", "1", "2", "4", "8", "16"])
            .unit("beats")
            .about("Locks the walk mapping to the beat: so many beats from one key noise to the next."),
        Param::float("/latent/memory_secs", 0.5, 60.0, 8.0)
            .log()
            .unit("s")
            .about("How long the flow and spectral mappings remember: longer is calmer."),
        Param::float("/latent/drive", 0.0, 4.0, 1.0).about("How far the signal moves the noise; 0 holds still."),
    ]
}

fn dream() -> Vec<Param> {
    vec![
        Param::text("/dream/model", "box").setup().about("The model that paints: a name of `wavedream models list`."),
        steps(4, 1),
        Param::text("/dream/prompt", "").about(
            "What is to be seen, for models that read: `(words:1.2)` weighs words, `a sea::0.7 | a wood::0.3` blends.",
        ),
        Param::text("/dream/negative", "").about("What is not to be seen, for models that read; counts with guidance."),
        Param::float("/dream/guidance", 0.0, 20.0, 0.0)
            .about("How closely the text is followed; 1 is the fastest, 0 is what the model was made for."),
        Param::choice("/dream/size", ["512", "384", "256"])
            .unit("px")
            .setup()
            .about("The longer side of a picture: smaller is faster."),
        Param::choice("/dream/shape", ["1:1", "4:3", "16:9", "9:16"]).setup().about("Width to height of a picture."),
        Param::float("/dream/rate", 1.0, 60.0, 30.0)
            .unit("pictures/s")
            .setup()
            .about("How many pictures a second are wanted; a slower machine makes fewer and the crossfade fills in."),
        Param::float("/dream/vivid", -1.0, 1.0, 0.0).about("Mood from calm (-1) to vivid (1)."),
        Param::float("/dream/bright", -1.0, 1.0, 0.0).about("Mood from dark (-1) to bright (1)."),
    ]
}

fn encoder() -> Vec<Param> {
    vec![
        Param::text("/encoder/file", "").setup().about(
            "The encoder through which the signal steers the picture: a file of `wavedream encoder align`, or rat.",
        ),
        Param::float("/encoder/amount", 0.0, 1.0, 0.0)
            .about("How far the encoder moves genre, mood and context of the picture; 0 leaves them to the dials."),
        Param::int("/encoder/every", 1, 300, 6)
            .unit("hops")
            .setup()
            .about("How often the encoder looks at the signal, in thirtieths of a second."),
        Param::float("/encoder/glide", 0.0, 30.0, 1.0)
            .unit("s")
            .about("How long what the encoder asks for takes to arrive."),
        Param::float("/encoder/ms", 0.0, 60_000.0, 0.0)
            .unit("ms")
            .read_only()
            .about("What one look at the signal has cost the encoder."),
    ]
}

fn stage() -> Vec<Param> {
    vec![
        Param::choice("/stage/fit", ["crop", "fit", "stretch"])
            .setup()
            .about("How a picture meets a window of another shape: cut, with margins, or stretched."),
        Param::float("/stage/crossfade", 0.0, 2.0, 1.0)
            .unit("intervals")
            .about("How long one picture fades into the next, in times the measured time between pictures; 0 cuts."),
        transitions(["dissolve"]),
        Param::float("/stage/transition_secs", 0.0, 20.0, 2.0)
            .unit("s")
            .about("How long a preset takes to arrive: its numbers glide, its picture comes in by the transition."),
        Param::float("/stage/master", 0.0, 1.0, 1.0)
            .never_recalled()
            .about("Brightness of everything that leaves the stage."),
        Param::bool("/stage/blackout", false).never_recalled().about("Makes the stage black while the dream goes on."),
        Param::bool("/stage/freeze", false).never_recalled().about("Holds the picture while the signal goes on."),
        Param::bool("/stage/overlay", false)
            .never_recalled()
            .about("Shows signal, latent, rate, latency and health over the picture."),
        Param::choice("/stage/panel", ["closed", "window", "stage"])
            .never_recalled()
            .about("Where the panel is: closed, in a window of its own, or over the stage."),
        Param::trigger("/stage/reset_effects").about("Takes every effect back to its default."),
    ]
}

fn presets() -> Vec<Param> {
    vec![
        Param::text("/preset", "")
            .never_recalled()
            .about("The preset that plays; setting it recalls one by name or number."),
        Param::trigger("/preset/next").about("Recalls the next preset."),
        Param::trigger("/preset/previous").about("Recalls the preset before."),
        Param::trigger("/preset/again").about("Recalls the preset that plays, as it was saved."),
        Param::trigger("/preset/back").about("Recalls the preset that played before this one; again, and it is back."),
    ]
}

fn show() -> Vec<Param> {
    vec![
        Param::bool("/show/record", false).never_recalled().about(
            "Records the show (signal and controls) into a file, from which `wavedream render --show` makes films.",
        ),
        Param::bool("/show/film", false).never_recalled().about("Films the stage, as it is seen, while it plays."),
        Param::text("/show/folder", "")
            .never_recalled()
            .about("Where recordings and films go that were given no file; empty is the folder of the start."),
        Param::int("/show/lost", 0, i64::from(u32::MAX), 0)
            .read_only()
            .about("What the recording of the show had no time for; 0 is a whole one."),
        Param::int("/show/repeated", 0, i64::from(u32::MAX), 0)
            .unit("frames")
            .read_only()
            .about("Frames that the film repeats because the machine was busy; the screen had them all."),
    ]
}

fn osc() -> Vec<Param> {
    vec![
        Param::text("/osc/learn", "")
            .never_recalled()
            .about("The path of a parameter: the next foreign OSC address that arrives moves it from then on."),
        Param::text("/osc/unlearn", "")
            .never_recalled()
            .about("Forgets what was learned for an OSC address or for a parameter's path; all forgets everything."),
    ]
}

/// `/dream/steps` for a model that takes up to `most` and was made for `usual`.
pub fn steps(most: usize, usual: usize) -> Param {
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    Param::int("/dream/steps", 1, number(most), number(usual))
        .setup()
        .about("Steps from noise to picture: more is finer and slower.")
}

/// A weight for each genre of a model, `/dream/genre/<name>`. With all at 0 the genres mix evenly.
pub fn genres<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Vec<Param> {
    names
        .into_iter()
        .map(|name| {
            let name = name.as_ref();
            Param::float(format!("/dream/genre/{name}"), 0.0, 1.0, 0.0)
                .about(format!("How much of {name} is in the picture, beside the other genres."))
        })
        .collect()
}

/// A dial for each scene value of a model, `/dream/scene/<name>`; 0 leaves it to the signal.
pub fn scene<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Vec<Param> {
    names
        .into_iter()
        .map(|name| {
            let name = name.as_ref();
            Param::float(format!("/dream/scene/{name}"), -1.0, 1.0, 0.0)
                .about(format!("The scene's {name}; 0 leaves it to the signal."))
        })
        .collect()
}

/// `/stage/transition` with the transitions that there are.
pub fn transitions<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Param {
    Param::choice("/stage/transition", names)
        .starting_at("dissolve")
        .about("How the picture of a recalled preset takes over.")
}
