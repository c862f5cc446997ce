//! Every route of the API: the server and its document are made of this table.

use super::route::{Content, Needs, Route, delete, get, post, put};
use super::{
    Api, calls, content, devices, files, history, metrics, node, peers, send, stream, tokens,
};
use crate::document::document;
use crate::gate::{OpenView, PageTokenView, TicketRequest};
use crate::schema::{
    CallHistoryQuery, CallRequest, ConnectRequest, ContentQuery, DevicesRequest, DoctorQuery, Done,
    EventsQuery, LogQuery, MuteRequest, NameRequest, OfferRequest, OffersRequest, OpenRequest,
    ReadRequest, SendRequest, SendView, SettingsRequest, StatusRequest, SwitchRequest, TakeRequest,
    TokenRequest, TokenSecretView, TokenView, TrialView, UploadQuery, VerifyRequest,
};
use axum::Json;
use hallway_model::{
    CallView, DevicesView, Event, MessageView, PeerView, Report, StatusView, TransferView,
    VerifyView,
};
use serde_json::Value;

/// The one route that needs no token.
pub(crate) const TICKET_PATH: &str = "/api/v1/ticket";

/// All of them.
pub(super) fn routes(api: &Api) -> Vec<Route> {
    let mut routes = of_the_node(api);
    routes.extend(of_people());
    routes.extend(of_messages());
    routes.extend(of_files(api));
    routes.extend(of_calls());
    routes.extend(of_tokens(api));
    let described = get("/openapi.json", "This document", async || Json(Value::Null));
    let described = described.needs(Needs::Entry).gives::<Value>().about;
    let all: Vec<_> = routes
        .iter()
        .map(|route| route.about)
        .chain([described])
        .collect();
    let document = get(described.path, described.does, async move || {
        Json(document(&all))
    });
    routes.push(document.needs(Needs::Entry).gives::<Value>());
    routes
}

fn of_the_node(api: &Api) -> Vec<Route> {
    let (home, scraped) = (api.home.clone(), api.home.clone());
    let doctor = async move |node, query| node::doctor(&home, node, query).await;
    let metrics = async move |node| metrics::metrics(&scraped, node).await;
    let gate = api.gate.clone();
    let open = async move || node::open(gate.as_deref());
    vec![
        get("/status", "The node itself", node::status).gives::<StatusView>(),
        put("/status", "Says whether we are there", node::set_status)
            .takes::<StatusRequest>()
            .gives::<Done>(),
        put("/name", "Takes a new name", node::set_name)
            .takes::<NameRequest>()
            .gives::<Done>(),
        put(
            "/settings",
            "Changes what the person chooses about the node",
            node::set,
        )
        .takes::<SettingsRequest>()
        .gives::<Done>(),
        get(
            "/doctor",
            "What is wrong with this network, and whose side it is on",
            doctor,
        )
        .asks::<DoctorQuery>()
        .gives::<Report>(),
        get(
            "/devices",
            "Sound devices, and which calls use",
            devices::list,
        )
        .gives::<DevicesView>(),
        put("/devices", "Uses other sound devices", devices::choose)
            .takes::<DevicesRequest>()
            .gives::<DevicesView>(),
        post(
            "/devices/test",
            "Records four seconds and plays them back",
            devices::test,
        )
        .gives_lines::<TrialView>(),
        get("/metrics", "Figures for Prometheus", metrics)
            .at_root()
            .needs(Needs::Metrics)
            .gives_as(Content::Text),
        post(
            "/open",
            "Where the page can be opened, once and for a minute",
            open,
        )
        .gives::<OpenView>(),
        post("/stop", "Says goodbye and stops the node", node::stop).gives::<Done>(),
    ]
}

