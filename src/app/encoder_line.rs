//! Where the encoder stands beside the line: takes the source's channels each few hops, and holds what they ask of the
//! picture.
//!
//! In `play` the encoder is loaded and runs on threads of its own and the newest steering wins; in `render` it runs here,
//! so that a film is the same each time.

use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded};

use crate::{
    Stamp,
    control::{Handle, Origin, SetError, Table, Value},
    diffusion::{self, Meant, sd},
    encoder::{
        feed,
        head::Steering,
        steerer::Steerer,
        worker::{Job, Made, Worker},
    },
    signal::{HOPS_PER_SEC, Intake, MAPPING_RATE_HZ},
};

/// What the encoder is set to.
struct Dials {
    file: Handle,
    model: Handle,
    amount: Handle,
    every: Handle,
    glide: Handle,
}

/// None: the model that paints has no encoder of its own.
type Opened = Result<Option<Steerer>, String>;

/// Where the encoder is from.
#[derive(Clone, PartialEq)]
enum Place {
    File(Arc<str>),
    /// The model that paints, which may bring its own.
    Model(Arc<str>),
}

enum Engine {
    None,
    Loading(Receiver<Opened>),
    Here(Box<Steerer>),
    Thread(Worker),
}

impl Place {
    fn open(&self) -> Opened {
        let opened = match self {
            Self::File(name) => Steerer::open(name).map(Some),
            // A model that is not there is told by who plays it.
            Self::Model(name) => match diffusion::find(name) {
                Ok(Meant::Path(path)) if sd::holds_encoder(&path) => Steerer::open_file(&path).map(Some),
                _ => Ok(None),
            },
        };
        opened.map_err(|error| error.to_string())
    }
}

/// The encoder beside a line.
pub struct EncoderLine {
    table: Table,
    dials: Dials,
    threaded: bool,
    place: Place,
    engine: Engine,
    goal: Option<Steering>,
    steering: Option<Steering>,
    message: Option<String>,
    said: String,
    last_hop: u64,
    last_stretch: Option<u64>,
}

impl EncoderLine {
    pub fn new(table: &Table) -> Result<Self, SetError> {
        let dials = Dials {
            file: table.handle("/encoder/file")?,
            model: table.handle("/dream/model")?,
            amount: table.handle("/encoder/amount")?,
            every: table.handle("/encoder/every")?,
            glide: table.handle("/encoder/glide")?,
        };
        Ok(Self {
            table: table.clone(),
            dials,
            threaded: false,
            place: Place::Model("".into()),
            engine: Engine::None,
            goal: None,
            steering: None,
            message: None,
            said: String::new(),
            last_hop: 0,
            last_stretch: None,
        })
    }

    /// From now on nothing here waits for the encoder.
    #[cfg(feature = "window")]
    pub fn use_threads(&mut self) {
        self.threaded = true;
    }

    /// After each window: asks the encoder if it is time, and glides to what it said last.
    pub fn follow(&mut self, intake: &Intake, stamp: &Stamp) {
        let amount = self.dials.amount.f32();
        self.load_what_is_named(amount > 0.0);
        if amount <= 0.0 || matches!(self.engine, Engine::None) {
            (self.goal, self.steering, self.last_stretch) = (None, None, None);
            return;
        }
        let hops = stamp.hop.saturating_sub(self.last_hop);
        self.last_hop = stamp.hop;
        // Films of few frames skip hops: what counts is whether another stretch of so many hops has begun.
        let stretch = stamp.hop / self.dials.every.index().max(1) as u64;
        if self.last_stretch != Some(stretch) {
            self.last_stretch = Some(stretch);
            self.ask(intake, stamp);
        }
        if let Engine::Thread(worker) = &self.engine
            && let Some(made) = worker.take()
        {
            self.heard(&made);
        }
        let glide_hops = self.dials.glide.f32() * HOPS_PER_SEC as f32;
        let share = if glide_hops > 0.0 { 1.0 - (-(hops as f32) / glide_hops).exp() } else { 1.0 };
        match (&mut self.steering, &self.goal) {
            (Some(steering), Some(goal)) => steering.glide_to(goal, share),
            (steering, goal) => steering.clone_from(goal),
        }
    }

    fn ask(&mut self, intake: &Intake, stamp: &Stamp) {
        let shape = match &self.engine {
            Engine::Here(steerer) => steerer.shape(),
            Engine::Thread(worker) => worker.shape(),
            Engine::None | Engine::Loading(_) => return,
        };
        let rate_hz = MAPPING_RATE_HZ as f64;
        let end = (stamp.signal_secs * rate_hz).round() as u64;
        let channels = intake.description().channels.len();
        let Some(frames) = intake.channels_before(end, feed::frames_needed(shape, rate_hz)) else { return };
        let job = Job { frames, channels, rate_hz };
        match &self.engine {
            Engine::Here(steerer) => {
                let begun = std::time::Instant::now();
                let steering = job.run(steerer);
                let took_ms = begun.elapsed().as_secs_f32() * 1e3;
                self.heard(&Made { steering, took_ms });
            }
            // While the one before still waits, the next hop asks again.
            Engine::Thread(worker) => drop(worker.submit(job)),
            Engine::None | Engine::Loading(_) => {}
        }
    }

