//! Files between two hosts with the real program, beside what it is compared with.

use crate::baseline::scratch;
use crate::place::{Link, Place};
use crate::rivals::{Ssh, Tls};
use crate::stats::{median, quantile};
use crate::table::{Quantity, Row, Table, Target};
use crate::{bulk, rivals};
use anyhow::{Context, ensure};
use hallway_api::{Client, Lines, OfferRequest, SendRequest};
use hallway_model::{Delivery, Event, EventKind, TransferState, TransferView};
use hallway_node::home::Home;
use hallway_proto::handshake::Suite;
use hallway_tests::host::{Host, Plan};
use hallway_tests::lab::Lan;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

const GIB: u64 = 1 << 30;
/// The large file.
const LARGE_BYTES: u64 = GIB;
/// The file whose transfer is interrupted, and beside which people chat: seconds of it.
const HUGE_BYTES: u64 = 4 * GIB;
/// Small files, and their bytes in all.
const SMALL_FILES: u32 = 2000;
const SMALL_BYTES: u64 = 64 << 20;
/// Rounds in which everything is measured in turn, so that whatever else the machine does meets
/// all alike.
const ROUNDS: usize = 5;
/// Where the transfer is interrupted: it is told so seldom how far it has come that a fast machine
/// moves another 10 % in between, and all must not be there before it is killed.
const INTERRUPTED_AT: u64 = HUGE_BYTES / 100 * 80;
/// Texts whose round trip is measured while nothing else happens.
const TEXTS: usize = 300;
/// Far more than anything here takes, so that only what hangs is given up.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn measure() -> anyhow::Result<Table> {
    let lan = Lan::of(2);
    let folder = in_memory()?;
    let mut bench = Bench {
        link: Link {
            lan: &lan,
            place: Place::Anywhere,
        },
        folder: folder.path(),
        table: Table::default(),
    };
    bench.fill()?;
    bench.large_file(Suite::AesGcm)?;
    bench.large_file(Suite::ChaChaPoly)?;
    bench.small_files()?;
    bench.huge_file()?;
    let mut table = bench.table;
    table.note(
        "Hallway: from the request to offer until the receiver tells that all is on disk under its \
         name, checked. Bare Noise and plain TCP: one connection from file to file, a thread at each \
         end, a record (64 KiB) at a time, nothing hashed. All files are in memory where there is room, and both hosts share the \
         cores.",
    );
    table.note("Each ratio is the median of ratios measured in turn.");
    Ok(table)
}

/// What everything here happens on.
struct Bench<'a> {
    link: Link<'a>,
    folder: &'a Path,
    table: Table,
}

/// Two nodes of people who know each other.
struct Pair {
    runtime: Runtime,
    near: Host,
    far: Host,
    near_api: Client,
    far_api: Client,
}

/// One transfer.
struct Sent {
    seconds: f64,
    cpu_seconds: f64,
}

/// What some seconds came to, beside something else.
#[derive(Default)]
struct Rounds {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, ours: f64, theirs: Duration) {
        self.ours.push(ours);
        self.theirs.push(theirs.as_secs_f64());
    }

    /// Theirs by ours: how many times as fast we are.
    fn speedup(&self) -> f64 {
        let pairs = self.ours.iter().zip(&self.theirs);
        median(
            &mut pairs
                .map(|(ours, theirs)| theirs / ours)
                .collect::<Vec<_>>(),
        )
    }

    fn medians(&mut self) -> (f64, f64) {
        (median(&mut self.ours), median(&mut self.theirs))
    }
}

