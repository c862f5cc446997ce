//! The local HTTP API of Hallway: the server inside a node, and the client every face uses.
//!
//! HTTP/1.1 with JSON on a Unix socket that only its owner may open, and on loopback for the page,
//! behind a [`Gate`]. `GET /api/v1/events` streams;
//! everything else is one request and one reply, and what is refused is an RFC 9457 problem with a
//! stable `code`.
//!
//! | route under `/api/v1` | takes | gives |
//! |---|---|---|
//! | `GET status` | | the node |
//! | `PUT status`, `PUT name`, `PUT settings` | [`StatusRequest`], [`NameRequest`], [`SettingsRequest`] | |
//! | `GET peers`, `GET requests` | | everybody; strangers who wait |
//! | `GET peers/{peer}` | | one of them |
//! | `GET`, `POST peers/{peer}/verify` | [`VerifyRequest`] | the safety number |
//! | `POST peers/{peer}/block`, `unblock`, `accept`, `forget`, `keep-name` | | the peer |
//! | `POST peers/{peer}/read`, `typing` | [`ReadRequest`] | |
//! | `POST connect` | [`ConnectRequest`] | who answered |
//! | `POST messages` | [`SendRequest`] | [`SendView`] |
//! | `GET`, `POST files` | [`OfferRequest`] | all transfers; the one begun |
//! | `GET files/{id}` | | one of them |
//! | `POST offers` | [`OffersRequest`] | the transfers begun, one for each peer |
//! | `POST files/upload?to=…&name=…` | the file itself; several `to` are allowed | the transfers begun |
//! | `GET files/{id}/content` | [`ContentQuery`] | a file that has arrived, or a range of it |
//! | `GET files/{id}/thumbnail` | | the small picture of an offer |
//! | `POST files/{id}/open` | [`OpenRequest`] | it is shown on the node's desktop |
//! | `POST files/{id}/accept` | [`TakeRequest`] | the transfer |
//! | `POST files/{id}/decline`, `pause`, `resume`, `cancel` | | the transfer |
//! | `GET calls`, `GET calls/history` | [`CallHistoryQuery`] | calls that are not over; records of those that are |
//! | `POST calls` | [`CallRequest`] | the call; what becomes of it, events tell |
//! | `POST calls/{call}/answer`, `hang-up` | | the call |
//! | `POST calls/{call}/mute`, `hold`, `push-to-talk` | [`SwitchRequest`] | the call |
//! | `GET log` | [`LogQuery`] | messages, oldest first |
//! | `GET events` | [`EventsQuery`] | events, as lines of JSON or server-sent |
//! | `GET export` | | everything, as lines of JSON |
//! | `GET`, `PUT devices` | [`DevicesRequest`] | sound devices, and which calls use |
//! | `GET doctor` | [`DoctorQuery`] | what is wrong |
//! | `POST open` | | where the page is; on the socket only |
//! | `POST stop` | | |
//!
//! `{peer}` is a name, a tag, an id or `name~tag`. `{call}` is the id of a call, the peer it is with,
//! or `current`: the one that rings, or is talked in, or the only one.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

mod client;
mod feed;
mod gate;
mod problem;
mod schema;
mod server;

pub use client::{Client, ClientError, Lines};
pub use feed::Feed;
pub use gate::{Gate, GateError, OpenView};
pub use problem::{Candidate, ProblemView};
pub use schema::{
    CallHistoryQuery, CallRequest, ConnectRequest, ContentQuery, DevicesRequest, DoctorQuery, Done,
    EventsQuery, LOG_MESSAGES_MAX, LogQuery, NameRequest, OfferRequest, OffersRequest, OpenRequest,
    ReactionRequest, ReadRequest, SendRequest, SendView, SettingsRequest, StatusRequest,
    SwitchRequest, TakeRequest, VerifyRequest,
};
pub use server::{Listener, bind, router, serve, serve_page};
