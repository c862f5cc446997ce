//! Real nodes for the tests: on loopback, without multicast, each in a folder of its own.

use hallway_api::{Api, Client, ConnectRequest, SendRequest};
use hallway_model::{Delivery, Name, PeerView};
use hallway_node::audio::Source;
use hallway_node::home::Home;
use hallway_node::keys::{self, KeyStore};
use hallway_node::{Handle, NodeConfig};
use std::io::ErrorKind;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

/// Long enough for a machine under load: only a test that fails waits for it.
pub(crate) const PATIENCE_MS: u64 = 60_000;

pub(crate) struct TestNode {
    pub(crate) handle: Handle,
    pub(crate) client: Client,
    pub(crate) socket: PathBuf,
    pub(crate) serving: JoinHandle<std::io::Result<()>>,
    dir: TempDir,
}

impl TestNode {
    pub(crate) async fn start(name: &str) -> Self {
        Self::start_with(name, Source::default()).await
    }

    /// With sound from there.
    pub(crate) async fn start_with(name: &str, sound: Source) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::create(Some(&dir.path().join("home"))).unwrap();
        let lock = home.lock().unwrap();
        let secrets = keys::load_or_create(&lock, Some(KeyStore::File), |_| None)
            .unwrap()
            .secrets;
        let socket = home.socket().unwrap();
        let listener = hallway_api::bind(&socket).unwrap();
        let config = NodeConfig {
            home: home.clone(),
            lock,
            secrets,
            name: Name::new(name).unwrap(),
            rename: None,
            device: Name::new("test").unwrap(),
            port: Some(0),
            mdns: false,
            peers: Vec::new(),
            read_receipts: true,
            accept_all: false,
            downloads: None,
            accept_files_bytes: 0,
            files_bytes_per_second: None,
            aes: true,
            sound,
            auto_answer: false,
            keep_history: true,
            version: "0",
        };
        let handle = hallway_node::start(config).await.unwrap();
        let api = Api::new(handle.clone(), home, None);
        let serving = tokio::spawn(api.serve(listener));
        let client = Client::new(&socket);
        Self {
            handle,
            client,
            socket,
            serving,
            dir,
        }
    }

    /// Its folder.
    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// Connects to another node, as `hallway connect` does.
    pub(crate) async fn meet(&self, other: &Self) -> PeerView {
        let port = other.client.status().await.unwrap().port;
        let address = format!("127.0.0.1:{port}");
        self.client
            .connect(&ConnectRequest { address })
            .await
            .unwrap()
    }

    /// One exchange as `curl` would have it: the status and the body.
    pub(crate) async fn http(&self, request: &str, body: &str) -> (u16, String) {
        let mut stream = UnixStream::connect(&self.socket).await.unwrap();
        let (line, headers) = request.split_once('\n').unwrap_or((request, ""));
        let headers = headers.replace('\n', "\r\n");
        let length = body.len();
        let text = format!(
            "{line} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {length}\r\n\
             {headers}\r\n\r\n{body}"
        );
        // The server may refuse what is too long before all of it is sent.
        let _ = stream.write_all(text.as_bytes()).await;
        let mut reply = Vec::new();
        match stream.read_to_end(&mut reply).await {
            // It does not take what it has refused.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            read => drop(read.unwrap()),
        }
        let reply = String::from_utf8(reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }
}

/// A text to somebody, to return once it has come as far as `wait`.
pub(crate) fn text(to: &str, text: &str, wait: Delivery) -> SendRequest {
    SendRequest {
        to: to.into(),
        text: Some(text.into()),
        wait: Some(wait),
        timeout_ms: Some(PATIENCE_MS),
        ..SendRequest::default()
    }
}