impl Bench<'_> {
    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn fill(&self) -> anyhow::Result<()> {
        fs::create_dir(self.at("downloads"))?;
        write_noise(&self.at("large"), LARGE_BYTES)?;
        let mut large = File::open(self.at("large"))?;
        let mut left = SMALL_BYTES;
        for number in 0..u64::from(SMALL_FILES) {
            let folder = self.at("small").join((number / 100).to_string());
            fs::create_dir_all(&folder)?;
            // From a few bytes to twice the average.
            let files_left = u64::from(SMALL_FILES) - number;
            let bytes = match files_left {
                1 => left,
                _ => (left / files_left * 2 * (number % 16)) / 15,
            };
            left -= bytes;
            let mut file = File::create(folder.join(format!("{number}.bin")))?;
            io::copy(&mut (&mut large).take(bytes), &mut file)?;
        }
        Ok(())
    }

    fn pair(&self, suite: Suite) -> anyhow::Result<Pair> {
        let config = format!(
            "downloads = \"{}\"\naccept_files_mb = 100000\naes = {}\n",
            self.at("downloads").display(),
            suite == Suite::AesGcm
        );
        let start = |name, host| -> anyhow::Result<_> {
            let host = Plan::new(name).prepare(self.link.lan, host);
            fs::write(host.home().join("config.toml"), &config)?;
            host.up();
            let api = Client::new(Home::locate(Some(&host.home()))?.socket()?);
            Ok((host, api))
        };
        let ((near, near_api), (far, far_api)) = (start("Ann", 0)?, start("Ben", 1)?);
        near.befriend(&far);
        Ok(Pair {
            runtime: Builder::new_current_thread().enable_all().build()?,
            near,
            far,
            near_api,
            far_api,
        })
    }

    fn large_file(&mut self, suite: Suite) -> anyhow::Result<()> {
        let (name, cpu_max) = match suite {
            Suite::AesGcm => ("AES-GCM", 1.6),
            Suite::ChaChaPoly => ("ChaCha20-Poly1305", 2.6),
        };
        let (large, copy) = (self.at("large"), self.at("copy"));
        let pair = self.pair(suite)?;
        let (link, folder) = (&self.link, self.folder);
        let (other, least) = match suite {
            Suite::AesGcm => ("TLS 1.3, nginx and curl", 1.8),
            Suite::ChaChaPoly => ("scp", 2.4),
        };
        type Rival<'a> = Box<dyn Fn(&Path, &Path) -> anyhow::Result<Duration> + Send + Sync + 'a>;
        let rival: anyhow::Result<Rival<'_>> = match suite {
            Suite::AesGcm => Tls::start(link.lan, folder, folder).map(|tls| {
                Box::new(move |_: &Path, to: &Path| tls.fetch("large", to)) as Rival<'_>
            }),
            Suite::ChaChaPoly => Ssh::start(link.lan, folder)
                .map(|ssh| Box::new(move |from: &Path, to: &Path| ssh.scp(from, to)) as Rival<'_>),
        };
        let (mut noise, mut tcp, mut program) = <(Rounds, Rounds, Rounds)>::default();
        let mut cpu = Vec::new();
        pair.forget_peaks()?;
        let before = pair.resident();
        for _ in 0..ROUNDS {
            let sent = pair.send(&large)?;
            cpu.push(sent.cpu_seconds);
            let ours = sent.seconds;
            let beside = |job: &(dyn Fn() -> anyhow::Result<Duration> + Sync)| {
                let taken = link.lan.inside(0, job);
                fs::remove_file(&copy).and(Ok(taken))
            };
            noise.add(ours, beside(&|| bulk::noise(link, suite, &large, &copy))??);
            tcp.add(ours, beside(&|| bulk::tcp(link, &large, &copy))??);
            if let Ok(rival) = &rival {
                program.add(ours, beside(&|| rival(&large, &copy))??);
            }
        }
        let peaks = pair.peaks()?;
        let what = format!("1 GiB, {name}");
        let mut row = |rounds: &mut Rounds, other: &str, least: Option<f64>| {
            let (ours, theirs) = rounds.medians();
            let rate = |seconds: f64| Quantity::BytesPerSecond(LARGE_BYTES as f64 / seconds);
            let row = Row::new(what.clone(), rate(ours)).beside(other, rate(theirs));
            let row = row.ratio(rounds.speedup());
            self.table.add(match least {
                Some(least) => row.target(Target::RatioAtLeast(least)),
                None => row,
            });
        };
        row(&mut noise, "a bare Noise stream", Some(0.95));
        row(
            &mut tcp,
            "plain TCP",
            Some(0.8).filter(|_| suite == Suite::AesGcm),
        );
        match rival {
            Ok(_) => row(&mut program, other, Some(least)),
            Err(error) => self.table.note(format!("Without {other}: {error:#}")),
        }
        let [seal, open] = bulk::cipher(suite, 1 << 28)?;
        for (what, time) in [("seal", seal), ("open", open)] {
            let rate = f64::from(1 << 28) / time.as_secs_f64();
            let row = Row::new(
                format!("{name} alone, {what}"),
                Quantity::BytesPerSecond(rate),
            );
            self.table.add(row);
        }
        let cpu = Quantity::Seconds(median(&mut cpu));
        let row = Row::new(format!("processor time of both for 1 GiB, {name}"), cpu);
        let most = Quantity::Seconds(cpu_max);
        self.table.add(row.target(Target::AtMost(most)));
        for ((who, peak), before) in ["sender", "receiver"].into_iter().zip(peaks).zip(before) {
            let more = Quantity::Bytes(peak.saturating_sub(before) as f64 * 1024.0);
            let row = Row::new(format!("more resident memory, {who}, {name}"), more);
            let most = Quantity::Bytes(16.0 * 1024.0 * 1024.0);
            self.table.add(row.target(Target::AtMost(most)));
        }
        Ok(())
    }

    fn small_files(&mut self) -> anyhow::Result<()> {
        let (small, copy) = (self.at("small"), self.at("copy"));
        let pair = self.pair(Suite::AesGcm)?;
        let link = &self.link;
        fs::create_dir(self.at("ssh"))?;
        let ssh = Ssh::start(link.lan, &self.at("ssh"));
        let (mut tar, mut rsync) = <(Rounds, Rounds)>::default();
        for _ in 0..ROUNDS {
            let ours = pair.send(&small)?.seconds;
            let beside = |job: &(dyn Fn() -> anyhow::Result<Duration> + Sync)| {
                let taken = link.lan.inside(0, job);
                fs::remove_dir_all(&copy).and(Ok(taken))
            };
            tar.add(ours, beside(&|| rivals::tar(link, &small, &copy))??);
            if let Ok(ssh) = &ssh {
                rsync.add(ours, beside(&|| ssh.rsync(&small, &copy))??);
            }
        }
        let what = format!("{SMALL_FILES} small files, 64 MiB");
        let (ours, theirs) = tar.medians();
        let row = Row::new(what.clone(), Quantity::Seconds(ours));
        let row = row.beside("tar over TCP", Quantity::Seconds(theirs));
        let row = row.ratio(1.0 / tar.speedup());
        self.table.add(row.target(Target::RatioAtMost(1.5)));
        match ssh {
            Ok(_) => {
                let (ours, theirs) = rsync.medians();
                let row = Row::new(what, Quantity::Seconds(ours));
                let row = row.beside("rsync over ssh", Quantity::Seconds(theirs));
                let row = row.ratio(1.0 / rsync.speedup());
                self.table.add(row.target(Target::RatioAtMost(0.4)));
            }
            Err(error) => self.table.note(format!("Without rsync: {error:#}")),
        }
        Ok(())
    }

    fn huge_file(&mut self) -> anyhow::Result<()> {
        let huge = self.at("huge");
        fs::rename(self.at("large"), &huge)?;
        grow(&huge, HUGE_BYTES)?;
        let pair = self.pair(Suite::AesGcm)?;
        let mut idle = pair.chat(TEXTS)?;
        let mut beside = pair.chat_beside(&huge)?;
        for (share, percentile) in [(0.5, "p50"), (0.99, "p99")] {
            let what = format!("a text and its receipt beside a transfer, {percentile}");
            let row = Row::new(what, Quantity::Seconds(quantile(&mut beside, share)));
            let idle = Quantity::Seconds(quantile(&mut idle, share));
            let row = row.beside("without one", idle);
            self.table.add(match percentile {
                "p50" => row.target(Target::RatioAtMost(2.0)),
                _ => row,
            });
        }
        let (resumed_at, seconds) = pair.interrupt(&huge)?;
        let share = 100.0 * resumed_at as f64 / HUGE_BYTES as f64;
        let what = format!("4 GiB, receiver killed at {share:.0} %: ready until bytes come");
        let row = Row::new(what, Quantity::Seconds(seconds));
        self.table
            .add(row.target(Target::AtMost(Quantity::Seconds(1.0))));
        Ok(())
    }
}

