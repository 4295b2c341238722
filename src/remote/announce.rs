//! Lets programs on the network find us: mDNS with `_oscjson._tcp` (OSCQuery) and `_osc._udp`.
//!
//! Only what is reached from beyond this machine is announced: a service on 127.0.0.1 would lead every other machine to
//! itself, and answering mDNS means listening to the network, which is for the user to choose. The crate `mdns-sd` has a
//! thread of its own; if there is no multicast, nothing is announced and nothing else changes.

use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use mdns_sd::{ServiceDaemon, ServiceInfo};

use super::core::Core;

const OSCQUERY: &str = "_oscjson._tcp.local.";
const OSC: &str = "_osc._udp.local.";
/// For the farewell to go out before the program ends.
const FAREWELL: Duration = Duration::from_millis(300);

/// What has been announced; dropping it takes it back.
pub struct Announced {
    daemon: ServiceDaemon,
    names: Vec<String>,
}

impl Announced {
    /// None if there is nothing to announce, or no way to.
    pub fn start(osc: Option<SocketAddr>, http: Option<SocketAddr>, core: &Core) -> Option<Self> {
        let at = |slot: Option<std::sync::Arc<SocketAddr>>, asked: SocketAddr| slot.map_or(asked, |at| *at);
        let services = [
            osc.map(|asked| (OSC, at(core.osc_at.load_full(), asked))),
            http.map(|asked| (OSCQUERY, at(core.http_at.load_full(), asked))),
        ];
        let services: Vec<_> = services.into_iter().flatten().collect();
        if services.is_empty() {
            return None;
        }
        let announced = ServiceDaemon::new().and_then(|daemon| {
            let mut announced = Self { daemon, names: Vec::new() };
            for (service, at) in services {
                let info = info(service, at, &host_name())?;
                announced.names.push(info.get_fullname().to_owned());
                announced.daemon.register(info)?;
            }
            Ok(announced)
        });
        announced.inspect_err(|error| core.say(format!("mDNS: {error}; other programs must be given the address"))).ok()
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        let until = Instant::now() + FAREWELL;
        for name in &self.names {
            if let Ok(done) = self.daemon.unregister(name) {
                // Without an answer in time the entry expires by itself.
                let _ = done.recv_timeout(until.saturating_duration_since(Instant::now()));
            }
        }
        if let Err(error) = self.daemon.shutdown() {
            tracing::debug!("mDNS: {error}");
        }
    }
}

impl std::fmt::Debug for Announced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Announced").field("names", &self.names).finish_non_exhaustive()
    }
}

fn info(service: &str, at: SocketAddr, host: &str) -> mdns_sd::Result<ServiceInfo> {
    // Not the machine's own name: that is for its system to announce.
    let host_here = format!("{host}-wavedream.local.");
    let name = format!("wavedream on {host}");
    let properties: [(&str, &str); 0] = [];
    if at.ip().is_unspecified() {
        Ok(ServiceInfo::new(service, &name, &host_here, "", at.port(), &properties[..])?.enable_addr_auto())
    } else {
        ServiceInfo::new(service, &name, &host_here, at.ip(), at.port(), &properties[..])
    }
}

/// The name of this machine, as far as it can stand in a domain name.
fn host_name() -> String {
    let told = fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| fs::read_to_string("/etc/hostname"));
    let told = told.ok().or_else(|| std::env::var("COMPUTERNAME").or_else(|_| std::env::var("HOSTNAME")).ok());
    let told = told.unwrap_or_default();
    let first = told.trim().split('.').next().unwrap_or_default().to_lowercase();
    let name: String = first.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect();
    if name.is_empty() { "stage".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_its_type_its_port_and_a_name_of_this_machine() {
        let everywhere = info(OSCQUERY, ([0, 0, 0, 0], 9001).into(), "stage").unwrap();
        assert_eq!(everywhere.get_type(), OSCQUERY);
        assert_eq!(everywhere.get_fullname(), "wavedream on stage._oscjson._tcp.local.");
        assert_eq!((everywhere.get_port(), everywhere.is_addr_auto()), (9001, true));
        let one = info(OSC, ([192, 168, 0, 7], 9000).into(), "stage").unwrap();
        assert_eq!(one.get_hostname(), "stage-wavedream.local.");
        assert_eq!(one.get_addresses_v4().len(), 1);
        assert!(!one.is_addr_auto());
    }

    #[test]
    fn the_name_of_this_machine_can_stand_in_a_domain_name() {
        let name = host_name();
        assert!(!name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{name}");
    }
}
