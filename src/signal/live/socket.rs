//! UDP sockets of sources: bound once, so that a port that is taken is told at once; never shared with another program,
//! since then either of the two would hear nothing.

use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use super::handover::Link;
use crate::signal::SourceError;
use crate::signal::url::Address;

/// How often a receiving thread looks whether it should end.
pub const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The largest packet there is.
pub const MAX_PACKET: usize = 65_536;

/// `HOST:PORT`, `:PORT` or `PORT`, listened to on all networks when no host is named.
pub fn local_address(address: &Address, text: &str, default_port: u16) -> Result<SocketAddr, SourceError> {
    let text = text.trim_matches('/');
    let wrong = || {
        SourceError::Message(format!(
            "{}: '{text}' is no address to listen at; write for example {}://0.0.0.0:{default_port}",
            address.text,
            address.scheme.as_deref().unwrap_or("udp"),
        ))
    };
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().map_err(|_| wrong())?),
        None if text.is_empty() => ("", default_port),
        None => match text.parse::<u16>() {
            Ok(port) => ("", port),
            Err(_) => (text, default_port),
        },
    };
    let host = if host.is_empty() || host == "*" { "0.0.0.0" } else { host.trim_matches(['[', ']']) };
    (host, port).to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or_else(wrong)
}

/// The socket that was bound at the start, or after a fault another one; tells where it listens.
pub fn listen(
    bound: Option<UdpSocket>,
    address: &Address,
    local: SocketAddr,
    link: &Link,
) -> Result<UdpSocket, String> {
    let socket = match bound {
        Some(socket) => socket,
        None => bind(address, local).map_err(|error| error.to_string())?,
    };
    link.status(format!("listening on {}", socket.local_addr().unwrap_or(local)));
    Ok(socket)
}

/// Binds; the error names the way out.
pub fn bind(address: &Address, local: SocketAddr) -> Result<UdpSocket, SourceError> {
    let socket = UdpSocket::bind(local).map_err(|cause| {
        let way_out = match cause.kind() {
            ErrorKind::AddrInUse => format!(
                "port {} is taken, by another program or by this one's OSC control: send to another port and name it here, \
                 or move the control (--osc)",
                local.port()
            ),
            ErrorKind::AddrNotAvailable => {
                format!("{} is no address of this machine: write 0.0.0.0 to listen on all of them", local.ip())
            }
            ErrorKind::PermissionDenied => "choose a port above 1023".to_owned(),
            _ => format!("it cannot be listened at ({cause})"),
        };
        SourceError::Message(format!("{}: {way_out}", address.text))
    })?;
    socket
        .set_read_timeout(Some(LOOK_EVERY))
        .map_err(|cause| SourceError::Message(format!("{}: the socket does not work ({cause})", address.text)))?;
    Ok(socket)
}

/// The next packet, or None when none has come for a while.
///
/// # Errors
/// The socket is gone.
pub fn receive<'a>(socket: &UdpSocket, buffer: &'a mut [u8]) -> std::io::Result<Option<&'a [u8]>> {
    match socket.recv(buffer) {
        Ok(length) => Ok(Some(&buffer[..length])),
        // What was sent to a port that nobody hears comes back as an error on some systems: nothing of ours.
        Err(cause)
            if matches!(
                cause.kind(),
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted | ErrorKind::ConnectionReset
            ) =>
        {
            Ok(None)
        }
        Err(cause) => Err(cause),
    }
}
