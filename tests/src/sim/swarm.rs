//! Random scenarios: each seed picks its own mix of faults, so that rare faults meet each other.

use super::world::{Crash, Host, World};
use super::{Chop, Mark, ms, secs};
use hallway_model::{
    Body, Command, Name, Reaction, Relation, Status, Transfer, TransferAct, TransferPhase,
};
use std::net::Ipv4Addr;
use std::time::Duration;

/// Half of them take part in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Part,
    Cut,
    Reset,
    Kill,
    PowerLoss,
    CrashAtOutput,
    Stop,
    FullDisk,
    FailingDisk,
    WallJump,
    Sleep,
    Move,
    Tamper,
    SlowLink,
    SlowDisk,
    Deafness,
    Spoof,
    Block,
    Forget,
    Retry,
}

const FAULTS: [Fault; 20] = [
    Fault::Part,
    Fault::Cut,
    Fault::Reset,
    Fault::Kill,
    Fault::PowerLoss,
    Fault::CrashAtOutput,
    Fault::Stop,
    Fault::FullDisk,
    Fault::FailingDisk,
    Fault::WallJump,
    Fault::Sleep,
    Fault::Move,
    Fault::Tamper,
    Fault::SlowLink,
    Fault::SlowDisk,
    Fault::Deafness,
    Fault::Spoof,
    Fault::Block,
    Fault::Forget,
    Fault::Retry,
];

/// What people also do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Also {
    Nothing,
    Call,
    SendFiles,
}

/// One random life of a few hosts, with the state of the art of bad luck.
pub fn swarm(world: &mut World) {
    live(world, Also::Nothing);
}

/// One such life in which people also send each other files.
pub fn swarm_with_files(world: &mut World) {
    live(world, Also::SendFiles);
}

/// One such life in which people also call each other.
pub fn swarm_with_calls(world: &mut World) {
    live(world, Also::Call);
    world.check_records();
}

fn live(world: &mut World, also: Also) {
    let number = world.pick(&[2, 2, 2, 3, 4]);
    let hosts = world.hosts(number);
    let mut all_met = true;
    for (n, one) in hosts.iter().enumerate() {
        for other in &hosts[n + 1..] {
            if world.chance(800_000) {
                world.befriend(*one, *other);
            } else {
                all_met = false;
            }
        }
        world.options(*one).discovery = world.chance(700_000);
        world.options(*one).fast_aes = world.chance(500_000);
        world.options(*one).read_receipts = world.chance(800_000);
    }
    for host in &hosts {
        if world.chance(200_000) {
            let other = world.pick(&hosts);
            let address = world.address(other);
            world.options(*host).statics.push(address);
        }
    }
    let faults: Vec<Fault> = FAULTS
        .iter()
        .copied()
        .filter(|_| world.range(0..5) < 2)
        .collect();
    world.trace(|_| format!("{number} hosts, {faults:?}"));
    world.weather.chop = world.pick(&[Chop::Whole, Chop::Packets, Chop::Anywhere]);
    let latency = world.pick(&[200, 2_000, 60_000]);
    world.weather.latency_us = latency / 4..latency;
    for host in &hosts {
        let delay = a_while(world);
        let host = *host;
        world.later(delay, move |world| start_again(world, host));
    }
    for _ in 0..world.range(10..50) {
        if also == Also::Call && world.chance(400_000) {
            telephone(world, &hosts);
        } else if also == Also::SendFiles && world.chance(400_000) {
            send_files(world, &hosts);
        } else if !faults.is_empty() && world.chance(350_000) {
            let fault = world.pick(&faults);
            strike(world, fault, &hosts);
        } else {
            act(world, &hosts);
        }
        let pause = a_while(world);
        world.run_for(pause);
    }
    // Let everything that was to happen later happen.
    world.run_for(secs(40));
    world.calm();
    // Whoever has no address of a contact, or an old one, needs to see them.
    let moved = faults
        .iter()
        .any(|fault| matches!(fault, Fault::Move | Fault::Forget));
    if moved || !all_met || world.chance(500_000) {
        for host in &hosts {
            world.options(*host).discovery = true;
            world.announce_now(*host);
        }
    }
    make_peace(world, &hosts);
    if also == Also::SendFiles {
        for host in hosts {
            for held in world.parcels(host).iter().filter(|t| t.paused_by_us) {
                world.handle_parcel(host, held.id, TransferAct::Resume);
            }
        }
    }
    world.settle();
}

