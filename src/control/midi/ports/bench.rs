//! Ports on paper: controllers that tests plug in and pull out, play and read.

use std::sync::{Arc, Mutex};

use super::{Output, PortError, Ports, Tap};

/// A machine with controllers. Clones are the same machine.
#[derive(Clone, Default)]
pub struct Bench(Arc<Mutex<Vec<Plugged>>>);

struct Plugged {
    name: String,
    tap: Option<Tap>,
    sent: Vec<Vec<u8>>,
    is_refused: bool,
}

struct OutputOf(Bench, String);

impl Bench {
    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Plugged) -> T) -> Option<T> {
        let mut all = self.0.lock().unwrap();
        all.iter_mut().find(|plugged| plugged.name == name).map(act)
    }

    pub fn plug(&self, name: &str) {
        let plugged = Plugged { name: name.into(), tap: None, sent: Vec::new(), is_refused: false };
        self.0.lock().unwrap().push(plugged);
    }

    pub fn pull(&self, name: &str) {
        self.0.lock().unwrap().retain(|plugged| plugged.name != name);
    }

    pub fn refuse(&self, name: &str, refuse: bool) {
        self.with(name, |plugged| plugged.is_refused = refuse);
    }

    /// Sends bytes as the controller does; false while nobody listens.
    pub fn play(&self, name: &str, bytes: &[u8]) -> bool {
        self.with(name, |plugged| plugged.tap.as_ref().map(|tap| tap.push(bytes)).is_some()).unwrap_or(false)
    }

    /// What the controller was sent since the last look, a message each.
    pub fn sent(&self, name: &str) -> Vec<Vec<u8>> {
        self.with(name, |plugged| std::mem::take(&mut plugged.sent)).unwrap_or_default()
    }
}

impl Ports for Bench {
    fn inputs(&mut self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|plugged| plugged.name.clone()).collect()
    }

    fn outputs(&mut self) -> Vec<String> {
        self.inputs()
    }

    fn open_input(&mut self, name: &str, _nth: usize, tap: Tap) -> Result<Box<dyn Send>, PortError> {
        let gone = || PortError { port: name.into(), why: "it is gone".into() };
        let refused = self.with(name, |plugged| {
            if !plugged.is_refused {
                plugged.tap = Some(tap);
            }
            plugged.is_refused
        });
        match refused {
            Some(false) => Ok(Box::new(())),
            Some(true) => Err(PortError { port: name.into(), why: "it is busy".into() }),
            None => Err(gone()),
        }
    }

    fn open_output(&mut self, name: &str, _nth: usize) -> Result<Box<dyn Output>, PortError> {
        Ok(Box::new(OutputOf(self.clone(), name.into())))
    }
}

impl Output for OutputOf {
    fn send(&mut self, bytes: &[u8]) -> Result<(), PortError> {
        let sent = self.0.with(&self.1, |plugged| plugged.sent.push(bytes.to_vec()));
        sent.ok_or_else(|| PortError { port: self.1.clone(), why: "it is gone".into() })
    }
}
