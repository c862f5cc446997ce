//! Starting a node: everything it needs, in order, and how each step can fail.

use crate::arithmetic::Handshaker;
use crate::audio::{Devices, Source};
use crate::clock::Clock;
use crate::config::Address;
use crate::discovery::Discovery;
use crate::disk::Disk;
use crate::driver::{Driver, Sources};
use crate::files::{self, Files};
use crate::handle::{EVENT_BACKLOG, Handle};
use crate::home::{Home, Lock};
use crate::keys::Secrets;
use crate::links::Links;
use crate::{calls, listener, publisher};
use hallway_model::{Name, PORT_DEFAULT, PeerId, Relation, StorageFault, Write};
use hallway_proto::handshake::{Admission, LocalKeys, Policy};
use hallway_proto::io::{Input, StaticId};
use hallway_store::{DatabaseKey, OpenError, StoreError};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::slice;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};

/// Inputs of the network that wait for the driver, at up to 64 KiB each.
const INPUTS_WAITING: usize = 64;
/// Handshakes that finished and wait for the driver.
const INCOMING_WAITING: usize = 64;
/// Commands that wait for the driver.
const REQUESTS_WAITING: usize = 1024;
/// A configured host name that does not resolve is asked for again after this.
const RESOLVE_EVERY: Duration = Duration::from_secs(30);