fn of_people() -> Vec<Route> {
    vec![
        get("/peers", "Everybody known or near", peers::list)
            .needs(Needs::Read)
            .gives::<Vec<PeerView>>(),
        get("/peers/{peer}", "One of them", peers::show)
            .needs(Needs::Read)
            .gives::<PeerView>(),
        get(
            "/requests",
            "Strangers whose messages wait for a decision",
            peers::requests,
        )
        .gives::<Vec<PeerView>>(),
        post(
            "/connect",
            "Dials an address and gives who answered",
            peers::connect,
        )
        .takes::<ConnectRequest>()
        .gives::<PeerView>(),
        get(
            "/peers/{peer}/verify",
            "The safety number",
            peers::safety_number,
        )
        .gives::<VerifyView>(),
        post(
            "/peers/{peer}/verify",
            "Compares the number that they read out",
            peers::verify,
        )
        .takes::<VerifyRequest>()
        .gives::<VerifyView>(),
        post(
            "/peers/{peer}/block",
            "Lets nothing of theirs through any more",
            peers::block,
        )
        .gives::<PeerView>(),
        post("/peers/{peer}/unblock", "Undoes that", peers::unblock).gives::<PeerView>(),
        post(
            "/peers/{peer}/accept",
            "Takes a stranger as a contact",
            peers::accept,
        )
        .gives::<PeerView>(),
        post(
            "/peers/{peer}/forget",
            "Removes them and everything written with them; gives who it was",
            peers::forget,
        )
        .gives::<PeerView>(),
        post(
            "/peers/{peer}/keep-name",
            "Keeps a contact as they are although another uses their name",
            peers::keep_name,
        )
        .gives::<PeerView>(),
        post(
            "/peers/{peer}/read",
            "Their messages up to there were shown",
            peers::read,
        )
        .needs(Needs::Send)
        .takes::<ReadRequest>()
        .gives::<Done>(),
        post(
            "/peers/{peer}/mute",
            "Nothing of them is notified, or again",
            peers::mute,
        )
        .takes::<MuteRequest>()
        .gives::<Done>(),
        post(
            "/peers/{peer}/typing",
            "We are typing to them",
            peers::typing,
        )
        .needs(Needs::Send)
        .gives::<Done>(),
    ]
}

fn of_messages() -> Vec<Route> {
    vec![
        post("/messages", "Sends a message, or changes one", send::send)
            .needs(Needs::Send)
            .takes::<SendRequest>()
            .gives::<SendView>(),
        get("/log", "What was written, oldest first", history::log)
            .needs(Needs::Read)
            .asks::<LogQuery>()
            .gives::<Vec<MessageView>>(),
        get("/events", "What happens, as it happens", stream::events)
            .needs(Needs::Read)
            .asks::<EventsQuery>()
            .heeds(&[("Last-Event-ID", "As `since`, and counts more.")])
            .gives_as(Content::Events(|generator| {
                generator.subschema_for::<Event>()
            })),
        get(
            "/export",
            "Everything a person would want back",
            history::export,
        )
        .gives_lines::<Value>(),
    ]
}

