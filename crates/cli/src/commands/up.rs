//! Running a node with its API, and the way in and out.

use super::Context;
use super::passphrase::Passphrases;
use crate::args::{KeyStoreArg, NetworkArgs, UpArgs};
use crate::failure::{Failure, Result};
use crate::{show, text};
use anyhow::Context as _;
use hallway_api::{Api, Gate};
use hallway_model::{Answer, Command, StatusView};
use hallway_node::audio::{Preferences, Source};
use hallway_node::config::Config;
use hallway_node::home::{Home, Lock};
use hallway_node::keys::{self, Secrets};
use hallway_node::{Handle, NodeConfig};
use rustix::process::setsid;
use rustix::stdio::dup2_stdin;
use serde_json::json;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// How long clients may take to read their last replies when the node has stopped.
const LAST_REPLIES: Duration = Duration::from_secs(1);

pub(super) async fn up(cx: &Context<'_>, args: UpArgs) -> Result {
    let home = Home::create(cx.home.as_deref()).map_err(anyhow::Error::from)?;
    let config = Config::load(&home).map_err(anyhow::Error::from)?;
    log_to_stderr(&args.network, &config)?;
    let lock = home.lock().map_err(anyhow::Error::from)?;
    let secrets = secrets(cx, &lock, &args)?;
    let page = !args.no_web;
    let (input, output) = (args.input.as_deref(), args.output.as_deref());
    let sound = Source::Devices(Preferences::new(&config, input, output));
    let config = NodeConfig {
        rename: args.name,
        sound,
        ..node_config(lock, secrets, config, &args.network)
    };
    let node = Node::start(config, page).await?;
    if args.detached {
        leave_terminal()?;
    }
    #[cfg(target_os = "linux")]
    crate::desktop::watch(node.handle.clone(), home.path().to_owned());
    node.announce(cx).await?;
    node.run().await
}

/// Whoever sits at the terminal has answered what there was to ask; now it may close.
fn leave_terminal() -> std::io::Result<()> {
    setsid()?;
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(())
}

/// Log lines go to stderr, with colour where a person looks.
pub(super) fn log_to_stderr(network: &NetworkArgs, config: &Config) -> Result {
    let configured = config.log.unwrap_or(LevelFilter::INFO).to_string();
    let levels = network.log.as_ref().unwrap_or(&configured);
    let filter = EnvFilter::try_new(levels);
    let filter = filter.map_err(|error| Failure::Usage(text::bad_log(levels, error)))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(crate::out::has_colour(&std::io::stderr()))
        .init();
    Ok(())
}

fn secrets(cx: &Context<'_>, lock: &Lock, args: &UpArgs) -> Result<Secrets> {
    let passphrases = Passphrases::new(args.passphrase_file.as_deref())
        .context(text::PASSPHRASE_FILE_UNREADABLE)?;
    let wanted = args.key_store.and_then(KeyStoreArg::wanted);
    let answer = |prompt| passphrases.answer(prompt);
    let loaded = keys::load_or_create(lock, wanted, answer).map_err(anyhow::Error::from)?;
    if wanted.is_some_and(|wanted| wanted != loaded.store) {
        let store = keys::protect(lock, wanted, answer).map_err(anyhow::Error::from)?;
        cx.out.note(&text::keys_moved(store));
    }
    Ok(loaded.secrets)
}

/// What to start a node with: the command line counts more than the configuration file.
pub(super) fn node_config(
    lock: Lock,
    secrets: Secrets,
    config: Config,
    network: &NetworkArgs,
) -> NodeConfig {
    NodeConfig {
        home: lock.home().clone(),
        lock,
        secrets,
        name: config.name,
        rename: None,
        device: config.device,
        port: network.port.or(config.port),
        mdns: config.mdns && !network.no_mdns,
        peers: config.peers,
        read_receipts: config.read_receipts,
        accept_all: false,
        downloads: config.downloads,
        accept_files_bytes: config.accept_files_bytes,
        files_bytes_per_second: config.files_bytes_per_second,
        aes: config.aes,
        sound: Source::default(),
        auto_answer: false,
        keep_history: true,
        version: env!("CARGO_PKG_VERSION"),
    }
}

/// A running node that serves its API, and what tells it to stop.
pub(super) struct Node {
    pub(super) handle: Handle,
    interrupt: Signal,
    terminate: Signal,
    api: JoinHandle<std::io::Result<()>>,
}

impl Node {
    /// Starts a node with its API, and with a page for a browser of this computer.
    pub(super) async fn start(config: NodeConfig, page: bool) -> Result<Self> {
        let home = config.home.clone();
        let socket = home.socket().map_err(anyhow::Error::from)?;
        // From here on there is something to say goodbye to.
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        let listener = hallway_api::bind(&socket);
        let listener =
            listener.with_context(|| format!("cannot listen on {}", socket.display()))?;
        let handle = hallway_node::start(config)
            .await
            .map_err(anyhow::Error::from)?;
        let gate = match page {
            true => open_gate(&home).await,
            false => None,
        };
        let (gate, port) = gate.unzip();
        let api = Api::new(handle.clone(), home, gate.clone());
        if let (Some(gate), Some(port)) = (gate, port) {
            let page = hallway_web::router();
            tokio::spawn(api.clone().serve_page(port, gate, page));
        }
        let api = tokio::spawn(api.serve(listener));
        Ok(Self {
            handle,
            interrupt,
            terminate,
            api,
        })
    }

    pub(super) async fn status(&self) -> Result<StatusView> {
        match self
            .handle
            .ask(Command::Status)
            .await
            .map_err(anyhow::Error::from)?
        {
            Ok(Answer::Status(status)) => Ok(*status),
            Ok(_) => Err(anyhow::anyhow!("the node did not say its status").into()),
            Err(refusal) => Err(anyhow::Error::from(refusal).into()),
        }
    }

    /// Says that the node is ready.
    pub(super) async fn announce(&self, cx: &Context<'_>) -> Result {
        let StatusView {
            id,
            name,
            port,
            pid,
            ..
        } = self.status().await?;
        let ready = json!({ "event": "ready", "id": id, "name": name, "port": port, "pid": pid });
        Ok(cx.out.either(&ready, || {
            text::ready(&show::label_of(name.as_str(), &id), port)
        })?)
    }

    /// Waits for a signal or `hallway stop`, and until the goodbye is said.
    pub(super) async fn run(mut self) -> Result {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = self.handle.stopping() => {}
        }
        self.handle.stop();
        tokio::select! {
            () = self.handle.stopped() => {}
            // Asked twice: whoever does that does not want to wait.
            _ = self.interrupt.recv() => {}
        }
        // Clients that do not take their last reply are left.
        let _ = tokio::time::timeout(LAST_REPLIES, self.api).await;
        Ok(())
    }
}

/// The way in for the page. A node does without when there is none.
async fn open_gate(home: &Home) -> Option<(Arc<Gate>, TcpListener)> {
    let opened = Gate::open(home).await;
    opened
        .inspect_err(|error| tracing::warn!(%error, "there is no page"))
        .ok()
}
