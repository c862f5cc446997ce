//! Who may use the API over loopback: the page that this node served to its own user, bots that
//! they gave a token, and nobody else.
//!
//! Every web page in a browser, and every user of this host, can connect to a loopback port. So
//! each request must name this node as its host (a rebound name does not), must not come from
//! another page, and for all but the page itself must carry a token, which [`crate::caller`] looks
//! at. The token never stands in a URL and never in a cookie: whoever may open the Unix socket gets
//! a ticket, which the page exchanges for the token once.

use crate::problem::ProblemView;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hallway_node::home::{Home, HomeError, write_atomic};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// How long a ticket waits for its page: a browser that starts cold on a slow disk.
const TICKET_LIFETIME: Duration = Duration::from_secs(60);
/// Tickets that wait at the same time; the oldest goes first. Nobody opens as many windows.
const TICKETS_MAX: usize = 16;
/// Bytes of a token and of a ticket: beyond guessing.
const SECRET_BYTES: usize = 32;

/// A secret in hexadecimal.
type Secret = String;

/// `POST /api/v1/ticket`: what the page may say once instead of a token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TicketRequest {
    /// From the fragment of the address that `hallway open` opens.
    ticket: Secret,
}

/// What the page gets for its ticket.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PageTokenView {
    /// For the header `Authorization: Bearer`.
    token: Secret,
}

/// Where a page is to be opened: good for one browser, for a minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenView {
    /// An address of this host, with the ticket in its fragment, which no browser sends anywhere.
    pub url: String,
}

/// Guards the loopback port. One for each node.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    token: Secret,
    tickets: Mutex<Vec<(Secret, Instant)>>,
}

/// What stays of a gate between two runs, so that an open page finds its node again.
#[derive(Serialize, Deserialize)]
struct Kept {
    port: u16,
    token: Secret,
}

/// Why the loopback port cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// No port of this host can be listened on.
    #[error("cannot listen on a loopback port: {0}")]
    Listen(#[from] io::Error),
    /// The port and token could not be kept.
    #[error("{0}")]
    Keep(#[from] HomeError),
}

impl Gate {
    /// Listens on the port of the last run, or on another when that is taken.
    pub async fn open(home: &Home) -> Result<(Arc<Self>, TcpListener), GateError> {
        let path = home.path().join("page.json");
        let kept = std::fs::read(&path).ok();
        let kept: Option<Kept> = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let wanted = kept.as_ref().map_or(0, |kept| kept.port);
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?,
        };
        let address = listener.local_addr()?;
        let port = address.port();
        let token = match kept {
            // Whoever listens on the old port now may have been sent the old token.
            Some(kept) if kept.port == port => kept.token,
            _ => {
                let token = new_secret()?;
                let kept = Kept { port, token };
                let bytes = serde_json::to_vec(&kept).expect("two plain fields become JSON");
                write_atomic(&path, &bytes)?;
                kept.token
            }
        };
        let tickets = Mutex::default();
        let gate = Self {
            address,
            token,
            tickets,
        };
        Ok((Arc::new(gate), listener))
    }

    /// Where the page is, with a new ticket.
    pub(crate) fn invite(&self) -> io::Result<OpenView> {
        let ticket = new_secret()?;
        let mut tickets = self.tickets();
        if tickets.len() == TICKETS_MAX {
            tickets.remove(0);
        }
        tickets.push((ticket.clone(), Instant::now()));
        let url = format!("{}/#ticket={ticket}", self.url());
        Ok(OpenView { url })
    }

    /// Where the API is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn tickets(&self) -> std::sync::MutexGuard<'_, Vec<(Secret, Instant)>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exchanges a ticket for the token.
    pub(crate) fn exchange(&self, request: &TicketRequest) -> Result<PageTokenView, ProblemView> {
        let token = self.admit(&request.ticket, Instant::now());
        let token = token.ok_or_else(ProblemView::no_token)?;
        Ok(PageTokenView { token })
    }

    /// Takes a ticket, once, for the token.
    fn admit(&self, ticket: &str, now: Instant) -> Option<Secret> {
        let mut tickets = self.tickets();
        tickets.retain(|(_, made)| now.duration_since(*made) < TICKET_LIFETIME);
        let found = tickets.iter().position(|(known, _)| same(known, ticket))?;
        tickets.remove(found);
        Some(self.token.clone())
    }

    /// The host names under which a browser of this host reaches us.
    fn hosts(&self) -> [String; 2] {
        let port = self.address.port();
        [format!("127.0.0.1:{port}"), format!("localhost:{port}")]
    }

    /// Turns away what no page of ours sends.
    fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), ProblemView> {
        // What is said twice is said by nobody: two readers would each believe another one.
        let text = |name| {
            let mut values = headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (None, _) => None,
                (Some(value), None) => Some(value.to_str().unwrap_or("")),
                (Some(_), Some(_)) => Some(""),
            }
        };
        let hosts = self.hosts();
        let is_own = |host: &str| hosts.iter().any(|known| known == host);
        // A target with a host of its own counts more than the header.
        let target = uri.authority().map_or("", Authority::as_str);
        if !text(header::HOST).is_some_and(is_own) || !(target.is_empty() || is_own(target)) {
            return Err(ProblemView::wrong_host());
        }
        let own = |origin: &str| {
            let host = origin.strip_prefix("http://");
            host.is_some_and(is_own)
        };
        if text(header::ORIGIN).is_some_and(|origin| !own(origin)) {
            return Err(ProblemView::foreign_page());
        }
        let navigation = method == Method::GET && !uri.path().starts_with("/api/");
        match text(header::HeaderName::from_static("sec-fetch-site")) {
            None | Some("same-origin") => {}
            // The address bar, or `hallway open`.
            Some("none") if navigation => {}
            Some(_) => return Err(ProblemView::foreign_page()),
        }
        Ok(())
    }

    /// What the page says to be let in.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}

