//! Finding LSL streams: a question by UDP to the multicast groups and to the ports of this machine (and of `host=`),
//! answered by each outlet that it fits.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::time::{Duration, Instant};

use super::info::StreamInfo;

/// Where outlets listen to groups, and the first of the ports on which they listen alone.
const GROUP_PORT: u16 = 16_571;
const FIRST_PORT: u16 = 16_572;
const PORTS: u16 = 33;
/// The groups of machine, link and site, as liblsl has them.
const GROUPS: [Ipv4Addr; 4] =
    [Ipv4Addr::LOCALHOST, Ipv4Addr::new(224, 0, 0, 183), Ipv4Addr::BROADCAST, Ipv4Addr::new(239, 255, 172, 215)];
/// A group of a site may be some routers away.
const HOPS: u32 = 24;
const ASK_EVERY: Duration = Duration::from_millis(250);
/// After the first answer others get so long.
const OTHERS_WITHIN: Duration = Duration::from_millis(120);
const MAX_STREAMS: usize = 1024;

/// Which streams are wanted.
#[derive(Debug, Clone, Default)]
pub struct Query {
    pub name: Option<String>,
    pub kind: Option<String>,
    pub source_id: Option<String>,
    pub uid: Option<String>,
    /// A machine that is asked directly.
    pub host: Option<String>,
}

impl Query {
    /// As XPath, which outlets understand.
    fn predicate(&self) -> String {
        let fields = [("name", &self.name), ("type", &self.kind), ("source_id", &self.source_id), ("uid", &self.uid)];
        let terms: Vec<String> = fields
            .iter()
            .filter_map(|(field, value)| value.as_ref().map(|value| (field, value)))
            .map(|(field, value)| {
                // XPath has no escapes: the quotes are those that the text has not.
                let value: String = value.chars().filter(|c| !c.is_control()).collect();
                let quote = if value.contains('\'') { '"' } else { '\'' };
                format!("{field}={quote}{value}{quote}")
            })
            .collect();
        terms.join(" and ")
    }

    fn fits(&self, info: &StreamInfo) -> bool {
        let same = |wanted: &Option<String>, found: &String| wanted.as_ref().is_none_or(|wanted| wanted == found);
        same(&self.name, &info.name)
            && same(&self.kind, &info.kind)
            && same(&self.source_id, &info.source_id)
            && same(&self.uid, &info.uid)
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, &self.kind) {
            (Some(name), Some(kind)) => write!(f, "the LSL stream '{name}' of type {kind}"),
            (Some(name), None) => write!(f, "the LSL stream '{name}'"),
            (None, Some(kind)) => write!(f, "an LSL stream of type {kind}"),
            (None, None) => write!(f, "any LSL stream"),
        }
    }
}

/// The streams that fit and answer within `wait`; soon after the first answer if the query names something.
pub fn find(query: &Query, wait: Duration, stop: impl Fn() -> bool) -> Vec<StreamInfo> {
    ask(query, wait, &stop).unwrap_or_else(|cause| {
        tracing::debug!("LSL streams cannot be looked for: {cause}");
        std::thread::sleep(wait.min(ASK_EVERY));
        Vec::new()
    })
}

fn ask(query: &Query, wait: Duration, stop: &impl Fn() -> bool) -> std::io::Result<Vec<StreamInfo>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_broadcast(true)?;
    socket.set_multicast_ttl_v4(HOPS)?;
    socket.set_read_timeout(Some(Duration::from_millis(30)))?;
    let port = socket.local_addr()?.port();
    let id = format!("wd{port}");
    let question = format!("LSL:shortinfo\r\n{}\r\n{port} {id}\r\n", query.predicate());
    let targets = targets(query);
    let begun = Instant::now();
    let mut until = begun + wait;
    let mut asked: Option<Instant> = None;
    let mut found: Vec<StreamInfo> = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    let names_one = query.name.is_some() || query.source_id.is_some() || query.uid.is_some();
    while Instant::now() < until && !stop() {
        if asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY) {
            asked = Some(Instant::now());
            for target in &targets {
                // Some of these go nowhere on some machines, which is no fault.
                drop(socket.send_to(question.as_bytes(), target));
            }
        }
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let text = String::from_utf8_lossy(&buffer[..length]);
        let Some((answered, xml)) = text.split_once("\r\n") else { continue };
        let Some(info) = StreamInfo::parse(xml, from.ip()).filter(|_| answered.trim() == id) else { continue };
        if query.fits(&info) && found.len() < MAX_STREAMS && found.iter().all(|known| known.uid != info.uid) {
            found.push(info);
            if names_one {
                until = until.min(Instant::now() + OTHERS_WITHIN);
            }
        }
    }
    Ok(found)
}

fn targets(query: &Query) -> Vec<SocketAddr> {
    let mut targets: Vec<SocketAddr> = GROUPS.iter().map(|group| SocketAddr::from((*group, GROUP_PORT))).collect();
    let mut hosts = vec![std::net::IpAddr::from(Ipv4Addr::LOCALHOST)];
    let named = query.host.as_ref().and_then(|host| (host.as_str(), FIRST_PORT).to_socket_addrs().ok());
    hosts.extend(named.into_iter().flatten().map(|address| address.ip()).filter(std::net::IpAddr::is_ipv4));
    for host in hosts {
        targets.extend((FIRST_PORT..FIRST_PORT + PORTS).map(|port| SocketAddr::from((host, port))));
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_an_xpath_predicate() {
        let query = Query { name: Some("a'b".into()), kind: Some("EEG".into()), ..Query::default() };
        assert_eq!(query.predicate(), "name=\"a'b\" and type='EEG'");
        assert_eq!(Query::default().predicate(), "");
    }
}