impl Pair {
    /// Sends what is at a path, waits until all is there, and removes it there.
    fn send(&self, path: &Path) -> anyhow::Result<Sent> {
        self.runtime.block_on(async {
            let mut near = self.near_api.events(None).await?;
            let mut far = self.far_api.events(None).await?;
            let cpu = self.near.cpu_ms() + self.far.cpu_ms();
            let start = Instant::now();
            let id = self.offer(path).await?;
            let done = done(&mut far, &id).await?;
            let seconds = start.elapsed().as_secs_f64();
            done_or_failed(&mut near, &id).await?;
            let cpu = self.near.cpu_ms() + self.far.cpu_ms() - cpu;
            remove(done.path.as_deref().context("it is nowhere")?)?;
            Ok(Sent {
                seconds,
                cpu_seconds: Duration::from_millis(cpu).as_secs_f64(),
            })
        })
    }

    async fn offer(&self, path: &Path) -> anyhow::Result<String> {
        let request = OfferRequest {
            to: self.far.id().to_owned(),
            path: path.to_owned(),
            client_id: None,
        };
        Ok(self.near_api.offer(&request).await?.id)
    }

    /// Seconds of so many texts, from the request to send until the sender has the receipt.
    fn chat(&self, texts: usize) -> anyhow::Result<Vec<f64>> {
        self.runtime.block_on(async {
            let mut times = Vec::new();
            for _ in 0..texts {
                times.push(self.round_trip().await?);
            }
            Ok(times)
        })
    }