/// From a blink to half a minute, short ones as likely as long ones.
fn a_while(world: &mut World) -> Duration {
    let most = world.pick(&[ms(1), ms(10), ms(100), secs(1), secs(10), secs(30)]);
    world.between(Duration::ZERO, most)
}

fn start_again(world: &mut World, host: Host) {
    if world.is_off(host) {
        world.start(host);
    }
}

/// What people do.
fn act(world: &mut World, hosts: &[Host]) {
    let (from, to) = two(world, hosts);
    let peer = world.id(to);
    match world.range(0..14) {
        0 => {
            let seq = world.range(1..20);
            world.read_up_to(from, to, seq);
        }
        1 => {
            world.command(from, Command::Typing(peer));
        }
        2 => {
            let number = world.range(0..100);
            let name = Name::new(&format!("Renamed {number}")).expect("a proper name");
            world.command(from, Command::Rename(name));
        }
        3 => {
            let status = world.pick(&[Status::Available, Status::Away, Status::Busy]);
            world.command(from, Command::SetStatus(status));
        }
        4 => {
            world.command(from, Command::InFlight(peer));
        }
        5 => {
            world.command(from, Command::Peers);
        }
        6 => {
            let address = world.address(to);
            world.command(from, Command::Connect(vec![address]));
        }
        7 => {
            for _ in 0..world.range(5..40) {
                world.say_anything(from, to);
            }
        }
        8..10 => {
            world.say_anything(from, to);
            world.say_anything(to, from);
        }
        _ => {
            world.say(from, to);
        }
    }
}

/// What people do on the telephone.
fn telephone(world: &mut World, hosts: &[Host]) {
    let (one, other) = two(world, hosts);
    let (call, on) = (None, world.chance(500_000));
    match world.range(0..10) {
        0..3 => {
            world.call(one, other);
        }
        3 => {
            world.call(one, other);
            world.call(other, one);
        }
        4..7 => {
            for host in hosts {
                world.command(*host, Command::Answer(None));
            }
        }
        7 => {
            world.command(one, Command::Mute { call, on });
        }
        8 => {
            world.command(one, Command::Hold { call, on });
        }
        _ => {
            world.command(one, Command::HangUp(None));
        }
    }
}

/// What people do with files.
fn send_files(world: &mut World, hosts: &[Host]) {
    let (one, other) = two(world, hosts);
    if world.chance(300_000) {
        let bytes = world.pick(&[0, 1, 999, 1000, 5_000, 50_000]);
        world.offer(one, other, bytes);
        return;
    }
    let open = |transfer: &Transfer| !transfer.phase.is_over();
    let open: Vec<Transfer> = world.parcels(one).into_iter().filter(open).collect();
    let places: Vec<usize> = (0..open.len()).collect();
    if places.is_empty() {
        return;
    }
    let transfer = &open[world.pick(&places)];
    let ours = transfer.id.author == world.id(one);
    let act = match world.range(0..12) {
        0 if ours => {
            let remove = world.chance(200_000);
            return world.change_source(transfer.id, remove);
        }
        0 => TransferAct::Decline,
        1 => TransferAct::Cancel,
        2 | 3 => TransferAct::Pause,
        4 | 5 => TransferAct::Resume,
        _ if transfer.phase == TransferPhase::Offered => TransferAct::Accept { to: None },
        _ => return,
    };
    world.handle_parcel(one, transfer.id, act);
}

