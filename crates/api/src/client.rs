//! The client every face uses: typed calls over the node's Unix socket.

use crate::gate::OpenView;
use crate::problem::ProblemView;
use crate::schema::{
    CallHistoryQuery, CallRequest, ConnectRequest, DevicesRequest, DoctorQuery, Done, EventsQuery,
    LogQuery, MuteRequest, NameRequest, OfferRequest, OffersRequest, ReadRequest, SendRequest,
    SendView, SettingsRequest, StatusRequest, SwitchRequest, TakeRequest, TokenRequest,
    TokenSecretView, TokenView, VerifyRequest,
};
use hallway_model::{
    CallView, DevicesView, Event, MessageView, Name, PeerView, Report, Status, StatusView,
    TransferView, VerifyView,
};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// All that RFC 3986 does not let stand for itself in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("no node is running here ({})", .socket.display())]
    NotRunning {
        /// Where it would listen.
        socket: PathBuf,
    },
    /// The node refused, and says why.
    #[error("{}", .0.detail)]
    Refused(Box<ProblemView>),
    /// The socket cannot be used.
    #[error("cannot talk to the node at {}: {error}", .socket.display())]
    Socket {
        /// Where it listens.
        socket: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The connection broke; the node has stopped, or refuses this user.
    #[error("the connection to the node broke: {0}")]
    Broken(#[from] hyper::Error),
    /// The answer is not what this version of the client expects.
    #[error("the node answered something this version does not understand: {0}")]
    NotUnderstood(#[from] serde_json::Error),
}

type Result<T> = std::result::Result<T, ClientError>;

/// A way to one node. Each call opens a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// The node that listens on this socket. Nothing is opened yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// Where the node listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The node itself.
    pub async fn status(&self) -> Result<StatusView> {
        self.get("status").await
    }

    /// Asks the node to say goodbye and stop. It is still there when this returns.
    pub async fn stop(&self) -> Result<Done> {
        self.act("stop").await
    }

    /// Where the node's page can be opened, for a minute.
    pub async fn open(&self) -> Result<OpenView> {
        self.act("open").await
    }

    /// Takes a new name.
    pub async fn set_name(&self, name: Name) -> Result<Done> {
        self.put("name", &NameRequest { name }).await
    }

    /// Changes what is taken without asking.
    pub async fn set_settings(&self, request: &SettingsRequest) -> Result<Done> {
        self.put("settings", request).await
    }

    /// Changes the availability.
    pub async fn set_status(&self, status: Status) -> Result<Done> {
        self.put("status", &StatusRequest { status }).await
    }

    /// Everybody known or near.
    pub async fn peers(&self) -> Result<Vec<PeerView>> {
        self.get("peers").await
    }

    /// The one peer that a name, tag, id or `name~tag` means.
    pub async fn peer(&self, peer: &str) -> Result<PeerView> {
        self.get(&path_of(peer, None)).await
    }

    /// The safety number with a peer.
    pub async fn safety_number(&self, peer: &str) -> Result<VerifyView> {
        self.get(&path_of(peer, Some("verify"))).await
    }

    /// Compares the number the other person reads out, and remembers that it was right.
    pub async fn verify(&self, peer: &str, number: String) -> Result<VerifyView> {
        let number = Some(number);
        self.post(&path_of(peer, Some("verify")), &VerifyRequest { number })
            .await
    }

    /// Keeps a contact as they are although somebody else uses their name.
    pub async fn keep_name(&self, peer: &str) -> Result<PeerView> {
        self.act(&path_of(peer, Some("keep-name"))).await
    }

    /// Lets nothing of a peer through any more.
    pub async fn block(&self, peer: &str) -> Result<PeerView> {
        self.act(&path_of(peer, Some("block"))).await
    }

    /// Undoes a block.
    pub async fn unblock(&self, peer: &str) -> Result<PeerView> {
        self.act(&path_of(peer, Some("unblock"))).await
    }

    /// Accepts a stranger's request.
    pub async fn accept(&self, peer: &str) -> Result<PeerView> {
        self.act(&path_of(peer, Some("accept"))).await
    }

    /// Removes a peer and everything exchanged with them; also declines a request. Returns who
    /// it was.
    pub async fn forget(&self, peer: &str) -> Result<PeerView> {
        self.act(&path_of(peer, Some("forget"))).await
    }

    /// A peer's messages up to this sequence number were shown.
    pub async fn read(&self, peer: &str, seq: u64) -> Result<Done> {
        self.post(&path_of(peer, Some("read")), &ReadRequest { seq })
            .await
    }

    /// Nothing of a peer is notified, or again.
    pub async fn mute_peer(&self, peer: &str, on: bool) -> Result<Done> {
        let path = path_of(peer, Some("mute"));
        self.post(&path, &MuteRequest { on }).await
    }

    /// We are typing to a peer.
    pub async fn typing(&self, peer: &str) -> Result<Done> {
        self.act(&path_of(peer, Some("typing"))).await
    }

    /// Strangers whose messages wait for a decision.
    pub async fn requests(&self) -> Result<Vec<PeerView>> {
        self.get("requests").await
    }

    /// Dials an address and returns who answered.
    pub async fn connect(&self, request: &ConnectRequest) -> Result<PeerView> {
        self.post("connect", request).await
    }

    /// Sends a message.
    pub async fn send(&self, request: &SendRequest) -> Result<SendView> {
        self.post("messages", request).await
    }

    /// Rings a peer, by a name, tag, id or `name~tag`. What becomes of it, events tell.
    pub async fn call_peer(&self, peer: String) -> Result<CallView> {
        self.post("calls", &CallRequest { peer }).await
    }

    /// Calls that are not over.
    pub async fn calls(&self) -> Result<Vec<CallView>> {
        self.get("calls").await
    }

    /// Records of the latest calls with everybody, oldest first.
    pub async fn call_history(&self, limit: Option<usize>) -> Result<Vec<MessageView>> {
        let query = CallHistoryQuery { limit };
        self.get(&with_query("calls/history", &query)).await
    }

    /// Answers the call with this id or peer; without one, the only one that rings.
    pub async fn answer(&self, call: Option<&str>) -> Result<CallView> {
        self.act(&call_path(call, "answer")).await
    }

    /// Hangs up, gives up or declines.
    pub async fn hang_up(&self, call: Option<&str>) -> Result<CallView> {
        self.act(&call_path(call, "hang-up")).await
    }

    /// Lets nothing of the microphone through, or lets it through again.
    pub async fn mute(&self, call: Option<&str>, on: bool) -> Result<CallView> {
        let request = SwitchRequest { on };
        self.post(&call_path(call, "mute"), &request).await
    }

    /// Holds a call, or goes on with it.
    pub async fn hold(&self, call: Option<&str>, on: bool) -> Result<CallView> {
        let request = SwitchRequest { on };
        self.post(&call_path(call, "hold"), &request).await
    }

    /// Lets the microphone through while a key is held.
    pub async fn push_to_talk(&self, call: Option<&str>, on: bool) -> Result<CallView> {
        let request = SwitchRequest { on };
        self.post(&call_path(call, "push-to-talk"), &request).await
    }

    /// Every transfer, the latest last.
    pub async fn files(&self) -> Result<Vec<TransferView>> {
        self.get("files").await
    }

    /// Offers a file or folder.
    pub async fn offer(&self, request: &OfferRequest) -> Result<TransferView> {
        self.post("files", request).await
    }

    /// Offers a file or folder to several peers, who then help each other to it.
    pub async fn offer_to_many(&self, request: &OffersRequest) -> Result<Vec<TransferView>> {
        self.post("offers", request).await
    }

    /// Takes what is offered by the transfer whose id begins so.
    pub async fn take_file(&self, id: &str, request: &TakeRequest) -> Result<TransferView> {
        self.post(&file_path(id, "accept"), request).await
    }

    /// Does not take it.
    pub async fn decline_file(&self, id: &str) -> Result<TransferView> {
        self.act(&file_path(id, "decline")).await
    }

    /// Holds it for now.
    pub async fn pause_file(&self, id: &str) -> Result<TransferView> {
        self.act(&file_path(id, "pause")).await
    }

    /// Goes on with it.
    pub async fn resume_file(&self, id: &str) -> Result<TransferView> {
        self.act(&file_path(id, "resume")).await
    }

    /// Gives it up.
    pub async fn cancel_file(&self, id: &str) -> Result<TransferView> {
        self.act(&file_path(id, "cancel")).await
    }

    /// Messages, oldest first.
    pub async fn log(&self, query: &LogQuery) -> Result<Vec<MessageView>> {
        self.get(&with_query("log", query)).await
    }

    /// Every event after `since`, or from now on. Events are already being kept for the caller
    /// when this returns.
    pub async fn events(&self, since: Option<u64>) -> Result<Lines<Event>> {
        self.lines(&with_query("events", &EventsQuery { since }))
            .await
    }

    /// The small picture of an offer: a JPEG or PNG, unless a peer sent something else.
    pub async fn thumbnail(&self, id: &str) -> Result<Vec<u8>> {
        let path = format!("files/{}/thumbnail", segment(id));
        let response = self.call(Method::GET, &path, None).await?;
        let body = response.into_body().collect().await?;
        Ok(body.to_bytes().into())
    }

    /// The sound devices, and which ones calls use.
    pub async fn devices(&self) -> Result<DevicesView> {
        self.get("devices").await
    }

    /// Uses other devices from now on.
    pub async fn choose_devices(&self, request: &DevicesRequest) -> Result<DevicesView> {
        self.put("devices", request).await
    }

    /// Tokens of bots, the oldest first.
    pub async fn tokens(&self) -> Result<Vec<TokenView>> {
        self.get("tokens").await
    }

    /// Makes a token; its secret is told only now.
    pub async fn add_token(&self, request: &TokenRequest) -> Result<TokenSecretView> {
        self.post("tokens", request).await
    }

    /// Revokes the token of this name, and ends what its bot is doing.
    pub async fn revoke_token(&self, name: &Name) -> Result<TokenView> {
        let path = format!("tokens/{}", segment(name.as_str()));
        parse(self.call(Method::DELETE, &path, None).await?).await
    }

    /// What is wrong with this network, and whose side it is on.
    pub async fn doctor(&self, peer: Option<String>) -> Result<Report> {
        self.get(&with_query("doctor", &DoctorQuery { peer })).await
    }

    /// Everything a person would want back, as it is on disk.
    pub async fn export(&self) -> Result<Lines<serde_json::Value>> {
        self.lines("export").await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        parse(self.call(Method::GET, path, None).await?).await
    }

    async fn lines<T>(&self, path: &str) -> Result<Lines<T>> {
        let response = self.call(Method::GET, path, None).await?;
        Ok(Lines {
            body: response.into_body(),
            held: Vec::new(),
            start: 0,
            item: PhantomData,
        })
    }

    async fn act<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        parse(self.call(Method::POST, path, None).await?).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        let body = serde_json::to_vec(body)?;
        parse(self.call(Method::POST, path, Some(body)).await?).await
    }

    async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        let body = serde_json::to_vec(body)?;
        parse(self.call(Method::PUT, path, Some(body)).await?).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Response<Incoming>> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| self.unreachable(error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // A fault of the connection also ends the exchange below, which reports it.
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1/{path}"))
            .header(HOST, "hallway")
            .header(ACCEPT, "application/json, application/x-ndjson");
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .expect("a percent-encoded path and constant headers make a valid request");
        let response = sender.send_request(request).await?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let problem = parse(response).await?;
        Err(ClientError::Refused(Box::new(problem)))
    }

    fn unreachable(&self, error: io::Error) -> ClientError {
        let socket = self.socket.clone();
        let nobody = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
        if nobody.contains(&error.kind()) {
            ClientError::NotRunning { socket }
        } else {
            ClientError::Socket { socket, error }
        }
    }
}

