//! Files between real nodes while files change, disks fill up and are damaged, and whatever can
//! be pulled or killed is.

#![allow(
    clippy::unwrap_used,
    reason = "tests fail by panicking, and these are not functions marked #[test]"
)]

use hallway_tests::files::{
    ARRIVAL, accept, assert_same_tree, downloads, file, is_same, large_file, names, noise, outbox,
    send, transfer, until_moved, until_state,
};
use hallway_tests::host::{Host, PATIENCE, Plan};
use hallway_tests::lab::Lan;
use hallway_tests::lan_tests;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

lan_tests![
    what_changes_meanwhile_is_sent_again_and_said,
    a_file_that_grows_too_much_fails_in_words,
    a_part_that_is_damaged_is_fetched_again_and_nothing_else,
    whatever_is_killed_and_pulled_little_is_sent_twice,
    a_full_disk_holds_a_transfer_until_there_is_room,
    thousands_of_small_files_arrive_equal,
    a_huge_file_with_holes_keeps_them,
];

/// Ten interruptions of a file of 4 GiB may cost 1 % of it; so much of that is one.
const RESENT_MAX: u64 = (4 << 30) / 100 / 10;
/// Of the line, for what tests interrupt.
const SLOW: u32 = 25_000_000;

fn friends(lan: &Lan) -> (Host, Host) {
    let (ann, bo) = (Host::start(lan, 0, "Ann"), Host::start(lan, 1, "Bo"));
    ann.befriend(&bo);
    (ann, bo)
}

/// Where the parts of the only transfer are.
fn parts(host: &Host) -> PathBuf {
    let inside = names(&downloads(host));
    let parts = inside.iter().find(|name| name.ends_with(".part")).unwrap();
    downloads(host).join(parts).join("data")
}

fn what_changes_meanwhile_is_sent_again_and_said() {
    let lan = Lan::of(2);
    lan.rate(0, Some(SLOW));
    let (ann, bo) = friends(&lan);
    let mut contents = noise(60_000_000, 1);
    let path = file(&ann, "disk.img", &contents);
    let before = lan.payload_sent(0);
    let id = send(&ann, "Bo", &path);
    until_moved(&bo, &id, 20_000_000);
    // In the middle of what has arrived, and at the end.
    let disk = File::options().append(true).open(&path).unwrap();
    (&disk).write_all(&noise(3_000_000, 2)).unwrap();
    contents.extend(noise(3_000_000, 2));
    let disk = File::options().write(true).open(&path).unwrap();
    disk.write_all_at(b"changed", 5_000_000).unwrap();
    contents[5_000_000..5_000_007].copy_from_slice(b"changed");
    for host in [&bo, &ann] {
        let told = host.until("the change is told", ARRIVAL, |host| {
            transfer(host, &id).filter(|t| t["changed"].as_u64() > Some(0))
        });
        assert_eq!(told["failure"], Value::Null);
    }
    lan.rate(0, None);
    for host in [&bo, &ann] {
        let done = until_state(host, &id, "done");
        let shown = (&done["moved"], &done["file"]["bytes"]);
        assert_eq!(shown, (&63_000_000.into(), &63_000_000.into()));
    }
    assert!(fs::read(downloads(&bo).join("disk.img")).unwrap() == contents);
    let sent = lan.payload_sent(0) - before;
    assert!(sent < 63_000_000 + 2 * RESENT_MAX, "{sent} bytes were sent");
}

fn a_file_that_grows_too_much_fails_in_words() {
    let lan = Lan::of(2);
    lan.rate(0, Some(SLOW));
    let (ann, bo) = friends(&lan);
    let path = file(&ann, "disk.img", &noise(101_000_000, 1));
    let id = send(&ann, "Bo", &path);
    accept(&bo, &id);
    until_moved(&bo, &id, 10_000_000);
    let disk = File::options().append(true).open(&path).unwrap();
    (&disk).write_all(b"more").unwrap();
    for host in [&bo, &ann] {
        assert_eq!(until_state(host, &id, "failed")["failure"], "changed");
        let said = String::from_utf8(host.cli_raw(&["files"]).stdout).unwrap();
        assert!(said.contains("the file has grown"), "{said}");
    }
    bo.until("nothing of it stays", PATIENCE, |bo| {
        names(&downloads(bo)).is_empty().then_some(())
    });
}

