//! Calls and files: what is shown of them, and what keys do.

use super::{Desk, NOW};
use crate::io::{CallAct, Entry, FileAct, Reply};
use crate::sample::{BO, ME, said};
use crate::{Effect, Input, Request};
use hallway_model::{
    CallDirection, CallEnd, CallId, CallQuality, CallState, CallStatsView, CallView, DeviceView,
    DevicesView, EventKind, FileView, MessageView, SoundDirection, TransferFailure, TransferState,
    TransferView, WallTime,
};
use std::path::PathBuf;

fn call(state: CallState, direction: CallDirection) -> CallView {
    CallView {
        id: CallId([7; 16]),
        peer: BO,
        direction,
        state,
        waiting: false,
        at: NOW,
        duration_ms: 65_000,
        muted: false,
        held: false,
        muted_by_them: false,
        held_by_them: false,
        can_speak: true,
        can_hear: true,
        they_can_speak: true,
        they_can_hear: true,
        connected: true,
        stats: None,
        end: None,
        detail: None,
    }
}

fn tell(desk: &mut Desk, call: CallView) {
    let call = Box::new(call);
    desk.told(EventKind::Call { call });
}

#[test]
fn a_call_rings_is_answered_muted_and_ended() {
    let id = CallId([7; 16]).to_string();
    let act = |act| Request::Call(id.clone(), act);
    let mut desk = Desk::sitting();
    desk.done();
    tell(&mut desk, call(CallState::Ringing, CallDirection::Incoming));
    assert_eq!(desk.done(), [Effect::Bell]);
    desk.assert_shows("Bo is calling  F5 answer  F8 decline");
    desk.key("f5");
    assert_eq!(desk.asked(), [act(CallAct::Answer)]);
    tell(&mut desk, call(CallState::Active, CallDirection::Incoming));
    desk.told(EventKind::CallLevels {
        id: CallId([7; 16]),
        microphone_dbfs: Some(-30.0),
        speaker_dbfs: None,
    });
    desk.assert_shows("Bo 1:05  you ████░░░░  Bo ░░░░░░░░");
    // Time goes on between two events.
    assert!(desk.app.is_moving());
    desk.now = WallTime(NOW.0 + 2000);
    desk.put(Input::Tick);
    desk.assert_shows("Bo 1:07");
    let muted = CallView {
        muted: true,
        stats: Some(CallStatsView {
            mouth_to_ear_ms: Some(45.2),
            loss: 0.012,
            jitter_ms: 1.0,
            rtt_ms: None,
            bitrate_in: 0,
            bitrate_out: 0,
            playout_delay_ms: 20.0,
            quality: CallQuality::Good,
        }),
        ..call(CallState::Active, CallDirection::Incoming)
    };
    desk.key("f6");
    assert_eq!(desk.asked(), [act(CallAct::Mute(true))]);
    tell(&mut desk, muted);
    desk.resize(120, 24);
    desk.assert_shows("muted  good 45 ms 1.2 %");
    desk.key("f6 f7 f8");
    let asked = [CallAct::Mute(false), CallAct::Hold(true), CallAct::HangUp];
    assert_eq!(desk.asked(), asked.map(act));
    let ended = CallView {
        detail: Some("they hung up".into()),
        ..call(CallState::Ended, CallDirection::Incoming)
    };
    tell(&mut desk, ended);
    desk.assert_shows("they hung up");
    desk.assert_hides("☎");
    // In words of the app's own where the node's are in another language.
    desk.line("/language zh");
    tell(&mut desk, call(CallState::Active, CallDirection::Outgoing));
    let ended = CallView {
        end: Some(CallEnd::Unanswered),
        detail: Some("Bo did not answer".into()),
        ..call(CallState::Ended, CallDirection::Outgoing)
    };
    tell(&mut desk, ended);
    desk.assert_shows("Bo 没有接听");
    desk.line("/language en");
    desk.assert_hides("☎");
    desk.key("f8");
    desk.assert_shows("there is no call");
}

