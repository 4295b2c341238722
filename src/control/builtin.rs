//! The parameters that the program always has, and those it declares once it knows the model and the shaders.
//!
//! Effects and transitions declare their own at the head of their shader (`/effect/trails/amount`).

use super::{Param, desk, history, midi, morph, motion, steering};

/// The same in every run, in the order of the signal's way to the screen.
pub fn builtin() -> Vec<Param> {
    [
        signal(),
        steering::signal(),
        latent(),
        dream(),
        way(),
        feedback(),
        steering::params::<&str>([]),
        encoder(),
        stage(),
        presets(),
        desk::shelf::params(),
        morph::params(),
        desk::cueing::params(),
        history::params(),
        show(),
        health(),
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
        Param::float("/dream/memory", 0.0, 512.0, 0.0)
            .unit("GiB")
            .never_recalled()
            .about("How much memory all models together may take; 0 is half of this machine's, or three quarters of the card's that they are on. What was used longest ago leaves first."),
        Param::choice("/dream/device", ["auto", "cpu", "cuda", "cuda:1", "cuda:2", "cuda:3", "metal"])
            .never_recalled()
            .about("Where models that read compute; auto is a GPU where one answers. The model is loaded again, and the old one plays on meanwhile."),
        Param::choice("/dream/precision", ["auto", "float32", "bfloat16", "half"])
            .never_recalled()
            .about("The numbers of models that read: auto is float32 on the CPU and half on GPUs. Half is nearly twice as fast on some CPUs, and serves the model in the box too; bfloat16 is fast on others."),
        Param::choice("/dream/ahead", ["presets", "off"])
            .never_recalled()
            .about("Whether the models of the presets are made ready while another plays, so that they take over at once."),
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

/// How a picture is painted by a model that has a choice.
fn way() -> Vec<Param> {
    let mut params = vec![
        Param::float("/dream/prompt_glide", 0.0, 60.0, 1.0)
            .unit("s")
            .about("How long a changed text takes until it paints alone, for models that read; 0 changes at once."),
        Param::choice("/dream/blend", ["linear", "slerp"])
            .about("The way between two texts: straight, or along the sphere, which keeps more of both in the middle."),
        Param::choice("/dream/scheduler", ["auto", "ddim", "euler", "lcm", "plms"])
            .about("The way from noise to picture, for models that have a choice; auto is what the model was made for."),
        Param::choice("/dream/decoder", ["own", "taesd"])
            .setup()
            .about("What turns a latent into a picture: the model's own decoder, or TAESD, where it is there and faster."),
        Param::bool("/dream/stream", false).setup().about(
            "Takes the steps of consecutive pictures in one pass, for models of several steps: more pictures, as late as ever.",
        ),
    ];
    for slot in 1..=LORAS {
        params.push(
            Param::text(format!("/dream/lora/{slot}/file"), "")
                .about("A LoRA file for models that take them; it is read while the picture goes on. Empty is none."),
        );
        params.push(
            Param::float(format!("/dream/lora/{slot}/strength"), -2.0, 2.0, 1.0)
                .about("How strongly this LoRA works: 0 not at all and at no cost, 1 as it was trained."),
        );
    }
    params
}

/// LoRAs that can play at once.
pub const LORAS: usize = 4;

/// The last picture in the next one.
fn feedback() -> Vec<Param> {
    vec![
        Param::float("/dream/feedback/strength", 0.0, 1.0, 0.0)
            .about("How much of the last picture stays in the next one, which the model paints over; 0 is off."),
        Param::float("/dream/feedback/zoom", -3.0, 3.0, 0.0)
            .unit("doublings/s")
            .about("How fast what stays grows: 1 is twice as large after a second, below 0 it shrinks."),
        Param::float("/dream/feedback/pan_x", -1.0, 1.0, 0.0)
            .unit("widths/s")
            .about("How fast what stays moves to the right."),
        Param::float("/dream/feedback/pan_y", -1.0, 1.0, 0.0)
            .unit("heights/s")
            .about("How fast what stays moves upwards."),
        Param::float("/dream/feedback/rotate", -60.0, 60.0, 0.0)
            .unit("turns/min")
            .about("How fast what stays turns clockwise."),
    ]
}

/// What steers by the encoder.
fn encoder() -> Vec<Param> {
    vec![
        Param::text("/encoder/file", "").setup().about(
            "The encoder through which the signal steers the picture: a file of `wavedream encoder align`, or rat; a \
             DreamDiffusion brings its own.",
        ),
        Param::float("/encoder/amount", 0.0, 1.0, 0.0).about(
            "How far the encoder moves genre, mood and context of the picture, or its words for Stable Diffusion; 0 \
                 leaves them to the dials and the prompt.",
        ),
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
        Param::bool("/show/signal", false)
            .never_recalled()
            .about("Records the signal alone, as it comes, for programs that analyse it."),
        Param::choice("/show/signal_format", ["edf", "npy"]).never_recalled().about(
            "The file that a signal is recorded into: edf for laboratories, npy for numpy, which loses nothing.",
        ),
        Param::text("/show/folder", "")
            .never_recalled()
            .about("Where recordings and films go that were given no file; empty is the folder of the start."),
        Param::int("/show/lost", 0, i64::from(u32::MAX), 0)
            .read_only()
            .about("What the recording of the show had no time for; 0 is a whole one."),
        Param::int("/show/signal_lost", 0, i64::from(u32::MAX), 0)
            .unit("blocks")
            .read_only()
            .about("What the recording of the signal had no time for; 0 is a whole one."),
        Param::int("/show/repeated", 0, i64::from(u32::MAX), 0)
            .unit("frames")
            .read_only()
            .about("Frames that the film repeats because the machine was busy; the screen had them all."),
    ]
}

fn health() -> Vec<Param> {
    let number = |name: &str, min: f64, max: f64, unit: &str, about: &str| {
        Param::float(format!("/health/{name}"), min, max, 0.0).unit(unit).read_only().about(about)
    };
    let count = |name: &str, unit: &str, about: &str| {
        Param::int(format!("/health/{name}"), 0, i64::from(u32::MAX), 0).unit(unit).read_only().about(about)
    };
    let text = |name: &str, about: &str| Param::text(format!("/health/{name}"), "").read_only().about(about);
    vec![
        count("channels", "", "Channels of the source that plays."),
        count("unwell", "", "Channels that are flat, clipped, humming or missing."),
        text("each", "Each channel in their order: good, flat, missing, clipped, hum50 or hum60, with commas between."),
        text("ailing", "The names of those that are unwell, with what they have."),
        number("rate_hz", 0.0, 1e7, "Hz", "Samples a second of a live source, as they come; 0 before that is known."),
        number("jitter_ms", 0.0, 1e6, "ms", "Spread of the arrivals of a live source about an even beat."),
        number("drift_ppm", -1e6, 1e6, "ppm", "How much faster than this machine's the clock of a live source runs."),
        count("lost", "samples", "What a live source sent and what never came."),
        count("dropped", "samples", "What came and was not fetched in time."),
        number("buffer_ms", 0.0, 1e6, "ms", "Waiting that the even beat of a live source costs."),
        number("latency_ms", 0.0, 1e6, "ms", "From sample to picture with the source that plays: the usual."),
        number("latency_p99_ms", 0.0, 1e6, "ms", "From sample to picture: longer for one picture of a hundred only."),
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
