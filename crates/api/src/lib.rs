//! The local HTTP API of Hallway: the server inside a node, and the client every face uses.
//!
//! HTTP/1.1 with JSON on a Unix socket that only its owner may open. `GET /api/v1/events` streams;
//! everything else is one request and one reply, and what is refused is an RFC 9457 problem with a
//! stable `code`.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

mod client;
mod feed;
mod problem;
mod schema;
mod server;

pub use client::{Client, ClientError, Lines};
pub use feed::Feed;
pub use problem::{Candidate, ProblemView};
pub use schema::{
    ConnectRequest, DoctorQuery, Done, EventsQuery, LOG_MESSAGES_MAX, LogQuery, NameRequest,
    ReactionRequest, ReadRequest, SendRequest, SendView, StatusRequest, VerifyRequest,
};
pub use server::{Listener, bind, router, serve};
