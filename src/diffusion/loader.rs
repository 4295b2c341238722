//! Loading models while others play, each on a thread of its own: look at it, wait for leave, read, warm up.
//!
//! Leave is asked for between looking and reading, so that memory can be made free for what is to come. The first
//! picture of a model allocates its memory and reads its text: it is made here, and nobody sees it.

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use super::{Card, Conditioning, GenerateError, LoadError, Model, Picture, PictureShape, device::How, sd::Text};
use crate::{
    Stamp,
    latent::{Latent, noise},
};

/// At most so many at once: one that is wanted now beside one that is made ready ahead.
const MOST: usize = 2;

/// What the first picture is made with.
#[derive(Debug, Clone, Default)]
pub struct WarmUp {
    pub shape: PictureShape,
    pub text: Text,
}

/// Reads a model of a name, in a way.
pub(super) type Load = fn(&str, How) -> Result<Box<dyn Model>, LoadError>;

/// Where models come from.
#[derive(Clone, Copy)]
pub(super) struct Opener {
    /// What a model of this name is.
    pub card: fn(&str) -> Result<Card, LoadError>,
    pub load: Load,
}

/// Loads models.
pub(super) struct Loader {
    opener: Opener,
    loading: Vec<Loading>,
}

struct Loading {
    name: String,
    told: Receiver<Told>,
    leave: Sender<()>,
}

enum Told {
    /// Memory that the model will take, in bytes.
    Size(u64),
    Done(Result<Box<dyn Model>, String>),
}

/// What there is to tell of a model that is being loaded.
pub(super) enum News {
    /// It takes so many bytes and waits for [`Loader::go_on`].
    Asks {
        name: String,
        bytes: u64,
    },
    Loaded {
        name: String,
        model: Box<dyn Model>,
    },
    Failed {
        name: String,
        why: String,
    },
}

impl Loader {
    pub fn new(opener: Opener) -> Self {
        Self { opener, loading: Vec::new() }
    }

    /// False while there is no room for another one.
    pub fn ask(&mut self, name: &str, how: How, warm_up: WarmUp) -> bool {
        if self.is_loading(name) || self.loading.len() >= MOST {
            return false;
        }
        let (tell, told) = bounded(2);
        let (leave, wait) = bounded(1);
        let (named, opener) = (name.to_owned(), self.opener);
        let body = move || {
            // Nobody hears it only when the program ends.
            drop(load(opener, (&named, how), &warm_up, &tell, &wait).map(|done| tell.send(Told::Done(done))));
        };
        let started = std::thread::Builder::new().name("loader".into()).spawn(body).is_ok();
        if started {
            self.loading.push(Loading { name: name.to_owned(), told, leave });
        }
        started
    }

    /// Whether a model may be loaded in several ways.
    pub fn has_choice(&self, name: &str) -> bool {
        (self.opener.card)(name).is_ok_and(|card| card.reads_text)
    }

    pub fn is_loading(&self, name: &str) -> bool {
        self.names().any(|loading| loading == name)
    }

    /// The models that are being loaded.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.loading.iter().map(|loading| loading.name.as_str())
    }

    /// There is memory for it now.
    pub fn go_on(&self, name: &str) {
        for loading in self.loading.iter().filter(|loading| loading.name == name) {
            // A thread that is gone says so itself.
            let _ = loading.leave.try_send(());
        }
    }

    /// Gives up on all: what they were asked with is not wanted any more.
    pub fn forget_all(&mut self) {
        self.loading.clear();
    }

    /// Gives up on one that waits for leave.
    pub fn forget(&mut self, name: &str) {
        self.loading.retain(|loading| loading.name != name);
    }

    pub fn news(&mut self) -> Option<News> {
        for at in 0..self.loading.len() {
            let done = match self.loading[at].told.try_recv() {
                Err(TryRecvError::Empty) => continue,
                Ok(Told::Size(bytes)) => return Some(News::Asks { name: self.loading[at].name.clone(), bytes }),
                Ok(Told::Done(done)) => done,
                Err(TryRecvError::Disconnected) => Err("its loader stumbled (this is a fault in wavedream)".into()),
            };
            let name = self.loading.remove(at).name;
            return Some(match done {
                Ok(model) => News::Loaded { name, model },
                Err(why) => News::Failed { name, why },
            });
        }
        None
    }
}

/// None if nobody waits for it any more.
fn load(
    opener: Opener,
    (name, how): (&str, How),
    warm_up: &WarmUp,
    tell: &Sender<Told>,
    leave: &Receiver<()>,
) -> Option<Result<Box<dyn Model>, String>> {
    let card = match (opener.card)(name) {
        Ok(card) => card,
        Err(error) => return Some(Err(error.to_string())),
    };
    tell.send(Told::Size(card.bytes)).ok()?;
    leave.recv().ok()?;
    let loaded = (opener.load)(name, how).map_err(|error| error.to_string());
    Some(loaded.map(|mut model| {
        if let Err(error) = first_picture(&mut *model, warm_up) {
            // It is tried again with each picture, and told then.
            tracing::warn!("{error}");
        }
        model
    }))
}

fn first_picture(model: &mut dyn Model, warm_up: &WarmUp) -> Result<(), GenerateError> {
    let card: &Card = model.card();
    let shape = warm_up.shape.latent(card);
    let text = card.reads_text.then(|| warm_up.text.clone());
    let genres = vec![1.0; card.genres.len()];
    let scene = vec![0.0; card.scene.len()];
    let with = Conditioning { genres, scene, text, ..Conditioning::default() };
    let latent = Latent {
        stamp: Stamp::start(),
        shape,
        values: (0..shape.len() as u64).map(|at| noise::normal(0, at) as f32).collect(),
    };
    model.generate(&latent, &with, 1, &mut Picture::empty()).map(drop)
}
