//! Connections: how many there may be, how long each may take to say what it wants, and how they
//! end with the node.
//!
//! Whoever connects and asks nothing costs little and holds nobody up: of those the one that has
//! been silent for the longest makes room for the next.

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::serve::Listener;
use hallway_node::Handle;
use hyper::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Connections at once: every window and bot of one person, and far fewer than a process may have
/// files open.
const CONNECTIONS_MAX: usize = 512;
/// Of these, connections on which nothing is asked now.
const SILENT_MAX: usize = 256;
/// How long a head may take to come, and a connection may rest between two requests.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Longest head of a request: what browsers send is a hundredth of it.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Serves these routes to whoever the listener lets in, until the node is told to stop; what is
/// being answered then is answered.
pub(super) async fn serve<L>(mut listener: L, routes: Router, node: Handle) -> io::Result<()>
where
    L: Listener,
    L::Addr: Send,
{
    let mut crowd = Crowd::default();
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            (stream, _) = listener.accept() => stream,
            Some(_) = connections.join_next() => continue,
            () = node.stopping() => break,
        };
        let Some(guest) = crowd.let_in() else {
            tracing::warn!(CONNECTIONS_MAX, "too many clients; one was turned away");
            continue;
        };
        connections.spawn(attend(stream, routes.clone(), guest, node.clone()));
        // Whoever has asked already is heard before the next comes in, who might take the place.
        tokio::task::yield_now().await;
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// One connection, to its end.
async fn attend<S>(stream: S, routes: Router, guest: Arc<Guest>, node: Handle)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(|request: Request<Incoming>| {
        let held = guest.clone().hold();
        let answering = routes.call(request.map(Body::new));
        async move {
            let body = |body| Held { body, _held: held };
            answering.await.map(|response| response.map(body))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // How it has ended is the client's affair.
        _ = connection.as_mut() => return,
        () = guest.sent_away.notified() => return,
        () = node.stopping() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Everybody who is connected.
#[derive(Default)]
struct Crowd {
    guests: Vec<Weak<Guest>>,
    clock: Arc<AtomicU64>,
}

/// One of them.
struct Guest {
    /// Requests that are being answered: there is at most one, and one that is about to begin.
    asking: AtomicUsize,
    /// When it last asked or came, in steps of the crowd's own clock.
    silent_since: AtomicU64,
    clock: Arc<AtomicU64>,
    sent_away: Notify,
}

impl Crowd {
    /// Makes place for one more, if that is possible.
    fn let_in(&mut self) -> Option<Arc<Guest>> {
        self.guests.retain(|guest| guest.strong_count() > 0);
        let there: Vec<_> = self.guests.iter().filter_map(Weak::upgrade).collect();
        let silent = || there.iter().filter(|guest| guest.is_silent());
        if silent().count() >= SILENT_MAX
            && let Some(longest) = silent().min_by_key(|guest| guest.silent_since())
        {
            longest.sent_away.notify_one();
        } else if there.len() >= CONNECTIONS_MAX {
            return None;
        }
        let guest = Arc::new(Guest {
            asking: AtomicUsize::new(0),
            silent_since: AtomicU64::new(self.clock.fetch_add(1, Ordering::Relaxed)),
            clock: self.clock.clone(),
            sent_away: Notify::new(),
        });
        self.guests.push(Arc::downgrade(&guest));
        Some(guest)
    }
}

impl Guest {
    fn is_silent(&self) -> bool {
        self.asking.load(Ordering::Relaxed) == 0
    }

    fn silent_since(&self) -> u64 {
        self.silent_since.load(Ordering::Relaxed)
    }

    fn hold(self: Arc<Self>) -> Hold {
        self.asking.fetch_add(1, Ordering::Relaxed);
        Hold(self)
    }
}

/// A request that is being answered.
struct Hold(Arc<Guest>);

impl Drop for Hold {
    fn drop(&mut self) {
        let now = self.0.clock.fetch_add(1, Ordering::Relaxed);
        self.0.silent_since.store(now, Ordering::Relaxed);
        self.0.asking.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer, which is being given until all of it is.
struct Held {
    body: Body,
    _held: Hold,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether somebody was sent away, which is told once.
    async fn is_sent_away(guest: &Guest) -> bool {
        tokio::select! {
            biased;
            () = guest.sent_away.notified() => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn the_one_that_was_silent_for_the_longest_makes_room() {
        let mut crowd = Crowd::default();
        let guests: Vec<_> = (0..SILENT_MAX).map(|_| crowd.let_in().unwrap()).collect();
        // The first is being answered, and the second has been.
        let held = guests[0].clone().hold();
        drop(guests[1].clone().hold());
        let last = crowd.let_in().unwrap();
        for guest in &guests {
            assert!(!is_sent_away(guest).await, "there was room for one more");
        }
        let _one_more = crowd.let_in().unwrap();
        for (number, guest) in guests.iter().enumerate() {
            assert_eq!(is_sent_away(guest).await, number == 2, "{number}");
        }
        drop((held, last));
    }

    #[test]
    fn those_who_are_answered_are_counted_and_never_sent_away() {
        let mut crowd = Crowd::default();
        let guests: Vec<_> = (0..CONNECTIONS_MAX)
            .map(|_| crowd.let_in().unwrap().hold())
            .collect();
        assert!(crowd.let_in().is_none());
        drop(guests);
        assert!(crowd.let_in().is_some());
        assert_eq!(crowd.guests.len(), 1, "nobody is remembered who has left");
    }
}