fn a_part_that_is_damaged_is_fetched_again_and_nothing_else() {
    let lan = Lan::of(2);
    lan.rate(0, Some(SLOW));
    let (ann, bo) = friends(&lan);
    let path = file(&ann, "disk.img", &noise(60_000_000, 1));
    let before = lan.payload_sent(0);
    let id = send(&ann, "Bo", &path);
    until_moved(&bo, &id, 20_000_000);
    bo.kill();
    let part = parts(&bo).join("disk.img");
    let damaged = File::options().write(true).open(part).unwrap();
    for at in [100, 3_000_000, 3_000_001, 11_000_000] {
        damaged.write_all_at(b"?", at).unwrap();
    }
    bo.up();
    lan.rate(0, None);
    let done = until_state(&bo, &id, "done");
    assert!(done["resumed_at"].as_u64() >= Some(20_000_000), "{done}");
    assert!(is_same(&path, &downloads(&bo).join("disk.img")));
    let sent = lan.payload_sent(0) - before;
    let damaged = 3 << 20;
    assert!(
        sent < 60_000_000 + damaged + RESENT_MAX,
        "{sent} bytes were sent"
    );
}

fn whatever_is_killed_and_pulled_little_is_sent_twice() {
    const BYTES: u64 = 256 << 20;
    let lan = Lan::of(2);
    lan.rate(0, Some(SLOW));
    let (ann, bo) = friends(&lan);
    let path = large_file(&ann, "disk.img", BYTES, 1);
    let before = lan.payload_sent(0);
    let id = send(&ann, "Bo", &path);
    accept(&bo, &id);
    let mut come = until_moved(&bo, &id, 1 << 20);
    let faults: [fn(&Lan, &Host, &Host); 5] = [
        |_, _, bo| {
            bo.kill();
            bo.up();
        },
        |_, ann, _| {
            ann.kill();
            ann.up();
        },
        |lan, ann, bo| {
            lan.cut(1);
            bo.until("the session is given up", PATIENCE, |bo| {
                let peer = bo.peer(ann)?;
                (peer["state"] != "live").then_some(())
            });
            lan.heal(1);
        },
        |_, ann, _| ann.restart(),
        |lan, _, _| {
            // Another network, as it were: all addresses go, and there is a new one.
            let address = lan.ipv4(40);
            lan.flush(1);
            lan.add_address(1, address);
        },
    ];
    for fault in faults.iter().chain(&faults) {
        come = until_moved(&bo, &id, come + (10 << 20));
        fault(&lan, &ann, &bo);
        // Both see where it went on.
        for host in [&bo, &ann] {
            host.until("it goes on", ARRIVAL, |host| {
                let resumed_at = transfer(host, &id)?["resumed_at"].as_u64()?;
                (resumed_at + RESENT_MAX > come).then_some(())
            });
        }
    }
    lan.rate(0, None);
    until_state(&bo, &id, "done");
    until_state(&ann, &id, "done");
    assert!(is_same(&path, &downloads(&bo).join("disk.img")));
    let sent = lan.payload_sent(0) - before;
    let most = BYTES + 10 * RESENT_MAX;
    assert!(
        sent < most,
        "{sent} bytes were sent, and {most} are too many"
    );
}

