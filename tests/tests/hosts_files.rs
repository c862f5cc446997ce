//! Files between real nodes: they arrive whole, whatever is killed on the way.

#![allow(
    clippy::unwrap_used,
    reason = "tests fail by panicking, and these are not functions marked #[test]"
)]

use hallway_tests::files::{
    ARRIVAL, downloads, file, names, noise, send, transfer, until_moved, until_state,
};
use hallway_tests::host::{Host, PATIENCE, Plan};
use hallway_tests::lab::Lan;
use hallway_tests::lan_tests;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Instant;

lan_tests![
    a_small_file_of_a_contact_arrives_unasked_and_replaces_nothing,
    a_large_file_waits_for_an_answer_and_survives_whatever_is_killed,
    a_folder_arrives_as_it_is,
    an_offer_reaches_who_was_away_and_a_stranger_must_be_accepted,
    either_side_holds_declines_and_cancels,
    a_link_in_the_download_folder_is_not_followed,
    a_sender_that_cannot_be_connected_to_connects_itself,
    a_deleted_offer_is_no_longer_fetched,
    what_leaves_keeps_to_the_limit_and_everybody_gets_a_share,
    who_sends_sees_that_others_come_first,
];

fn until_tidy(host: &Host, expected: &[&str]) {
    host.until("only what is complete is there", PATIENCE, |host| {
        (names(&downloads(host)) == expected).then_some(())
    });
}

fn friends(lan: &Lan) -> (Host, Host) {
    let (ann, bo) = (Host::start(lan, 0, "Ann"), Host::start(lan, 1, "Bo"));
    ann.befriend(&bo);
    (ann, bo)
}

fn a_small_file_of_a_contact_arrives_unasked_and_replaces_nothing() {
    let lan = Lan::of(2);
    let (ann, bo) = friends(&lan);
    let mut at_bo = bo.tail();
    let contents = [noise(3 << 20, 1), noise(1234, 2), Vec::new()];
    for (contents, name) in contents
        .iter()
        .zip(["report.pdf", "report (2).pdf", "report (3).pdf"])
    {
        let id = send(&ann, "Bo", &file(&ann, "report.pdf", contents));
        assert_eq!(until_state(&ann, &id, "done")["moved"], contents.len());
        let done = until_state(&bo, &id, "done");
        let place = downloads(&bo).join(name);
        assert_eq!(done["path"], place.to_str().unwrap());
        assert!(fs::read(&place).unwrap() == *contents, "{name}");
        let mode = fs::metadata(&place).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0, "{name} can be run");
        let is_done = |event: &Value| {
            event["kind"] == "transfer"
                && event["transfer"]["id"] == *id
                && event["transfer"]["state"] == "done"
        };
        at_bo.wait_for(is_done, PATIENCE);
    }
    until_tidy(&bo, &["report (2).pdf", "report (3).pdf", "report.pdf"]);
    let log = bo.messages("Ann");
    let last = log.last().unwrap();
    assert_eq!(
        (&last["kind"], &last["file"]["name"]),
        (&"file".into(), &"report.pdf".into())
    );
}

