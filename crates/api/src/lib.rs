//! The local HTTP API of Hallway: the server inside a node, and the client every face uses.
//!
//! HTTP/1.1 with JSON on a Unix socket that only its owner may open, and on loopback for the page
//! and for bots, behind a [`Gate`] and a token. `GET /api/v1/events` streams; everything else is one
//! request and one reply, and what is refused is an RFC 9457 problem with a stable `code`.
//!
//! The routes are in `server/table.rs`; `GET /api/v1/openapi.json` describes them.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

mod caller;
mod client;
mod document;
mod feed;
mod gate;
mod problem;
mod schema;
mod server;
mod tokens;

pub use client::{Client, ClientError, Lines};
pub use feed::Feed;
pub use gate::{Gate, GateError, OpenView};
pub use problem::{Candidate, ProblemView};
pub use schema::{
    CallHistoryQuery, CallRequest, ConnectRequest, ContentQuery, DevicesRequest, DoctorQuery, Done,
    EventsQuery, LOG_MESSAGES_MAX, LogQuery, MuteRequest, NameRequest, OfferRequest, OffersRequest,
    OpenRequest, ReactionRequest, ReadRequest, SendRequest, SendView, SettingsRequest,
    StatusRequest, SwitchRequest, TakeRequest, TokenRequest, TokenSecretView, TokenView, TrialView,
    UploadQuery, VerifyRequest,
};
pub use server::{Api, Listener, bind};
