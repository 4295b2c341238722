//! Loading a model while the one before plays on.

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::diffusion::{self, Model};

/// Loads one model at a time on a thread of its own.
#[derive(Default)]
pub struct Loader {
    name: String,
    loading: Option<Receiver<Result<Box<dyn Model>, String>>>,
}

impl Loader {
    /// False while another model is being loaded.
    pub fn ask(&mut self, name: &str) -> bool {
        if self.loading.is_some() {
            return false;
        }
        let (done, loading): (Sender<Result<Box<dyn Model>, String>>, _) = bounded(1);
        let name = name.to_owned();
        self.name.clone_from(&name);
        let body = move || {
            let loaded = diffusion::load(&name).map_err(|error| error.to_string());
            // Nobody waits only when the program ends.
            drop(done.send(loaded));
        };
        self.loading = std::thread::Builder::new().name("loader".into()).spawn(body).ok().map(|_| loading);
        self.loading.is_some()
    }

    /// The model that is being loaded.
    pub fn name(&self) -> Option<&str> {
        self.loading.is_some().then_some(self.name.as_str())
    }

    pub fn loaded(&mut self) -> Option<Result<Box<dyn Model>, String>> {
        let loaded = self.loading.as_ref()?.try_recv();
        match loaded {
            Ok(loaded) => {
                self.loading = None;
                Some(loaded)
            }
            Err(crossbeam_channel::TryRecvError::Empty) => None,
            Err(crossbeam_channel::TryRecvError::Disconnected) => {
                self.loading = None;
                Some(Err("the model could not be loaded: its loader stumbled".into()))
            }
        }
    }
}