async fn parse<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T> {
    let body = response.into_body().collect().await?.to_bytes();
    Ok(serde_json::from_slice(&body)?)
}

fn call_path(call: Option<&str>, action: &str) -> String {
    format!("calls/{}/{action}", segment(call.unwrap_or("current")))
}

fn segment(reference: &str) -> String {
    // A segment of one or two dots would be resolved away on its way.
    match reference {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        other => utf8_percent_encode(other, SEGMENT).to_string(),
    }
}

fn path_of(peer: &str, action: Option<&str>) -> String {
    let peer = segment(peer);
    match action {
        Some(action) => format!("peers/{peer}/{action}"),
        None => format!("peers/{peer}"),
    }
}

fn file_path(id: &str, action: &str) -> String {
    format!("files/{}/{action}", utf8_percent_encode(id, SEGMENT))
}

fn with_query(path: &str, query: &impl Serialize) -> String {
    let query = serde_urlencoded::to_string(query).expect("the queries are flat structs");
    format!("{path}?{query}")
}

/// A stream of JSON values, one on each line.
pub struct Lines<T> {
    body: Incoming,
    /// What has come, from `start` on not yet handed out.
    held: Vec<u8>,
    start: usize,
    item: PhantomData<T>,
}

impl<T: DeserializeOwned> Lines<T> {
    /// The next value; `None` when the node has ended the stream.
    pub async fn next(&mut self) -> Option<Result<T>> {
        loop {
            let waiting = self.held.get(self.start..).unwrap_or_default();
            if let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
                let value = waiting.get(..end).map(serde_json::from_slice)?;
                self.start += end + 1;
                return Some(value.map_err(ClientError::from));
            }
            match self.body.frame().await? {
                Ok(frame) => {
                    self.held.drain(..self.start);
                    self.start = 0;
                    self.held.extend(frame.data_ref().into_iter().flatten());
                }
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}