/// What goes wrong.
fn strike(world: &mut World, fault: Fault, hosts: &[Host]) {
    let (one, other) = two(world, hosts);
    let peer = world.id(other);
    let later = a_while(world);
    world.trace(|_| format!("{fault:?} strikes {one:?}, with {other:?}, for {later:?}"));
    match fault {
        Fault::Part => {
            world.part(one, other);
            world.later(later, move |world| world.join(one, other));
        }
        Fault::Cut => {
            world.cut(one, other);
            world.later(later, move |world| world.join(one, other));
        }
        Fault::Reset => world.reset_some(),
        Fault::Kill | Fault::PowerLoss if !world.is_off(one) => {
            let how = if fault == Fault::Kill {
                Crash::Kill
            } else {
                Crash::Power
            };
            world.crash(one, how);
            world.later(later, move |world| start_again(world, one));
        }
        Fault::CrashAtOutput if !world.is_off(one) => {
            let number = u32::try_from(world.range(1..30)).expect("a small number");
            world.crash_after(one, number);
            world.later(later + secs(5), move |world| start_again(world, one));
        }
        Fault::Stop if !world.is_off(one) => {
            world.stop(one);
            world.later(later, move |world| start_again(world, one));
        }
        Fault::Kill | Fault::PowerLoss | Fault::CrashAtOutput | Fault::Stop => {}
        Fault::FullDisk => {
            let room = world.range(0..8);
            world.set_room(one, usize::try_from(room).ok());
            world.later(later, move |world| world.set_room(one, None));
        }
        Fault::FailingDisk => {
            world.set_failing(one, true);
            world.later(later, move |world| world.set_failing(one, false));
        }
        Fault::WallJump => {
            let years = 365 * 24 * 3_600_000;
            let jump = world.pick(&[-50 * years, -3_600_000, -1, 1000, 3_600_000, 100 * years]);
            world.jump_wall(one, jump);
        }
        Fault::Sleep => {
            let long = world.pick(&[secs(5), secs(60), secs(4000), secs(1_000_000)]);
            world.sleep(one, long);
        }
        Fault::Move => {
            let last = u8::try_from(world.range(0..250)).expect("a small number");
            let address = Ipv4Addr::new(10, 1, u8::try_from(one.0).expect("few"), last).into();
            if world
                .all()
                .iter()
                .all(|host| world.address(*host).ip() != address)
            {
                world.move_to(one, address);
            }
        }
        Fault::Tamper => {
            world.weather.tamper = 100_000;
            world.later(later, |world| world.weather.tamper = 0);
        }
        Fault::SlowLink => {
            world.weather.bytes_per_ms = 5;
            world.later(later, |world| world.weather.bytes_per_ms = 100_000);
        }
        Fault::SlowDisk => {
            world.commit_us = 50_000..400_000;
            world.later(later, |world| world.commit_us = 300..3_000);
        }
        Fault::Deafness => {
            world.weather.deafness = 500_000;
            world.later(later, |world| world.weather.deafness = 0);
        }
        Fault::Spoof => {
            let third = world.pick(hosts);
            let wrong = [
                world.address(third),
                "10.9.9.9:9".parse().expect("an address"),
            ];
            world.spoof(one, peer, wrong.to_vec());
        }
        Fault::Block => {
            world.command(one, Command::Block(peer));
            world.later(later, move |world| {
                world.command(one, Command::Unblock(peer));
            });
        }
        Fault::Forget => {
            world.command(one, Command::Forget(peer));
        }
        Fault::Retry => retry(world, one, other),
    }
}

/// A face that hears nothing asks again, with the same client id.
fn retry(world: &mut World, from: Host, to: Host) {
    let (mark, peer) = (world.mark(), world.id(to));
    let body = match world.range(0..2) {
        0 => mark.text(),
        _ => reaction(world, mark),
    };
    for delay in [Duration::ZERO, a_while(world), a_while(world)] {
        let body = body.clone();
        world.later(delay, move |world| {
            world.say_with(from, peer, body, Some(mark.to_string()));
        });
    }
}

fn reaction(world: &mut World, mark: Mark) -> Body {
    let target = hallway_model::MessageId(world.bytes());
    Body::Reaction(Reaction {
        target,
        emoji: mark.to_string(),
        on: true,
    })
}

/// Everybody lets everybody in whom they have dealt with.
fn make_peace(world: &mut World, hosts: &[Host]) {
    for one in hosts {
        for other in hosts {
            let Some(record) = world.record(*one, *other) else {
                continue;
            };
            let (blocked, stranger) = (record.blocked, record.relation == Relation::Stranger);
            let peer = record.id;
            if blocked {
                world
                    .ask(*one, Command::Unblock(peer))
                    .expect("the disk is well");
            }
            if stranger {
                world
                    .ask(*one, Command::Accept(peer))
                    .expect("the disk is well");
            }
        }
    }
}

fn two(world: &mut World, hosts: &[Host]) -> (Host, Host) {
    let one = world.pick(hosts);
    let others: Vec<Host> = hosts.iter().copied().filter(|host| *host != one).collect();
    (one, world.pick(&others))
}