/// Lets through what [`Gate::check`] does.
pub(crate) async fn guard(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    match gate.check(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn new_secret() -> io::Result<Secret> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(hex::encode(bytes))
}

/// Compares without telling by its duration where the two differ.
pub(crate) fn same(known: &str, given: &str) -> bool {
    let (known, given) = (known.as_bytes(), given.as_bytes());
    let differing = known.iter().zip(given).fold(0, |sum, (a, b)| sum | (a ^ b));
    known.len() == given.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn gate() -> Gate {
        Gate {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 4000)),
            token: "ab".repeat(SECRET_BYTES),
            tickets: Mutex::default(),
        }
    }

    fn asked(method: Method, path: &str, headers: &[(&'static str, &str)]) -> Result<(), u16> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let checked = gate().check(&method, &path.parse().unwrap(), &map);
        checked.map_err(|problem| problem.status)
    }

    const HOST: (&str, &str) = ("host", "127.0.0.1:4000");

    #[test]
    fn only_our_own_page_passes() {
        let api = |headers: &[_]| asked(Method::POST, "/api/v1/messages", headers);
        assert_eq!(api(&[HOST]), Ok(()));
        assert_eq!(api(&[HOST, ("origin", "http://127.0.0.1:4000")]), Ok(()));
        assert_eq!(api(&[HOST, ("sec-fetch-site", "same-origin")]), Ok(()));
        // A name that was rebound to this host, or another port of it.
        assert_eq!(api(&[("host", "evil.example:4000")]), Err(421));
        assert_eq!(api(&[("host", "127.0.0.1:4001")]), Err(421));
        assert_eq!(api(&[]), Err(421));
        // Two names, of which one is right.
        let evil = ("host", "evil.example");
        assert_eq!(api(&[HOST, evil]), Err(421));
        assert_eq!(api(&[evil, HOST]), Err(421));
        let target = "http://evil.example/api/v1/messages";
        assert_eq!(asked(Method::POST, target, &[HOST]), Err(421));
        let own = "http://127.0.0.1:4000/api/v1/messages";
        assert_eq!(asked(Method::POST, own, &[HOST]), Ok(()));
        let origin = ("origin", "http://127.0.0.1:4000");
        assert_eq!(api(&[HOST, origin, ("origin", "null")]), Err(403));
        // A form or script of another page, and a frame in one.
        assert_eq!(api(&[HOST, ("origin", "http://evil.example")]), Err(403));
        assert_eq!(api(&[HOST, ("origin", "null")]), Err(403));
        assert_eq!(api(&[HOST, ("sec-fetch-site", "cross-site")]), Err(403));
        assert_eq!(api(&[HOST, ("sec-fetch-site", "none")]), Err(403));
        let page = |headers: &[_]| asked(Method::GET, "/", headers);
        assert_eq!(page(&[HOST, ("sec-fetch-site", "none")]), Ok(()));
        assert_eq!(page(&[HOST, ("sec-fetch-site", "cross-site")]), Err(403));
    }

    #[test]
    fn a_ticket_is_good_once_and_for_a_minute() {
        let gate = gate();
        let ticket = |gate: &Gate| {
            let url = gate.invite().unwrap().url;
            url.split("ticket=").nth(1).unwrap().to_owned()
        };
        let now = Instant::now();
        let first = ticket(&gate);
        assert!(gate.admit("00", now).is_none());
        assert!(gate.admit(&first, now).is_some());
        assert!(gate.admit(&first, now).is_none());
        let second = ticket(&gate);
        let late = Instant::now() + TICKET_LIFETIME;
        assert!(gate.admit(&second, late).is_none());
    }

    #[test]
    fn the_oldest_of_too_many_tickets_goes() {
        let gate = gate();
        let urls: Vec<String> = (0..=TICKETS_MAX)
            .map(|_| gate.invite().unwrap().url)
            .collect();
        let ticket = |url: &str| url.split("ticket=").nth(1).unwrap().to_owned();
        let now = Instant::now();
        assert!(gate.admit(&ticket(&urls[0]), now).is_none());
        assert!(gate.admit(&ticket(&urls[1]), now).is_some());
        assert!(gate.admit(&ticket(&urls[TICKETS_MAX]), now).is_some());
    }
}