    /// The same for as long as a transfer runs.
    fn chat_beside(&self, path: &Path) -> anyhow::Result<Vec<f64>> {
        self.runtime.block_on(async {
            let mut far = self.far_api.events(None).await?;
            let id = self.offer(path).await?;
            let mut times = Vec::new();
            let chatting = async {
                loop {
                    times.push(self.round_trip().await?);
                }
            };
            let done = tokio::select! {
                done = done(&mut far, &id) => done?,
                failed = chatting => return failed,
            };
            remove(done.path.as_deref().context("it is nowhere")?)?;
            // The first ones may have been before it began.
            ensure!(times.len() > 20, "only {} texts beside it", times.len());
            Ok(times)
        })
    }

    async fn round_trip(&self) -> anyhow::Result<f64> {
        let request = SendRequest {
            to: self.far.id().to_owned(),
            text: Some("And what do you think of this picture?".into()),
            wait: Some(Delivery::Delivered),
            timeout_ms: u64::try_from(PATIENCE.as_millis()).ok(),
            ..SendRequest::default()
        };
        let start = Instant::now();
        let sent = self.near_api.send(&request).await?;
        ensure!(sent.state == Delivery::Delivered, "a text takes a minute");
        Ok(start.elapsed().as_secs_f64())
    }

    /// Kills the receiver when nearly all has come. Returns how much was there when it went on,
    /// and the seconds from its being ready until there was more.
    fn interrupt(&self, path: &Path) -> anyhow::Result<(u64, f64)> {
        self.runtime.block_on(async {
            let mut events = self.far_api.events(None).await?;
            let id = self.offer(path).await?;
            let running = |view: &TransferView| view.id == id && view.moved >= INTERRUPTED_AT;
            let held = transfer(&mut events, running).await?;
            ensure!(held.state == TransferState::Running, "it was too fast");
            self.far.kill();
            self.far.up();
            let ready = Instant::now();
            let mut events = self.far_api.events(None).await?;
            let further = |view: &TransferView| {
                view.id == id && view.resumed_at.is_some_and(|at| view.moved > at)
            };
            let found = self.far_api.files().await?.into_iter().find(further);
            let view = match found {
                Some(view) => view,
                None => transfer(&mut events, further).await?,
            };
            let seconds = ready.elapsed().as_secs_f64();
            done(&mut events, &id).await?;
            Ok((view.resumed_at.unwrap_or_default(), seconds))
        })
    }

