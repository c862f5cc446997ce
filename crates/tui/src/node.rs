//! The way to the node: what happens there comes in, what is asked of it goes out.

use crate::io::{CallAct, Effect, Entry, FileAct, Input, PersonAct, Reply, Request, Snapshot};
use crate::picture::Picture;
use crate::talk::{PAGE_MESSAGES, Part, Spot};
use hallway_api::{
    Client, ClientError, ConnectRequest, DevicesRequest, LogQuery, OfferRequest, SendRequest,
    SettingsRequest, TakeRequest,
};
use hallway_model::{EventKind, MessageView, PeerId, SoundDirection, WallTime};
use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// A node that does not answer is tried again after this time.
const RETRY: Duration = Duration::from_millis(500);
/// A text that a node did not take because it went away is tried this often: a restart takes a
/// moment. Then its person gets it back.
const SEND_TRIES: usize = 20;
/// Messages that a search shows.
const FOUND_MAX: usize = 50;
/// Entries of a folder that are looked at; nobody chooses among more.
const ENTRIES_MAX: usize = 10_000;

type Result<T> = std::result::Result<T, ClientError>;

/// See the module.
pub(crate) struct Node {
    client: Client,
    inputs: mpsc::Sender<Input>,
    /// Texts in their order.
    texts: mpsc::UnboundedSender<Request>,
    searching: Option<AbortHandle>,
}

impl Node {
    /// Begins to follow the node, whether it is there already or not.
    pub(crate) fn new(client: Client, inputs: mpsc::Sender<Input>) -> io::Result<Self> {
        let (texts, queue) = mpsc::unbounded_channel();
        // Numbers of texts begin anew with each run, and a `client_id` must not.
        let mut run = [0; 8];
        getrandom::fill(&mut run).map_err(io::Error::other)?;
        tokio::spawn(follow(client.clone(), inputs.clone()));
        let sender = Texts {
            client: client.clone(),
            inputs: inputs.clone(),
            run: hex::encode(run),
        };
        tokio::spawn(sender.run(queue));
        Ok(Self {
            client,
            inputs,
            texts,
            searching: None,
        })
    }

    /// Does what concerns the node or the disk; what comes of it is an input.
    pub(crate) fn handle(&mut self, effect: Effect) {
        let (client, inputs) = (self.client.clone(), self.inputs.clone());
        match effect {
            Effect::Ask(request @ Request::Send { .. }) => {
                // The other end lives as long as we do.
                let _ = self.texts.send(request);
            }
            Effect::Ask(request) => {
                tokio::spawn(async move {
                    let reply = ask(&client, &request).await.map_err(why);
                    let request = Box::new(request);
                    let _ = inputs.send(Input::Done { request, reply }).await;
                });
            }
            Effect::Read(peer, part) => {
                tokio::spawn(async move {
                    let messages = read(&client, &peer, &part).await.map_err(why);
                    let page = Input::Page {
                        peer,
                        part,
                        messages,
                    };
                    let _ = inputs.send(page).await;
                });
            }
            Effect::Newest(peers) => {
                tokio::spawn(newest(client, inputs, peers));
            }
            Effect::LookUp(peer) => {
                tokio::spawn(async move {
                    // Somebody who is gone needs no row.
                    if let Ok(peer) = client.peer(&peer.to_string()).await {
                        let _ = inputs.send(Input::Peer(Box::new(peer))).await;
                    }
                });
            }
            Effect::Search { number, words } => {
                let search = tokio::spawn(async move {
                    let query = LogQuery {
                        search: Some(words),
                        limit: Some(FOUND_MAX),
                        ..LogQuery::default()
                    };
                    let messages = client.log(&query).await.map_err(why);
                    let _ = inputs.send(Input::Found { number, messages }).await;
                });
                // Nobody waits for the one before any more.
                if let Some(before) = self.searching.replace(search.abort_handle()) {
                    before.abort();
                }
            }
            Effect::Picture(id) => {
                tokio::spawn(async move {
                    let picture = picture(&client, &id).await;
                    let _ = inputs.send(Input::Picture(id, picture)).await;
                });
            }
            Effect::List(folder) => {
                tokio::task::spawn_blocking(move || {
                    let entries = list(&folder).ok();
                    let _ = inputs.blocking_send(Input::Listed { folder, entries });
                });
            }
            // These are for the terminal.
            Effect::Keep(_)
            | Effect::Copy(_)
            | Effect::Bell
            | Effect::Redraw
            | Effect::Suspend
            | Effect::Quit => {}
        }
    }
}

fn why(error: ClientError) -> String {
    error.to_string()
}