fn a_large_file_waits_for_an_answer_and_survives_whatever_is_killed() {
    let lan = Lan::of(2);
    lan.rate(0, Some(15_000_000));
    let (ann, bo) = friends(&lan);
    let contents = noise(101_000_000, 3);
    let id = send(&ann, "Bo", &file(&ann, "disk.img", &contents));
    until_state(&bo, &id, "offered");
    assert_eq!(names(&downloads(&bo)), [""; 0]);
    bo.one(&["files", "accept", &id[..8], "--json"]);
    let mut come = until_moved(&bo, &id, 10_000_000);
    for round in 0..4 {
        let (victim, other) = if round % 2 == 0 {
            (&bo, &ann)
        } else {
            (&ann, &bo)
        };
        let mut at_other = other.tail();
        victim.kill();
        victim.up();
        let goes_on = |event: &Value| {
            let transfer = &event["transfer"];
            transfer["id"] == *id && transfer["resumed_at"].as_u64() >= Some(come)
        };
        at_other.wait_for(goes_on, ARRIVAL);
        let running = bo.until("it goes on", ARRIVAL, |bo| {
            transfer(bo, &id).filter(|t| t["resumed_at"].as_u64().is_some_and(|at| at >= come))
        });
        // The last word of progress may be older than what had come.
        let resumed_at = running["resumed_at"].as_u64().unwrap();
        assert!(resumed_at < 101_000_000, "{running}");
        if round < 2 {
            let words = format!("resumed at {} %", resumed_at / 1_010_000);
            for host in [&ann, &bo] {
                host.until(&words, ARRIVAL, |host| {
                    let said = String::from_utf8(host.cli_raw(&["files"]).stdout).unwrap();
                    said.contains(&words).then_some(())
                });
            }
        }
        come = until_moved(&bo, &id, resumed_at + 5_000_000);
    }
    lan.rate(0, None);
    until_state(&bo, &id, "done");
    until_state(&ann, &id, "done");
    assert!(fs::read(downloads(&bo).join("disk.img")).unwrap() == contents);
    until_tidy(&bo, &["disk.img"]);
}