/// What a node is started with.
pub struct NodeConfig {
    /// Its data directory.
    pub home: Home,
    /// Proof that no other node uses it.
    pub lock: Lock,
    /// Its keys.
    pub secrets: Secrets,
    /// Its name when the database holds none yet.
    pub name: Name,
    /// A name to take from now on, before anybody hears of another.
    pub rename: Option<Name>,
    /// The name of this device, for the certificate.
    pub device: Name,
    /// The port to try first; `None` tries [`PORT_DEFAULT`] and the next ones.
    pub port: Option<u16>,
    /// Announce and look for others.
    pub mdns: bool,
    /// Addresses to keep reachable.
    pub peers: Vec<Address>,
    /// Tell peers what was read.
    pub read_receipts: bool,
    /// Take everybody as a contact at once.
    pub accept_all: bool,
    /// The folder for files; `None` for the usual one of this user.
    pub downloads: Option<PathBuf>,
    /// Files of contacts up to so many bytes are taken without asking.
    pub accept_files_bytes: u64,
    /// Files leave with at most so many bytes a second, all together.
    pub files_bytes_per_second: Option<NonZeroU64>,
    /// Use AES where both sides compute it in hardware.
    pub aes: bool,
    /// Answer every call at once: for test contacts.
    pub auto_answer: bool,
    /// Where the sound of calls comes from and goes to.
    pub sound: Source,
    /// Keep messages on disk. Without it they live only in events, and those that wait for a
    /// peer only in memory, up to a window of them: for measurements.
    pub keep_history: bool,
    /// Version of the program, for the status.
    pub version: &'static str,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// The database, once open.
    #[error("the database could not be read: {0}")]
    Store(#[from] StoreError),
    /// The disk did not take the new name.
    #[error("the new name could not be kept: {0}")]
    Rename(#[from] StorageFault),
    /// The wanted port.
    #[error("port {port} cannot be used: {error}; choose another with --port, or leave it out")]
    Port {
        /// The port.
        port: u16,
        /// The system's reason.
        error: io::Error,
    },
    /// The system.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Starts a node on the current single-threaded runtime. It is ready when this returns: it
/// listens, and has announced itself.
pub async fn start(config: NodeConfig) -> Result<Handle, StartError> {
    let clock = Clock::start();
    let secrets = &config.secrets;
    let key = DatabaseKey::new(secrets.database_key);
    let database = config.home.database();
    let rename = config
        .rename
        .map(|name| Write::Setting("name", name.into()));
    let opened = tokio::task::spawn_blocking(move || -> Result<_, StartError> {
        let (mut writer, reader) = hallway_store::open(&database, &key)?;
        if let Some(rename) = &rename {
            writer.commit(&[slice::from_ref(rename)])?;
        }
        let snapshot = writer.snapshot()?;
        Ok((writer, reader, snapshot))
    });
    let (writer, reader, snapshot) = match opened.await {
        Ok(opened) => opened?,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    };
    let usual = || files::usual_folder(&config.home);
    let folder = config.downloads.clone().unwrap_or_else(usual);
    let keys = Arc::new(LocalKeys::new(
        secrets.identity_seed,
        secrets.device_secret,
        &config.device,
        secrets.created,
    ));
    let bound = match config.port {
        Some(port) => {
            listener::bind_exactly(port).map_err(|error| StartError::Port { port, error })
        }
        None => listener::bind(PORT_DEFAULT).map_err(|error| StartError::Port {
            port: PORT_DEFAULT,
            error,
        }),
    }?;
    let port = bound.port;
    let fast_aes = config.aes && has_fast_aes();
    let handshaker = Handshaker::new(
        keys.clone(),
        Policy {
            fast_aes,
            ..Policy::default()
        },
    );
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    let last_change = snapshot.last_change;
    let contacts = snapshot
        .peers
        .iter()
        .filter(|peer| peer.relation == Relation::Contact);
    let contacts: Vec<PeerId> = contacts.map(|peer| peer.id).collect();
    let engine_config = hallway_proto::Config {
        id: keys.id(),
        name: config.name,
        port,
        fast_aes,
        read_receipts: config.read_receipts,
        accept_all: config.accept_all,
        accept_files_bytes: config.accept_files_bytes,
        auto_answer: config.auto_answer,
    };
    let engine = hallway_proto::Engine::new(engine_config, snapshot, seed, clock.now());

    let (inputs_tx, inputs) = mpsc::channel(INPUTS_WAITING);
    let (incoming_tx, incoming) = mpsc::channel(INCOMING_WAITING);
    let (dialled_tx, dialled) = mpsc::unbounded_channel();
    let (loaded_tx, loaded) = mpsc::unbounded_channel();
    let (requests_tx, requests) = mpsc::channel(REQUESTS_WAITING);
    let (stop_tx, stop) = watch::channel(false);
    let (stopped_tx, stopped) = watch::channel(false);
    let (events, _) = broadcast::channel(EVENT_BACKLOG);

    let (disk, stored) = if config.keep_history {
        Disk::start(writer)?
    } else {
        Disk::forgetful()
    };
    let (news, news_rx) = mpsc::unbounded_channel();
    let publishing = publisher::publish(
        news_rx,
        events.clone(),
        reader.clone(),
        keys.id(),
        last_change,
    );
    tokio::spawn(publishing);
    let admission = Arc::new(Mutex::new(Admission::new()));
    let mut accepting = tokio::task::JoinSet::new();
    for listener in bound.listeners {
        let admission = admission.clone();
        let (handshaker, incoming_tx) = (handshaker.clone(), incoming_tx.clone());
        accepting.spawn(listener::accept(
            listener,
            handshaker,
            admission,
            clock,
            incoming_tx,
        ));
    }
    let devices = Devices::new(config.sound, config.home.devices());
    let (reports_tx, reports) = mpsc::unbounded_channel();
    let sockets = calls::Sockets::new(bound.voice);
    let calls = calls::Calls::new(sockets, devices.sound().clone(), clock, reports_tx);
    let links = Links::open()?;
    let mut discovery = match config.mdns {
        true => Some(Discovery::start(
            keys.id(),
            port,
            fast_aes,
            engine.name(),
            links.snapshot(),
        )),
        false => None,
    };
    for contact in contacts {
        if let Some(discovery) = &mut discovery {
            discovery.expect(contact);
        }
    }
    let files = Files::new(
        handshaker.clone(),
        folder,
        config.files_bytes_per_second,
        loaded_tx.clone(),
    );
    let mut driver = Driver {
        engine,
        clock,
        handshaker,
        port,
        addresses: Vec::new(),
        version: config.version,
        chosen: HashMap::new(),
        reader: reader.clone(),
        disk,
        files,
        news,
        inputs: inputs_tx,
        dialled: dialled_tx,
        loaded: loaded_tx,
        connections: HashMap::new(),
        dials: HashMap::new(),
        answers: HashMap::new(),
        calls,
        devices: devices.clone(),
        ringer: calls::Ringer::new(devices.sound().clone()),
        last_id: 0,
        trouble: BTreeMap::new(),
    };
    for address in config.peers {
        driver.keep_reachable(address);
    }
    driver.keep_chosen();
    let sources = Sources {
        inputs,
        incoming,
        dialled,
        loaded,
        stored,
        requests,
        reports,
        discovery,
        links,
        stop,
    };
    let lock = config.lock;
    tokio::spawn(async move {
        let disk = driver.run(sources).await;
        accepting.abort_all();
        if tokio::task::spawn_blocking(move || disk.join())
            .await
            .is_err()
        {
            tracing::error!("the disk thread could not be waited for");
        }
        drop(lock);
        stopped_tx.send_replace(true);
    });
    Ok(Handle {
        requests: requests_tx,
        events,
        reader,
        devices,
        stop: stop_tx,
        stopped,
    })
}

/// Resolves a configured address until it is known, and hands it to the engine.
pub(crate) async fn keep_reachable(
    id: StaticId,
    address: Address,
    inputs: mpsc::UnboundedSender<Input>,
) {
    loop {
        match address.resolve().await {
            Ok(addresses) if !addresses.is_empty() => {
                // A driver that is gone needs no addresses.
                let _ = inputs.send(Input::Static(id, addresses));
                return;
            }
            Ok(_) => {}
            Err(error) => tracing::info!(%address, %error, "a configured peer does not resolve"),
        }
        tokio::time::sleep(RESOLVE_EVERY).await;
    }
}

/// Whether this processor computes AES in hardware.
fn has_fast_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}