/// Tells what happens at the node, and whether it can be spoken to, until nobody listens.
async fn follow(client: Client, inputs: mpsc::Sender<Input>) {
    loop {
        let why = match follow_once(&client, &inputs).await {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        if inputs.send(Input::Down(why)).await.is_err() {
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn follow_once(client: &Client, inputs: &mpsc::Sender<Input>) -> Result<()> {
    // Listen first: nothing that happens while we read must be missed.
    let mut events = client.events(None).await?;
    let mut missed = true;
    loop {
        if missed {
            let up = Input::Up(Box::new(snapshot(client).await?));
            if inputs.send(up).await.is_err() {
                return Ok(());
            }
        }
        let Some(event) = events.next().await else {
            return Ok(());
        };
        let event = event?;
        missed = matches!(&event.kind, EventKind::Notice { code, .. } if code == "lagged");
        if inputs.send(Input::Told(Box::new(event))).await.is_err() {
            return Ok(());
        }
    }
}

async fn snapshot(client: &Client) -> Result<Snapshot> {
    Ok(Snapshot {
        status: client.status().await?,
        peers: client.peers().await?,
        calls: client.calls().await?,
        transfers: client.files().await?,
    })
}

async fn newest(client: Client, inputs: mpsc::Sender<Input>, peers: Vec<PeerId>) {
    for peer in peers {
        let query = LogQuery {
            limit: Some(1),
            ..of(&peer)
        };
        let Ok(mut messages) = client.log(&query).await else {
            return;
        };
        let last = messages.pop().map(Box::new);
        if inputs.send(Input::Newest(peer, last)).await.is_err() {
            return;
        }
    }
}

fn of(peer: &PeerId) -> LogQuery {
    LogQuery {
        peer: Some(peer.to_string()),
        limit: Some(PAGE_MESSAGES),
        ..LogQuery::default()
    }
}

async fn read(client: &Client, peer: &PeerId, part: &Part) -> Result<Vec<MessageView>> {
    let before = |id: &str| LogQuery {
        before: id.parse().ok(),
        ..of(peer)
    };
    let after = |id: &str| LogQuery {
        after: id.parse().ok(),
        ..of(peer)
    };
    let from = |time| LogQuery {
        from: Some(time),
        ..of(peer)
    };
    match part {
        Part::Latest => client.log(&of(peer)).await,
        Part::Before(id) => client.log(&before(id)).await,
        Part::After(id) => client.log(&after(id)).await,
        Part::Around(spot) => {
            let mut messages = match spot {
                Spot::Message(id) => client.log(&before(id)).await?,
                Spot::Time(_) => Vec::new(),
            };
            let on = match (messages.last(), spot) {
                (Some(last), _) => after(&last.id),
                (None, Spot::Time(time)) => from(*time),
                (None, Spot::Message(_)) => from(WallTime(0)),
            };
            messages.extend(client.log(&on).await?);
            Ok(messages)
        }
    }
}

/// What a peer sent is decoded where a decoder that panics does no harm.
async fn picture(client: &Client, id: &str) -> Option<Picture> {
    let bytes = client.thumbnail(id).await.ok()?;
    let decoded = tokio::task::spawn_blocking(move || Picture::decode(&bytes));
    decoded.await.ok().flatten()
}

/// Sends texts one after the other, so that they arrive in the order in which they were written.
struct Texts {
    client: Client,
    inputs: mpsc::Sender<Input>,
    run: String,
}

impl Texts {
    async fn run(self, mut queue: mpsc::UnboundedReceiver<Request>) {
        while let Some(mut next) = queue.recv().await {
            let Request::Send {
                request, number, ..
            } = &mut next
            else {
                continue;
            };
            request.client_id = Some(format!("tui-{}-{number}", self.run));
            let reply = self.send(request).await.map(Reply::Sent).map_err(why);
            let request = Box::new(next);
            if self
                .inputs
                .send(Input::Done { request, reply })
                .await
                .is_err()
            {
                return;
            }
        }
    }

    /// Whether a connection broke before or after the node took the text cannot be known: the
    /// `client_id` sees to it that it is sent once.
    async fn send(&self, request: &SendRequest) -> Result<hallway_api::SendView> {
        for _ in 1..SEND_TRIES {
            match self.client.send(request).await {
                Err(
                    ClientError::NotRunning { .. }
                    | ClientError::Socket { .. }
                    | ClientError::Broken(_),
                ) => tokio::time::sleep(RETRY).await,
                done => return done,
            }
        }
        self.client.send(request).await
    }
}

async fn ask(client: &Client, request: &Request) -> Result<Reply> {
    let person = |peer: hallway_model::PeerView| Reply::Person(Box::new(peer));
    let reply = match request {
        Request::Send { request, .. } => Reply::Sent(client.send(request).await?),
        Request::Offer(peer, path) => {
            let request = OfferRequest {
                to: peer.to_string(),
                path: absolute(path),
                client_id: None,
            };
            Reply::Transfer(Box::new(client.offer(&request).await?))
        }
        Request::Transfer(id, act) => {
            let transfer = match act {
                FileAct::Accept(to) => {
                    let to = to.as_deref().map(absolute);
                    client.take_file(id, &TakeRequest { to }).await?
                }
                FileAct::Decline => client.decline_file(id).await?,
                FileAct::Pause => client.pause_file(id).await?,
                FileAct::Resume => client.resume_file(id).await?,
                FileAct::Cancel => client.cancel_file(id).await?,
            };
            Reply::Transfer(Box::new(transfer))
        }
        Request::Person(peer, act) => {
            let peer = peer.to_string();
            person(match act {
                PersonAct::Accept => client.accept(&peer).await?,
                PersonAct::Block => client.block(&peer).await?,
                PersonAct::Unblock => client.unblock(&peer).await?,
                PersonAct::Forget => client.forget(&peer).await?,
                PersonAct::KeepName => client.keep_name(&peer).await?,
            })
        }
        Request::Seen(peer, seq) => {
            client.read(&peer.to_string(), *seq).await?;
            Reply::Done
        }
        Request::Typing(peer) => {
            client.typing(&peer.to_string()).await?;
            Reply::Done
        }
        Request::SafetyNumber(peer) => {
            Reply::Safety(client.safety_number(&peer.to_string()).await?)
        }
        Request::Verify(peer, number) => {
            Reply::Safety(client.verify(&peer.to_string(), number.clone()).await?)
        }
        Request::Ring(peer) => Reply::Call(Box::new(client.call_peer(peer.to_string()).await?)),
        Request::Call(id, act) => {
            let id = Some(id.as_str());
            Reply::Call(Box::new(match act {
                CallAct::Answer => client.answer(id).await?,
                CallAct::HangUp => client.hang_up(id).await?,
                CallAct::Mute(on) => client.mute(id, *on).await?,
                CallAct::Hold(on) => client.hold(id, *on).await?,
                CallAct::Talk(on) => client.push_to_talk(id, *on).await?,
            }))
        }
        Request::Name(name) => {
            client.set_name(name.clone()).await?;
            Reply::Done
        }
        Request::Status(status) => {
            client.set_status(*status).await?;
            Reply::Done
        }
        Request::Settings(change) => {
            let downloads = change.downloads.as_deref().map(absolute);
            let change = SettingsRequest {
                downloads,
                ..change.clone()
            };
            client.set_settings(&change).await?;
            Reply::Status(Box::new(client.status().await?))
        }
        Request::Quiet(peer, on) => {
            client.mute_peer(&peer.to_string(), *on).await?;
            Reply::Status(Box::new(client.status().await?))
        }
        Request::Connect(address) => {
            let address = address.clone();
            person(client.connect(&ConnectRequest { address }).await?)
        }
        Request::Devices => Reply::Devices(client.devices().await?),
        Request::Choose(direction, name) => {
            let mut request = DevicesRequest::default();
            match direction {
                SoundDirection::Input => request.input = Some(name.clone()),
                SoundDirection::Output => request.output = Some(name.clone()),
            }
            Reply::Devices(client.choose_devices(&request).await?)
        }
        Request::Doctor(peer) => {
            Reply::Report(client.doctor(peer.map(|peer| peer.to_string())).await?)
        }
    };
    Ok(reply)
}

/// A path as a person types it: `~` is their home, and others begin where the app was started.
fn absolute(path: &Path) -> PathBuf {
    let path = match (path.strip_prefix("~"), env::var_os("HOME")) {
        (Ok(below), Some(home)) => PathBuf::from(home).join(below),
        _ => path.to_owned(),
    };
    std::path::absolute(&path).unwrap_or(path)
}

/// What is in a folder, in the order of names, folders first.
fn list(folder: &str) -> io::Result<Vec<Entry>> {
    let place = if folder.is_empty() { "." } else { folder };
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(absolute(Path::new(place)))?.take(ENTRIES_MAX) {
        let entry = entry?;
        // A link counts as what it leads to; one that leads nowhere cannot be sent.
        let Ok(about) = std::fs::metadata(entry.path()) else {
            continue;
        };
        // What is not UTF-8 cannot be typed either.
        if let Ok(name) = entry.file_name().into_string() {
            entries.push(Entry {
                name,
                folder: about.is_dir(),
                bytes: about.len(),
            });
        }
    }
    entries.sort_by(|a, b| (!a.folder, &a.name).cmp(&(!b.folder, &b.name)));
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_listed_with_its_folders_first() {
        let folder = env::temp_dir().join(format!("hallway-tui-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("sub")).unwrap();
        std::fs::write(folder.join("a.txt"), "four").unwrap();
        let listed = list(folder.to_str().unwrap()).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let names: Vec<_> = listed.iter().map(|e| (e.name.as_str(), e.folder)).collect();
        assert_eq!(names, [("sub", true), ("a.txt", false)]);
        assert_eq!(listed[1].bytes, 4);
        assert!(list("/nowhere/at/all/").is_err());
    }

    #[test]
    fn a_tilde_is_the_home() {
        let home = PathBuf::from(env::var_os("HOME").unwrap());
        assert_eq!(absolute(Path::new("~/x")), home.join("x"));
        assert_eq!(absolute(Path::new("/x/~/y")), Path::new("/x/~/y"));
        assert!(absolute(Path::new("x")).is_absolute());
    }
}