#[test]
fn the_person_on_screen_is_called() {
    let mut desk = Desk::with_bo(Vec::new());
    desk.key("f5");
    assert_eq!(desk.asked(), [Request::Ring(BO)]);
    tell(&mut desk, call(CallState::Ringing, CallDirection::Outgoing));
    desk.assert_shows("It rings at Bo's");
    desk.line("/hangup");
    assert!(matches!(
        desk.asked_one(),
        Request::Call(_, CallAct::HangUp)
    ));
}

fn file(from: hallway_model::PeerId) -> MessageView {
    MessageView {
        kind: "file".into(),
        text: None,
        file: Some(view()),
        ..said(from, 1, "")
    }
}

fn view() -> FileView {
    FileView {
        name: "报告 2026.pdf".into(),
        bytes: 4_000_000,
        files: 1,
        folder: false,
        media_type: None,
        thumbnail: false,
        left_out: 0,
        left_out_names: Vec::new(),
    }
}

fn transfer(message: &MessageView, state: TransferState, moved: u64) -> TransferView {
    TransferView {
        id: message.id.clone(),
        peer: BO,
        incoming: message.from == BO,
        file: view(),
        state,
        failure: None,
        moved,
        resumed_at: None,
        changed: 0,
        rate: None,
        left_ms: None,
        path: None,
        at: NOW,
    }
}

#[test]
fn a_file_comes() {
    let message = file(BO);
    let mut desk = Desk::with_bo(vec![message.clone()]);
    let tell = |desk: &mut Desk, transfer: TransferView| {
        let transfer = Box::new(transfer);
        desk.told(EventKind::Transfer { transfer });
    };
    tell(&mut desk, transfer(&message, TransferState::Offered, 0));
    desk.assert_shows("◆ 报告 2026.pdf  4.0 MB");
    desk.assert_shows("waits for your answer");
    desk.key("up");
    desk.assert_shows("a accept  x decline");
    desk.key("a");
    let act = |act| Request::Transfer(message.id.clone(), act);
    assert_eq!(desk.asked(), [act(FileAct::Accept(None))]);
    let running = TransferView {
        rate: Some(1_000_000),
        left_ms: Some(2000),
        ..transfer(&message, TransferState::Running, 2_000_000)
    };
    tell(&mut desk, running);
    desk.assert_shows("█████░░░░░ 50 % on its way, 1.0 MB/s, 0:02");
    desk.key("p x");
    assert_eq!(desk.asked(), [act(FileAct::Pause), act(FileAct::Cancel)]);
    tell(
        &mut desk,
        transfer(&message, TransferState::PausedByUs, 2_000_000),
    );
    desk.key("p esc");
    assert_eq!(desk.asked(), [act(FileAct::Resume)]);
    let done = TransferView {
        path: Some(PathBuf::from("/home/ann/报告.pdf")),
        ..transfer(&message, TransferState::Done, 4_000_000)
    };
    tell(&mut desk, done);
    desk.assert_shows("complete, in /home/ann/报告.pdf");
    desk.line("/cancel");
    desk.assert_shows("there is no file for that");
}

#[test]
fn a_file_of_ours_is_never_taken_for_one_of_theirs() {
    // Ids are chosen by authors, so that two may be alike.
    let message = file(ME);
    let mut desk = Desk::with_bo(vec![message.clone()]);
    let theirs = TransferView {
        incoming: true,
        ..transfer(&message, TransferState::Offered, 0)
    };
    desk.told(EventKind::Transfer {
        transfer: Box::new(theirs),
    });
    desk.assert_hides("waits for your answer");
}

