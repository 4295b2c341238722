//! The ports of the operating system, through midir: ALSA, CoreMIDI, WinMM. As thin as it can be.

use midir::{Ignore, MidiIO, MidiInput, MidiInputConnection, MidiOutput, MidiOutputConnection};

use super::ports::{Output, PortError, Ports, Tap};

/// The name under which other programs see this one.
const CLIENT: &str = "wavedream";
/// Ports that are no controllers: the loop-back that ALSA always has, and this program's own.
const NOT_OURS: [&str; 2] = ["Midi Through", CLIENT];

/// See the module.
#[derive(Default)]
pub struct System {
    input: Option<MidiInput>,
    output: Option<MidiOutput>,
}

impl System {
    /// The client that lists the inputs; None on a machine without MIDI, which may come (a driver is loaded) any time.
    fn input(&mut self) -> Option<&MidiInput> {
        if self.input.is_none() && has_midi() {
            self.input = MidiInput::new(CLIENT).ok();
        }
        self.input.as_ref()
    }

    fn output(&mut self) -> Option<&MidiOutput> {
        if self.output.is_none() && has_midi() {
            self.output = MidiOutput::new(CLIENT).ok();
        }
        self.output.as_ref()
    }
}

/// ALSA's library writes to stderr at each try to open a sequencer that is not there.
fn has_midi() -> bool {
    !cfg!(target_os = "linux") || std::path::Path::new("/dev/snd/seq").exists()
}

fn names<T: MidiIO>(io: &T) -> Vec<String> {
    let name = |port| io.port_name(&port).ok().map(|name| steady(&name).to_owned());
    io.ports().into_iter().filter_map(name).filter(|name| !NOT_OURS.iter().any(|not| name.starts_with(not))).collect()
}

/// The `nth` port with this steady name.
fn find<T: MidiIO>(io: &T, wanted: &str, nth: usize) -> Option<T::Port> {
    let is = |port: &T::Port| io.port_name(port).is_ok_and(|name| steady(&name) == wanted);
    io.ports().into_iter().filter(is).nth(nth)
}

/// ALSA ends a name with numbers, `nanoKONTROL2:nanoKONTROL2 MIDI 1 24:0`, that change when it is plugged in again.
fn steady(name: &str) -> &str {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match name.rsplit_once(' ') {
        Some((rest, last)) if last.split_once(':').is_some_and(|(a, b)| is_number(a) && is_number(b)) => rest,
        _ => name,
    }
}

/// A connection ends when it is dropped.
struct Listening(#[expect(dead_code, reason = "held for its drop")] MidiInputConnection<Tap>);

struct Sending {
    port: String,
    connection: MidiOutputConnection,
}

impl Output for Sending {
    fn send(&mut self, bytes: &[u8]) -> Result<(), PortError> {
        self.connection.send(bytes).map_err(|error| PortError { port: self.port.clone(), why: error.to_string() })
    }
}

impl Ports for System {
    fn inputs(&mut self) -> Vec<String> {
        self.input().map(names).unwrap_or_default()
    }

    fn outputs(&mut self) -> Vec<String> {
        self.output().map(names).unwrap_or_default()
    }

    fn open_input(&mut self, name: &str, nth: usize, tap: Tap) -> Result<Box<dyn Send>, PortError> {
        let failed = |why: String| PortError { port: name.into(), why };
        let mut client = MidiInput::new(CLIENT).map_err(|error| failed(error.to_string()))?;
        // Time is kept for the clock; nothing here reads system exclusive or active sensing.
        client.ignore(Ignore::SysexAndActiveSense);
        let port = find(&client, name, nth).ok_or_else(|| failed("it is gone".into()))?;
        let connection = client
            .connect(&port, CLIENT, |_, bytes, tap: &mut Tap| tap.push(bytes), tap)
            .map_err(|error| failed(error.kind().to_string()))?;
        Ok(Box::new(Listening(connection)))
    }

    fn open_output(&mut self, name: &str, nth: usize) -> Result<Box<dyn Output>, PortError> {
        let failed = |why: String| PortError { port: name.into(), why };
        let client = MidiOutput::new(CLIENT).map_err(|error| failed(error.to_string()))?;
        let port = find(&client, name, nth).ok_or_else(|| failed("it is gone".into()))?;
        let connection = client.connect(&port, CLIENT).map_err(|error| failed(error.kind().to_string()))?;
        Ok(Box::new(Sending { port: name.into(), connection }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_the_same_when_the_system_counts_on() {
        assert_eq!(steady("nanoKONTROL2:nanoKONTROL2 MIDI 1 24:0"), "nanoKONTROL2:nanoKONTROL2 MIDI 1");
        assert_eq!(steady("X-TOUCH MINI 128:1"), "X-TOUCH MINI");
        assert_eq!(steady("Pult 1"), "Pult 1");
        assert_eq!(steady("12:3"), "12:3");
    }

    /// Where the system has a sequencer: a port made here is found, played, and answered to.
    #[cfg(unix)]
    #[test]
    fn a_virtual_controller_is_heard_and_sent_to() {
        use super::super::ports::{Notice, Watcher};
        use midir::os::unix::{VirtualInput, VirtualOutput};
        use std::time::{Duration, Instant};

        let name = format!("virtual pult {}", std::process::id());
        let (heard, hears) = crossbeam_channel::bounded(16);
        let virtual_ports = has_midi().then(|| {
            let output = MidiOutput::new(&name).ok()?.create_virtual(&name).ok()?;
            let hear = move |_, bytes: &[u8], _: &mut ()| drop(heard.try_send(bytes.to_vec()));
            let input = MidiInput::new(&name).ok()?.create_virtual(&name, hear, ()).ok()?;
            Some((output, input))
        });
        let Some((mut controller, _input)) = virtual_ports.flatten() else {
            eprintln!("skipped: this machine has no MIDI sequencer to make a virtual port with");
            return;
        };
        let watcher = Watcher::start(Box::<System>::default(), Duration::from_millis(50)).unwrap();
        let start = Instant::now();
        let device = loop {
            assert!(start.elapsed() < Duration::from_secs(10), "the virtual port was not found");
            let came = watcher.notices().find_map(|notice| match notice {
                Notice::Came { device, name: found, .. } if found.contains(&name) => Some(device),
                _ => None,
            });
            if let Some(device) = came {
                break device;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        controller.send(&[0xB0, 16, 99]).unwrap();
        watcher.send(device, super::super::Bytes::new(&[0x90, 36, 1]));
        let packet = loop {
            assert!(start.elapsed() < Duration::from_secs(10), "nothing was heard");
            if let Some(packet) = watcher.packets().next() {
                break packet;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(packet.bytes.to_vec(), [0xB0, 16, 99]);
        assert_eq!(hears.recv_timeout(Duration::from_secs(10)).unwrap(), [0x90, 36, 1]);
    }
}