    fn heard(&mut self, made: &Made) {
        match &made.steering {
            Ok(steering) => {
                if steering.targets.are_words() && *self.dials.model.text() == *"box" {
                    let (Place::File(name) | Place::Model(name)) = &self.place;
                    self.say(format!(
                        "{name} says words for Stable Diffusion, which the model in the box does not read"
                    ));
                }
                self.goal = Some(steering.clone());
            }
            Err(why) => self.say(why.clone()),
        }
        // Refused only if the parameter is gone, and then nobody looks.
        drop(self.table.set("/encoder/ms", Value::Float(f64::from(made.took_ms)), Origin::Program));
    }

    /// Loads another encoder when one is named, or when a model plays that brings one; not before it has a weight.
    fn load_what_is_named(&mut self, wanted: bool) {
        let file = self.dials.file.text();
        let is_gone = file.is_empty() && matches!(self.place, Place::File(_));
        let place = if file.is_empty() { Place::Model(self.dials.model.text()) } else { Place::File(file) };
        if place != self.place && (wanted || is_gone) {
            (self.goal, self.steering, self.last_stretch) = (None, None, None);
            self.engine = self.begin_to_load(place.clone());
            self.place = place;
        }
        if let Engine::Loading(loading) = &self.engine
            && let Ok(loaded) = loading.try_recv()
        {
            self.engine = self.loaded(loaded);
        }
    }

    fn begin_to_load(&mut self, place: Place) -> Engine {
        if !self.threaded {
            return self.loaded(place.open());
        }
        let (done, loading) = bounded(1);
        // Nobody waits only when another file was named meanwhile.
        let body = move || drop(done.send(place.open()));
        match std::thread::Builder::new().name("encoder loader".into()).spawn(body) {
            Ok(_) => Engine::Loading(loading),
            Err(error) => self.loaded(Err(format!("the encoder cannot be loaded: {error}"))),
        }
    }

    fn loaded(&mut self, loaded: Opened) -> Engine {
        let engine = loaded.and_then(|steerer| match (steerer, self.threaded) {
            (None, _) => Ok(Engine::None),
            (Some(steerer), false) => Ok(Engine::Here(Box::new(steerer))),
            (Some(steerer), true) => {
                Worker::start(steerer).map(Engine::Thread).map_err(|e| format!("the encoder has no thread: {e}"))
            }
        });
        engine.unwrap_or_else(|why| {
            self.say(format!("{why}; nothing is steered"));
            Engine::None
        })
    }

    /// The same trouble is told once.
    fn say(&mut self, what: String) {
        if self.said != what {
            self.said.clone_from(&what);
            self.message = Some(what);
        }
    }

    /// What a person should read.
    pub fn message(&mut self) -> Option<String> {
        self.message.take()
    }

    /// What the signal asks of the picture now, and how much it counts.
    pub fn steering(&self) -> Option<(&Steering, f32)> {
        Some((self.steering.as_ref()?, self.dials.amount.f32()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{dials::DreamDials, full_table, line::Line};

    /// The steerings of the first hops, with what the box is asked then.
    fn played(settings: &[&str], hops: u64) -> (Line, DreamDials) {
        let card = diffusion::card("box").unwrap();
        let table = full_table(&card);
        for setting in settings {
            table.set_from_text(setting, Origin::CommandLine).unwrap();
        }
        let dials = DreamDials::new(&table, &card).unwrap();
        let mut line = Line::open("synth://rat?state=sleep", &table).unwrap();
        for hop in 0..hops {
            line.latent_at_hop(hop, dials.latent_shape()).unwrap();
        }
        (line, dials)
    }

    #[test]
    fn without_a_weight_the_dials_alone_ask() {
        let (line, dials) = played(&["/encoder/file=rat", "/dream/genre/coral=1"], 12);
        assert!(line.steering().is_none());
        assert_eq!(dials.steered(&crate::state::Mood::default(), line.steering()), dials.conditioning());
    }

    #[test]
    fn with_its_whole_weight_the_signal_asks_and_the_same_each_time() {
        let settings = ["/encoder/file=rat", "/encoder/amount=1", "/dream/genre/coral=1"];
        let (line, dials) = played(&settings, 40);
        let asked = dials.steered(&crate::state::Mood::default(), line.steering());
        assert!((asked.genres.iter().sum::<f32>() - 1.0).abs() < 1e-3, "{asked:?}");
        // Sleep is painted as aurora, the second genre of the box.
        assert!(asked.genres[1] > 0.5, "{asked:?}");
        assert!(!asked.context.is_empty());
        let (again, _) = played(&settings, 40);
        assert_eq!(line.steering().map(|(s, _)| s.clone()), again.steering().map(|(s, _)| s.clone()));
    }

    #[test]
    fn a_file_that_is_not_there_is_told_once_and_the_show_goes_on() {
        let (mut line, dials) = played(&["/encoder/file=none.safetensors", "/encoder/amount=1"], 12);
        let messages = line.messages();
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert!(messages[0].starts_with("none.safetensors is not there"), "{messages:?}");
        assert_eq!(dials.steered(&crate::state::Mood::default(), line.steering()), dials.conditioning());
    }
}