#[test]
fn a_path_is_completed_and_offered() {
    let mut desk = Desk::with_bo(Vec::new());
    desk.key("ctrl-o");
    assert_eq!(desk.done(), [Effect::List(String::new())]);
    let entry = |name: &str, folder| Entry {
        name: name.into(),
        folder,
        bytes: 1234,
    };
    let home = vec![
        entry("docs", true),
        entry(".hidden", false),
        entry("report.pdf", false),
    ];
    desk.put(Input::Listed {
        folder: String::new(),
        entries: Some(home),
    });
    desk.assert_shows("docs/");
    desk.assert_shows("1.2 kB");
    desk.assert_hides(".hidden");
    desk.typed("d");
    desk.key("tab");
    assert_eq!(desk.done(), [Effect::List("docs/".into())]);
    let inside = vec![entry("年报.odt", false), entry("年会.odt", false)];
    desk.put(Input::Listed {
        folder: "docs/".into(),
        entries: Some(inside),
    });
    desk.key("tab");
    desk.typed("报");
    desk.key("tab enter");
    let offered = Request::Offer(BO, PathBuf::from("docs/年报.odt"));
    assert_eq!(desk.asked(), [offered]);
    // A whole folder is asked about first.
    desk.key("ctrl-o");
    desk.line("docs/");
    assert!(desk.asked().is_empty());
    desk.assert_shows("Send the whole folder docs/?");
    desk.key("y");
    assert_eq!(desk.asked(), [Request::Offer(BO, PathBuf::from("docs/"))]);
    desk.key("ctrl-o");
    desk.typed("no/where");
    desk.put(Input::Listed {
        folder: "no/".into(),
        entries: None,
    });
    desk.assert_shows("there is no such folder");
}

#[test]
fn a_picture_is_fetched_once_and_shown_where_it_fits() {
    let mut message = file(BO);
    if let Some(file) = &mut message.file {
        file.thumbnail = true;
    }
    let mut desk = Desk::sitting();
    desk.key("ctrl-n");
    desk.effects.clear();
    desk.page(BO, vec![message.clone()]);
    assert!(desk.effects.contains(&Effect::Picture(message.id.clone())));
    desk.effects.clear();
    desk.put(Input::Tick);
    assert!(desk.effects.is_empty(), "it is asked for once");

    let mut bytes = std::io::Cursor::new(Vec::new());
    let red = image::RgbImage::from_pixel(60, 20, image::Rgb([255, 0, 0]));
    red.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    let picture = crate::Picture::decode(bytes.get_ref());
    desk.put(Input::Picture(message.id.clone(), picture));
    desk.assert_shows(&"▀".repeat(36));
    desk.app.resize(40, 24);
    assert!(!desk.screen().contains('▀'), "there is no room for it");
    desk.app.resize(80, 24);
    desk.line("/theme none");
    desk.put(Input::Tick);
    assert!(!desk.screen().contains('▀'), "there are no colours");
}

#[test]
fn sound_devices_are_shown_and_chosen() {
    let mut desk = Desk::sitting();
    desk.line("/devices");
    assert_eq!(desk.asked(), [Request::Devices]);
    let device = |name: &str, direction, chosen| DeviceView {
        id: name.to_lowercase(),
        name: name.into(),
        direction,
        default: false,
        chosen,
        headphones: false,
    };
    let devices = DevicesView {
        devices: vec![
            device("Blue Yeti", SoundDirection::Input, true),
            device("USB Headset", SoundDirection::Output, true),
        ],
        input: "blue yeti".into(),
        output: "default".into(),
        problem: None,
    };
    desk.put(Input::Done {
        request: Box::new(Request::Devices),
        reply: Ok(Reply::Devices(devices)),
    });
    for shown in ["● Blue Yeti", "○ USB Headset", "○ default", "● default"] {
        desk.assert_shows(shown);
    }
    desk.key("esc");
    desk.line("/speaker USB Headset");
    let chosen = Request::Choose(SoundDirection::Output, "USB Headset".into());
    assert_eq!(desk.asked(), [chosen]);
    desk.line("/microphone");
    desk.assert_shows("/microphone NAME");
}

/// A call in which nothing of ours is heard.
pub(super) fn muted_call() -> CallView {
    CallView {
        muted: true,
        ..call(CallState::Active, CallDirection::Incoming)
    }
}

/// A file of ours that could not be read any more.
pub(super) fn failed_file() -> (MessageView, TransferView) {
    let message = file(ME);
    let transfer = TransferView {
        failure: Some(TransferFailure::Source),
        path: Some("/home/ann/报告 2026.pdf".into()),
        ..transfer(&message, TransferState::Failed, 0)
    };
    (message, transfer)
}