fn a_full_disk_holds_a_transfer_until_there_is_room() {
    let lan = Lan::of(2);
    lan.rate(0, Some(SLOW));
    let ann = Host::start(&lan, 0, "Ann");
    let bo = Plan::new("Bo").disk(160 << 20).start(&lan, 1);
    ann.befriend(&bo);
    let path = file(&ann, "disk.img", &noise(60_000_000, 1));

    // Before it has begun.
    let ballast = fill(&bo, 1 << 20);
    let id = send(&ann, "Bo", &path);
    until_state(&bo, &id, "waiting_for_room");
    until_state(&ann, &id, "waiting_for_room");
    let said = String::from_utf8(bo.cli_raw(&["files"]).stdout).unwrap();
    assert!(said.contains("the disk is full"), "{said}");
    fs::remove_file(ballast).unwrap();
    // And again while it comes.
    let come = until_moved(&bo, &id, 10_000_000);
    let ballast = fill(&bo, 1 << 20);
    until_state(&bo, &id, "waiting_for_room");
    until_state(&ann, &id, "waiting_for_room");
    fs::remove_file(ballast).unwrap();
    let done = until_state(&bo, &id, "done");
    assert!(done["resumed_at"].as_u64() >= Some(come), "{done}");
    until_state(&ann, &id, "done");
    assert!(is_same(&path, &downloads(&bo).join("disk.img")));
}

/// Takes the room on the disk of a host but for so much, about.
fn fill(host: &Host, but: u64) -> PathBuf {
    let path = host.home().join("ballast");
    let mut file = File::create(&path).unwrap();
    let block = vec![7; 1 << 16];
    let full = loop {
        match file.write(&block) {
            Ok(written) => assert!(written > 0),
            Err(error) => break error.kind(),
        }
    };
    assert_eq!(full, ErrorKind::StorageFull);
    let bytes = file.metadata().unwrap().len();
    file.set_len(bytes.saturating_sub(but)).unwrap();
    path
}

fn thousands_of_small_files_arrive_equal() {
    let lan = Lan::of(2);
    let (ann, bo) = friends(&lan);
    let root = outbox(&ann).join("photos");
    for folder in 0..50 {
        let folder = root.join(format!("{folder:02}"));
        fs::create_dir_all(&folder).unwrap();
        for number in 0..100usize {
            let contents = noise(number * 23, number as u64);
            fs::write(folder.join(format!("{number:03}.jpg")), contents).unwrap();
        }
    }
    let id = send(&ann, "Bo", &root);
    let done = until_state(&bo, &id, "done");
    assert_eq!(done["file"]["files"], 5000);
    assert_same_tree(&root, &downloads(&bo).join("photos"));
}

fn a_huge_file_with_holes_keeps_them() {
    const BYTES: u64 = 5 << 30;
    let lan = Lan::of(2);
    let (ann, bo) = friends(&lan);
    let path = file(&ann, "disk.img", b"begin");
    let disk = File::options().write(true).open(&path).unwrap();
    disk.set_len(BYTES).unwrap();
    disk.write_all_at(b"middle", (4 << 30) + 12345).unwrap();
    disk.write_all_at(b"end", BYTES - 3).unwrap();
    let before = lan.payload_sent(0);
    let id = send(&ann, "Bo", &path);
    accept(&bo, &id);
    let done = until_state(&bo, &id, "done");
    assert_eq!(done["moved"], BYTES);
    let place = downloads(&bo).join("disk.img");
    let arrived = File::open(&place).unwrap();
    let (sent, found) = (fs::metadata(&path).unwrap(), arrived.metadata().unwrap());
    assert_eq!(found.len(), BYTES);
    let at = |offset, bytes: usize| {
        let mut read = vec![1; bytes];
        arrived.read_exact_at(&mut read, offset).unwrap();
        read
    };
    assert_eq!(at(0, 6), b"begin\0");
    assert_eq!(at((4 << 30) + 12344, 8), b"\0middle\0");
    assert_eq!(at(BYTES - 4, 4), b"\0end");
    assert_eq!(at(1 << 30, 4096), [0; 4096]);
    let payload = lan.payload_sent(0) - before;
    assert!(payload < 16 << 20, "{payload} bytes were sent of zeros");
    // Where the sender's disk has holes, the receiver's has.
    if sent.blocks() * 512 < BYTES / 2 {
        assert!(found.blocks() * 512 < 16 << 20, "{} blocks", found.blocks());
    }
}
