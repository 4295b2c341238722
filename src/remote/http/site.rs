//! What is at which address: the page at `/` for browsers, the live picture, and OSCQuery at every path of the table.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{
        ConnectInfo, Request, State, WebSocketUpgrade,
        ws::{Message, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use tokio::time::{Instant as TokioInstant, timeout, timeout_at};

use super::{
    connections::Peer,
    conversation::{Conversation, PERIOD, Say},
    gate::{COOKIE, Gate, Refusal},
    picture::Studio,
    tree,
};
use crate::remote::{core::Core, osc::LARGEST_BYTES};

const PAGE: &str = include_str!("page.html");
/// What a phone without the token sees.
const LOCKED: &str = include_str!("locked.html");
/// The page is one file: nothing of it comes from elsewhere, and nobody can put it into a frame.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src 'self' blob: data:; \
     connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// Before a wrong token is answered, so that trying many takes long.
const WRONG_TOKEN_WAITS: Duration = Duration::from_millis(300);
/// A WebSocket that takes nothing for this long is closed.
const SEND_WITHIN: Duration = Duration::from_secs(5);
/// Keeps a quiet WebSocket alive, and finds a phone that has gone.
const PING_EVERY: Duration = Duration::from_secs(8);
/// Seconds that a browser keeps the token: a festival.
const COOKIE_SECS: u32 = 14 * 24 * 3600;

struct Site {
    core: Arc<Core>,
    gate: Gate,
    studio: Studio,
}

/// Everything that is served.
pub fn router(core: Arc<Core>, gate: Gate) -> Router {
    let studio = Studio::new(Arc::clone(&core.board));
    let site = Arc::new(Site { core, gate, studio });
    Router::new()
        .route("/picture.jpg", get(picture))
        .fallback(get(node))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), guard))
        .with_state(site)
}

async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let token = match site.gate.check(request.headers(), request.uri().query()) {
        Ok(token) => token,
        Err(refusal) => return refused(refusal, request.headers()).await,
    };
    let mut response = next.run(request).await;
    let cookie = token
        .map(|token| format!("{COOKIE}={}; Path=/; Max-Age={COOKIE_SECS}; HttpOnly; SameSite=Lax", token.as_str()));
    let headers = response.headers_mut();
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        headers.insert(header::SET_COOKIE, cookie);
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn refused(refusal: Refusal, headers: &HeaderMap) -> Response {
    if refusal == Refusal::WrongToken {
        tokio::time::sleep(WRONG_TOKEN_WAITS).await;
    }
    let (code, sentence) = match refusal {
        Refusal::Foreign => (StatusCode::FORBIDDEN, "this comes from, or goes to, another site\n"),
        Refusal::NoToken => {
            (StatusCode::UNAUTHORIZED, "the token is missing: use the address that wavedream printed\n")
        }
        Refusal::WrongToken => (StatusCode::UNAUTHORIZED, "this is not the token that wavedream printed\n"),
    };
    if wants_html(headers) && code == StatusCode::UNAUTHORIZED {
        let policy = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-store")];
        return (code, policy, Html(LOCKED)).into_response();
    }
    (code, sentence).into_response()
}

fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// A path of the table, the page, or a WebSocket: clients open it at whatever path.
async fn node(
    State(site): State<Arc<Site>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if let Ok(upgrade) = upgrade {
        let conversation = Conversation::new(Arc::clone(&site.core), peer);
        let upgrade = upgrade.max_message_size(LARGEST_BYTES).max_frame_size(LARGEST_BYTES);
        return upgrade.on_upgrade(move |socket| converse(socket, conversation));
    }
    let attributes = attributes(uri.query());
    let path = decoded(uri.path());
    if path == "/" && (attributes == ["HTML"] || (attributes.is_empty() && wants_html(&headers))) {
        return Html(PAGE).into_response();
    }
    match tree::answer(&site.core, &path, &attributes) {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json.to_string()).into_response(),
        Err(StatusCode::NOT_FOUND) => (StatusCode::NOT_FOUND, "there is no such path\n").into_response(),
        Err(StatusCode::BAD_REQUEST) => (StatusCode::BAD_REQUEST, "there is no such attribute\n").into_response(),
        Err(code) => code.into_response(),
    }
}

/// `?after=N`: nothing if the picture is still the one of that number. `&small`: for a corner.
async fn picture(State(site): State<Arc<Site>>, uri: Uri) -> Response {
    let mut query = uri.query().into_iter().flat_map(|query| query.split('&'));
    let after = query.clone().find_map(|pair| pair.strip_prefix("after="));
    let Some(print) = site.studio.print(query.any(|pair| pair == "small")).await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "there is no picture yet\n").into_response();
    };
    let number = print.number.to_string();
    if after == Some(number.as_str()) {
        return StatusCode::NO_CONTENT.into_response();
    }
    let headers = [(header::CONTENT_TYPE, "image/jpeg".to_owned()), (HeaderName::from_static("x-picture"), number)];
    (headers, print.jpeg).into_response()
}

async fn converse(mut socket: WebSocket, mut conversation: Conversation) {
    let (mut tick_at, mut ping_at) = (Instant::now() + PERIOD, Instant::now() + PING_EVERY);
    loop {
        let mut out = match timeout_at(TokioInstant::from_std(tick_at), socket.recv()).await {
            Err(_) => Vec::new(),
            Ok(Some(Ok(Message::Text(text)))) => conversation.text(&text),
            Ok(Some(Ok(Message::Binary(bytes)))) => conversation.binary(&bytes),
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => Vec::new(),
            Ok(None | Some(Err(_) | Ok(Message::Close(_)))) => return,
        };
        let now = Instant::now();
        if now >= tick_at {
            tick_at = now + PERIOD;
            out.extend(conversation.tick(now));
        }
        let ping = (now >= ping_at).then(|| Message::Ping("".into()));
        if ping.is_some() {
            ping_at = now + PING_EVERY;
        }
        let messages = out.into_iter().map(|say| match say {
            Say::Text(text) => Message::Text(text.into()),
            Say::Binary(bytes) => Message::Binary(bytes.into()),
        });
        for message in messages.chain(ping) {
            if !matches!(timeout(SEND_WITHIN, socket.send(message)).await, Ok(Ok(()))) {
                return;
            }
        }
    }
}

/// The attributes that a query asks for; other things in it have a value.
fn attributes(query: Option<&str>) -> Vec<&str> {
    let keys = query.into_iter().flat_map(|query| query.split('&')).filter(|key| !key.is_empty());
    keys.filter(|key| !key.starts_with("token=")).map(|key| key.split('=').next().unwrap_or(key)).collect()
}

/// A path with its %XX as letters.
fn decoded(path: &str) -> String {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).filter(|hex| *first == b'%' && hex.iter().all(u8::is_ascii_hexdigit));
        match hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_attributes_and_the_token_is_none() {
        assert_eq!(attributes(None), Vec::<&str>::new());
        assert_eq!(attributes(Some("")), Vec::<&str>::new());
        assert_eq!(attributes(Some("VALUE")), ["VALUE"]);
        assert_eq!(attributes(Some("VALUE=&TYPE&token=secret-1")), ["VALUE", "TYPE"]);
    }

    #[test]
    fn a_path_is_decoded_and_broken_escapes_stay() {
        for (path, expected) in
            [("/a%20b", "/a b"), ("/%C3%BC", "/ü"), ("/100%", "/100%"), ("/%zz", "/%zz"), ("/%+1", "/%+1")]
        {
            assert_eq!(decoded(path), expected);
        }
    }
}