fn a_folder_arrives_as_it_is() {
    let lan = Lan::of(2);
    let (ann, bo) = friends(&lan);
    let root = ann.home().join("outbox/trip");
    fs::create_dir_all(root.join("empty/nested")).unwrap();
    fs::create_dir_all(root.join("照片")).unwrap();
    for number in 0..300 {
        let contents = noise(number * 37, number as u64);
        fs::write(root.join(format!("照片/{number}.jpg")), contents).unwrap();
    }
    fs::write(root.join("big"), noise(5_000_000, 4)).unwrap();
    fs::write(root.join("run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(root.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("/etc/passwd", root.join("link")).unwrap();
    let id = send(&ann, "Bo", &root);
    let done = until_state(&bo, &id, "done");
    assert_eq!(
        (&done["file"]["files"], &done["file"]["folder"]),
        (&302.into(), &true.into())
    );
    let arrived = downloads(&bo).join("trip");
    assert_eq!(names(&arrived), ["big", "empty", "run.sh", "照片"]);
    assert_eq!(names(&arrived.join("empty")), ["nested"]);
    for name in names(&root.join("照片"))
        .into_iter()
        .map(|n| format!("照片/{n}"))
    {
        assert!(fs::read(arrived.join(&name)).unwrap() == fs::read(root.join(&name)).unwrap());
    }
    for name in ["big", "run.sh", "照片", "empty"] {
        let of = |folder: &Path| fs::metadata(folder.join(name)).unwrap();
        let millis = |at: std::time::SystemTime| {
            at.duration_since(std::time::UNIX_EPOCH)
                .unwrap()
                .as_millis()
        };
        let (sent, here) = (of(&root), of(&arrived));
        assert_eq!(
            millis(sent.modified().unwrap()),
            millis(here.modified().unwrap()),
            "{name}"
        );
    }
    let mode = |name| {
        fs::metadata(arrived.join(name))
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!((mode("run.sh") & 0o100, mode("big") & 0o111), (0o100, 0));
}

fn an_offer_reaches_who_was_away_and_a_stranger_must_be_accepted() {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.until_seen(&bo);
    bo.stop();
    let path = file(&ann, "hello.txt", b"hello");
    let id = send(&ann, bo.id(), &path);
    assert_eq!(transfer(&ann, &id).unwrap()["state"], "offered");
    bo.up();
    // Nobody Bo knows: it waits, however small.
    bo.until("the offer is here", ARRIVAL, |bo| transfer(bo, &id));
    ann.until("the offer is there", ARRIVAL, |ann| {
        (ann.messages(bo.id())[0]["state"] == "delivered").then_some(())
    });
    assert_eq!(transfer(&bo, &id).unwrap()["state"], "offered");
    let to = bo.home().join("elsewhere");
    bo.one(&[
        "files",
        "accept",
        &id,
        "--to",
        to.to_str().unwrap(),
        "--json",
    ]);
    until_state(&ann, &id, "done");
    assert_eq!(fs::read(to.join("hello.txt")).unwrap(), b"hello");
    // From a contact the next comes by itself, also when the sender was restarted meanwhile.
    bo.tell(ann.id(), "thank you");
    bo.stop();
    let id = send(&ann, "Bo", &path);
    ann.restart();
    bo.up();
    until_state(&bo, &id, "done");
    until_state(&ann, &id, "done");
}

fn either_side_holds_declines_and_cancels() {
    let lan = Lan::of(2);
    lan.rate(0, Some(15_000_000));
    let (ann, bo) = friends(&lan);
    let path = file(&ann, "disk.img", &noise(99_000_000, 5));
    let id = send(&ann, "Bo", &path);
    until_state(&bo, &id, "running");
    ann.one(&["files", "pause", &id, "--json"]);
    until_state(&bo, &id, "paused_by_them");
    bo.one(&["files", "pause", &id, "--json"]);
    ann.one(&["files", "resume", &id, "--json"]);
    until_state(&ann, &id, "paused_by_them");
    ann.restart();
    until_state(&ann, &id, "paused_by_them");
    bo.one(&["files", "resume", &id, "--json"]);
    until_state(&ann, &id, "running");
    bo.one(&["files", "cancel", &id, "--json"]);
    until_state(&ann, &id, "cancelled_by_them");
    until_tidy(&bo, &[]);

    let id = send(&ann, "Bo", &path);
    until_state(&bo, &id, "running");
    ann.one(&["files", "cancel", &id, "--json"]);
    until_state(&bo, &id, "cancelled_by_them");
    until_tidy(&bo, &[]);

    let large = file(&ann, "large.img", &noise(101_000_000, 6));
    let id = send(&ann, "Bo", &large);
    until_state(&bo, &id, "offered");
    bo.one(&["files", "decline", &id, "--json"]);
    until_state(&ann, &id, "declined");
    let said = bo.refused(&["files", "accept", &id], 1);
    assert!(said.contains("decided already"), "{said}");
}

fn a_link_in_the_download_folder_is_not_followed() {
    let lan = Lan::of(2);
    let (ann, bo) = friends(&lan);
    let target = bo.home().join("precious");
    fs::write(&target, "precious").unwrap();
    fs::create_dir_all(downloads(&bo)).unwrap();
    symlink(&target, downloads(&bo).join("report.pdf")).unwrap();
    let id = send(&ann, "Bo", &file(&ann, "report.pdf", b"new"));
    until_state(&bo, &id, "done");
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    assert_eq!(
        fs::read(downloads(&bo).join("report (2).pdf")).unwrap(),
        b"new"
    );
}

fn a_sender_that_cannot_be_connected_to_connects_itself() {
    let lan = Lan::of(2);
    let (ann, bo) = friends(&lan);
    lan.inbound(0, false);
    let contents = noise(9_000_000, 7);
    let id = send(&ann, "Bo", &file(&ann, "disk.img", &contents));
    until_state(&bo, &id, "done");
    until_state(&ann, &id, "done");
    assert!(fs::read(downloads(&bo).join("disk.img")).unwrap() == contents);
    // Also what is taken up again later.
    lan.rate(0, Some(4_000_000));
    let id = send(&ann, "Bo", &file(&ann, "other.img", &contents));
    let moved = |more_than| {
        bo.until("it has come further", ARRIVAL, |host| {
            transfer(host, &id)?["moved"]
                .as_u64()
                .filter(|moved| *moved > more_than)
        })
    };
    let come = moved(1_000_000);
    bo.kill();
    bo.up();
    let resumed = bo.until("it goes on", ARRIVAL, |bo| {
        transfer(bo, &id)?["resumed_at"].as_u64()
    });
    assert!(resumed >= come, "{resumed} of {come}");
    lan.rate(0, None);
    until_state(&bo, &id, "done");
    assert!(fs::read(downloads(&bo).join("other.img")).unwrap() == contents);
    lan.inbound(0, true);
}

fn a_deleted_offer_is_no_longer_fetched() {
    let lan = Lan::of(2);
    lan.rate(0, Some(15_000_000));
    let (ann, bo) = friends(&lan);
    let id = send(&ann, "Bo", &file(&ann, "wrong.img", &noise(99_000_000, 8)));
    until_state(&bo, &id, "running");
    ann.one(&["send", "Bo", "--delete", &id, "--json"]);
    until_state(&bo, &id, "cancelled_by_them");
    assert_eq!(transfer(&ann, &id).unwrap()["state"], "cancelled_by_us");
    until_tidy(&bo, &[]);
}

fn what_leaves_keeps_to_the_limit_and_everybody_gets_a_share() {
    const BYTES: u32 = 6_000_000;
    const BYTES_PER_SECOND: u32 = 3_000_000;
    let lan = Lan::of(3);
    let ann = Plan::new("Ann").prepare(&lan, 0);
    let limit = format!("files_kb_per_second = {}\n", BYTES_PER_SECOND / 1000);
    fs::write(ann.home().join("config.toml"), limit).unwrap();
    ann.up();
    let (bo, cy) = (Host::start(&lan, 1, "Bo"), Host::start(&lan, 2, "Cy"));
    ann.befriend(&bo);
    ann.befriend(&cy);
    let path = file(&ann, "disk.img", &noise(BYTES as usize, 7));
    let least = f64::from(BYTES) / f64::from(BYTES_PER_SECOND);
    let start = Instant::now();
    let alone = send(&ann, "Bo", &path);
    until_state(&bo, &alone, "done");
    let seconds_alone = start.elapsed().as_secs_f64();
    assert!(seconds_alone > 0.9 * least, "{seconds_alone} s");

    let start = Instant::now();
    let (to_bo, to_cy) = (send(&ann, "Bo", &path), send(&ann, "Cy", &path));
    until_state(&bo, &to_bo, "done");
    // By then the other has had nearly as much.
    until_moved(&cy, &to_cy, u64::from(BYTES) / 2);
    let seconds_first = start.elapsed().as_secs_f64();
    until_state(&cy, &to_cy, "done");
    let seconds_both = start.elapsed().as_secs_f64();
    assert!(seconds_both > 1.8 * least, "{seconds_both} s");
    assert!(seconds_first > 0.6 * seconds_both, "{seconds_first} s");
}

fn who_sends_sees_that_others_come_first() {
    let lan = Lan::of(2);
    lan.rate(0, Some(4_000_000));
    let (ann, bo) = friends(&lan);
    // Four of one peer come at once.
    let ids: Vec<String> = (0..5)
        .map(|number| {
            let name = format!("{number}.img");
            send(&ann, "Bo", &file(&ann, &name, &noise(6_000_000, number)))
        })
        .collect();
    let last = &ids[4];
    for host in [&bo, &ann] {
        until_state(host, last, "waiting_for_turn");
        let said = String::from_utf8(host.cli_raw(&["files"]).stdout).unwrap();
        assert!(said.contains("waits for its turn"), "{said}");
    }
    // Also after the one who knows has started anew.
    bo.restart();
    let queued = ann.until("one of them waits again", ARRIVAL, |ann| {
        let listed = ann.cli(&["files", "--json"]);
        let queued = listed.iter().find(|t| t["state"] == "waiting_for_turn")?;
        queued["id"].as_str().map(str::to_owned)
    });
    lan.rate(0, None);
    until_state(&ann, &queued, "done");
    for id in &ids {
        until_state(&bo, id, "done");
    }
}
