//! Who may come in.
//!
//! A page of any website, open in a browser on this machine, can send requests to 127.0.0.1. So without a token only
//! requests that were sent *to* this machine's own name are heard (a site can point its name at 127.0.0.1, but then its
//! name is what it sends), and never those that a browser says come from another site. Beyond this machine a token is
//! needed: in the address (`?token=`), as a cookie, or as `Authorization: Bearer`.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};

use super::Token;

/// The cookie that the page leaves, so that the token need not stay in the address.
pub const COOKIE: &str = "wavedream";

/// The rule for one server.
#[derive(Debug)]
pub struct Gate {
    token: Option<Token>,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It was sent by, or to, another site.
    Foreign,
    NoToken,
    WrongToken,
}

impl Gate {
    /// Without a token, for a server that is reached from this machine alone.
    pub fn new(token: Option<Token>) -> Self {
        Self { token }
    }

    /// Looks at a request. Returns the token if it came in the address and should be left as a cookie.
    pub fn check(&self, headers: &HeaderMap, query: Option<&str>) -> Result<Option<&Token>, Refusal> {
        let host = text(headers, header::HOST).ok_or(Refusal::Foreign)?;
        if comes_from_elsewhere(headers, host) {
            return Err(Refusal::Foreign);
        }
        let Some(token) = &self.token else {
            return if is_this_machine(host) { Ok(None) } else { Err(Refusal::Foreign) };
        };
        let typed = query.into_iter().flat_map(|query| query.split('&')).find_map(|pair| pair.strip_prefix("token="));
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let borne = text(headers, header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        match typed.or(borne) {
            Some(offered) if token.is(offered) => Ok(typed.map(|_| token)),
            Some(_) => Err(Refusal::WrongToken),
            None if cookies.any(|(name, value)| name == COOKIE && token.is(value)) => Ok(None),
            None => Err(Refusal::NoToken),
        }
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// What browsers say about the page that sends a request; other programs say nothing.
fn comes_from_elsewhere(headers: &HeaderMap, host: &str) -> bool {
    let foreign_origin = headers.get(header::ORIGIN).is_some_and(|origin| {
        let site = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        !site.is_some_and(|(_, site)| site.eq_ignore_ascii_case(host))
    });
    let fetch = |name: &'static str| text(headers, HeaderName::from_static(name));
    let foreign_fetch = fetch("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
    // Following a link to the page is no harm: the page cannot be put into a frame.
    let is_link = fetch("sec-fetch-mode") == Some("navigate") && fetch("sec-fetch-dest") == Some("document");
    foreign_origin || (foreign_fetch && !is_link)
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.parse::<SocketAddr>() {
        Ok(address) => return address.ip().is_loopback(),
        Err(_) if host.starts_with('[') => host.trim_matches(['[', ']']),
        Err(_) => host.split(':').next().unwrap_or(host),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn on_this_machine_only_its_own_names_are_heard() {
        let gate = Gate::new(None);
        for host in ["localhost:9001", "LOCALHOST", "127.0.0.1:9001", "127.9.9.9", "[::1]:9001", "[::1]"] {
            assert_eq!(gate.check(&headers(&[("host", host)]), None), Ok(None), "{host}");
        }
        for host in
            ["evil.example", "evil.example:9001", "192.168.0.7:9001", "localhost.evil.example", "", "127.0.0.1.x"]
        {
            assert_eq!(gate.check(&headers(&[("host", host)]), None), Err(Refusal::Foreign), "{host}");
        }
        assert_eq!(gate.check(&HeaderMap::new(), None), Err(Refusal::Foreign));
    }

    #[test]
    fn a_page_of_another_site_is_not_heard() {
        let gate = Gate::new(None);
        let from = |origin: &str| gate.check(&headers(&[("host", "localhost:9001"), ("origin", origin)]), None);
        assert_eq!(from("http://localhost:9001"), Ok(None));
        for origin in ["http://evil.example", "http://localhost:3000", "null", "http://127.0.0.1:9001", ""] {
            assert_eq!(from(origin), Err(Refusal::Foreign), "{origin}");
        }
        let fetched = |site: &str, mode: &str, dest: &str| {
            let lines =
                [("host", "localhost"), ("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
            gate.check(&headers(&lines), None).is_ok()
        };
        assert!(fetched("same-origin", "cors", "empty") && fetched("none", "navigate", "document"));
        assert!(fetched("cross-site", "navigate", "document"));
        assert!(!fetched("cross-site", "no-cors", "image") && !fetched("same-site", "websocket", "empty"));
        assert!(!fetched("cross-site", "navigate", "iframe"));
    }

    #[test]
    fn beyond_this_machine_the_token_is_needed_in_one_of_three_ways() {
        let token = Token::new("swordfish-1").unwrap();
        let gate = Gate::new(Some(token.clone()));
        let with = |name, value| headers(&[("host", "192.168.0.7:9001"), (name, value)]);
        let bare = headers(&[("host", "192.168.0.7:9001")]);
        assert_eq!(gate.check(&bare, Some("VALUE&token=swordfish-1")), Ok(Some(&token)));
        assert_eq!(gate.check(&with("cookie", "a=b; wavedream=swordfish-1"), None), Ok(None));
        assert_eq!(gate.check(&with("authorization", "Bearer swordfish-1"), None), Ok(None));
        for query in [None, Some(""), Some("VALUE"), Some("tokens=swordfish-1")] {
            assert_eq!(gate.check(&bare, query), Err(Refusal::NoToken), "{query:?}");
        }
        assert_eq!(gate.check(&bare, Some("token=swordfish-2")), Err(Refusal::WrongToken));
        assert_eq!(gate.check(&bare, Some("token=")), Err(Refusal::WrongToken));
        assert_eq!(gate.check(&with("authorization", "Bearer x"), None), Err(Refusal::WrongToken));
        assert_eq!(gate.check(&with("cookie", "wavedream=swordfish-2"), None), Err(Refusal::NoToken));
        assert_eq!(
            gate.check(&with("origin", "http://evil.example"), Some("token=swordfish-1")),
            Err(Refusal::Foreign)
        );
    }
}