    fn resident(&self) -> [u64; 2] {
        [self.near.rss_kib(), self.far.rss_kib()]
    }

    /// Most that was resident since [`Pair::forget_peaks`], in KiB.
    fn peaks(&self) -> anyhow::Result<[u64; 2]> {
        let peak = |host: &Host| -> anyhow::Result<u64> {
            let status = fs::read_to_string(format!("/proc/{}/status", host.pid()))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let number = line.and_then(|line| line.split_whitespace().next());
            Ok(number.context("no VmHWM")?.parse()?)
        };
        Ok([peak(&self.near)?, peak(&self.far)?])
    }

    fn forget_peaks(&self) -> io::Result<()> {
        let forget = |host: &Host| fs::write(format!("/proc/{}/clear_refs", host.pid()), "5");
        forget(&self.near).and_then(|()| forget(&self.far))
    }
}

async fn done(events: &mut Lines<Event>, id: &str) -> anyhow::Result<TransferView> {
    let over = done_or_failed(events, id).await?;
    ensure!(over.state == TransferState::Done, "it ended as {over:?}");
    Ok(over)
}

async fn done_or_failed(events: &mut Lines<Event>, id: &str) -> anyhow::Result<TransferView> {
    use TransferState::{CancelledByThem, CancelledByUs, Declined, Done, Failed};
    let over = [Done, Declined, CancelledByUs, CancelledByThem, Failed];
    transfer(events, |view| view.id == id && over.contains(&view.state)).await
}

async fn transfer(
    events: &mut Lines<Event>,
    fits: impl Fn(&TransferView) -> bool,
) -> anyhow::Result<TransferView> {
    let found = async {
        loop {
            let event = events.next().await.context("the node has stopped")??;
            if let EventKind::Transfer { transfer } = event.kind
                && fits(&transfer)
            {
                return Ok(*transfer);
            }
        }
    };
    timeout(PATIENCE, found).await.context("nothing comes")?
}

/// A place in memory with room for the huge file twice, or else on disk.
fn in_memory() -> anyhow::Result<TempDir> {
    let shared = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(shared).map_or(0, |found| found.f_bavail * found.f_frsize);
    if room > 2 * HUGE_BYTES + GIB {
        return Ok(TempDir::with_prefix_in("hallway-bench-", shared)?);
    }
    println!(
        "files: on disk, for there are not {} GiB of room in {}",
        9,
        shared.display()
    );
    Ok(scratch()?)
}

fn write_noise(path: &Path, bytes: u64) -> anyhow::Result<()> {
    let (mut file, mut block) = (File::create(path)?, vec![0; 1 << 20]);
    for _ in 0..bytes / block.len() as u64 {
        getrandom::fill(&mut block).map_err(io::Error::other)?;
        file.write_all(&block)?;
    }
    Ok(())
}

/// Appends a file to itself until it is so long.
fn grow(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(path)?;
    let length = file.metadata()?.len();
    let mut left = bytes - length;
    while left > 0 {
        let mut copied = File::open(path)?.take(left.min(length));
        left -= io::copy(&mut copied, &mut file)?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::metadata(path)?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}