fn of_files(api: &Api) -> Vec<Route> {
    let spool = api.home.clone();
    let upload = async move |node, query, body| files::upload(&spool, node, query, body).await;
    vec![
        get("/files", "All transfers, the latest last", files::list).gives::<Vec<TransferView>>(),
        post(
            "/files",
            "Offers a file or folder of this computer",
            files::offer,
        )
        .takes::<OfferRequest>()
        .gives::<TransferView>(),
        post(
            "/offers",
            "The same to several, who help each other to it",
            files::offer_to_many,
        )
        .takes::<OffersRequest>()
        .gives::<Vec<TransferView>>(),
        post("/files/upload", "Offers what is in the body", upload)
            .asks::<UploadQuery>()
            .takes_bytes()
            .gives::<Vec<TransferView>>(),
        get("/files/{id}", "One transfer", files::show).gives::<TransferView>(),
        get(
            "/files/{id}/content",
            "A file that has arrived, or a range of it",
            content::content,
        )
        .asks::<ContentQuery>()
        .heeds(&[
            ("Range", "One range of bytes."),
            ("If-Range", "With another tag than this all of it comes."),
            ("If-None-Match", "With this tag nothing comes."),
        ])
        .gives_as(Content::Bytes(content::CONTENTS))
        .also(&[
            (206, "The range that was asked for."),
            (304, "It is still the same."),
        ]),
        get(
            "/files/{id}/thumbnail",
            "The small picture of an offer",
            content::thumbnail,
        )
        .gives_as(Content::Bytes(content::THUMBNAILS)),
        post(
            "/files/{id}/open",
            "Shows it on the desktop of the node",
            files::open,
        )
        .takes::<OpenRequest>()
        .gives::<Done>(),
        post("/files/{id}/accept", "Takes what is offered", files::accept)
            .takes::<TakeRequest>()
            .gives::<TransferView>(),
        post("/files/{id}/decline", "Does not take it", files::decline).gives::<TransferView>(),
        post("/files/{id}/pause", "Holds it for now", files::pause).gives::<TransferView>(),
        post("/files/{id}/resume", "Goes on with it", files::resume).gives::<TransferView>(),
        post("/files/{id}/cancel", "Gives it up", files::cancel).gives::<TransferView>(),
    ]
}

fn of_calls() -> Vec<Route> {
    vec![
        get("/calls", "Calls that are not over", calls::list).gives::<Vec<CallView>>(),
        post(
            "/calls",
            "Rings a peer; what becomes of it, events tell",
            calls::call,
        )
        .takes::<CallRequest>()
        .gives::<CallView>(),
        get(
            "/calls/history",
            "The latest calls with everybody, oldest first",
            calls::history,
        )
        .asks::<CallHistoryQuery>()
        .gives::<Vec<MessageView>>(),
        post(
            "/calls/{call}/answer",
            "Answers it; another is held",
            calls::answer,
        )
        .gives::<CallView>(),
        post(
            "/calls/{call}/hang-up",
            "Hangs up, gives up or declines",
            calls::hang_up,
        )
        .gives::<CallView>(),
        post(
            "/calls/{call}/mute",
            "Lets nothing of the microphone through",
            calls::mute,
        )
        .takes::<SwitchRequest>()
        .gives::<CallView>(),
        post(
            "/calls/{call}/hold",
            "Holds it, or goes on with it",
            calls::hold,
        )
        .takes::<SwitchRequest>()
        .gives::<CallView>(),
        post(
            "/calls/{call}/push-to-talk",
            "Lets the microphone through while a key is held",
            calls::push_to_talk,
        )
        .takes::<SwitchRequest>()
        .gives::<CallView>(),
    ]
}

fn of_tokens(api: &Api) -> Vec<Route> {
    let (listed, made, revoked) = (api.tokens.clone(), api.tokens.clone(), api.tokens.clone());
    let (invited, exchanging) = (api.gate.clone(), api.gate.clone());
    let list = async move || tokens::list(&listed);
    let add = async move |node, body| tokens::add(made, invited.as_deref(), node, body).await;
    let revoke = async move |name| tokens::revoke(revoked, name).await;
    let exchange = async move |body| tokens::exchange(exchanging.as_deref(), body);
    vec![
        get("/tokens", "Tokens of bots", list).gives::<Vec<TokenView>>(),
        post("/tokens", "Makes a token; its secret is told only now", add)
            .takes::<TokenRequest>()
            .gives::<TokenSecretView>(),
        delete(
            "/tokens/{name}",
            "Revokes it, and ends what its bot is doing",
            revoke,
        )
        .gives::<TokenView>(),
        post(
            "/ticket",
            "Exchanges a ticket for the token of the page, once",
            exchange,
        )
        .needs(Needs::Nothing)
        .takes::<TicketRequest>()
        .gives::<PageTokenView>(),
    ]
}
