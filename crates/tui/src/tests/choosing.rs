//! Settings, the first start, days and quoted messages to go to, and the key for talking.

use super::{Desk, NOW, of_bo, people};
use crate::io::{CallAct, PersonAct, Reply};
use crate::sample::{BO, CY, NOON, node, said};
use crate::settings::Setting;
use crate::{Choices, Effect, Input, Language, Part, Request, Spot, Theme};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use hallway_api::SettingsRequest;
use hallway_model::{
    DeviceView, DevicesView, MessageView, PeerView, QuoteView, SoundDirection, Status, StatusView,
    WallTime,
};

/// Goes to a row of the settings.
#[track_caller]
fn go_to(desk: &mut Desk, wanted: &Setting) {
    desk.key("f2");
    let all = desk.app.settings();
    let at = all.iter().position(|setting| setting == wanted).unwrap();
    for _ in 0..at {
        desk.key("down");
    }
    desk.done();
}

fn devices() -> DevicesView {
    let device = |id: &str, direction| DeviceView {
        id: id.into(),
        name: format!("{id} of a desk"),
        direction,
        default: false,
        headphones: false,
        chosen: false,
    };
    DevicesView {
        devices: vec![
            device("mike", SoundDirection::Input),
            device("box", SoundDirection::Output),
        ],
        input: "mike".into(),
        output: "default".into(),
        problem: None,
    }
}

fn now(desk: &mut Desk, status: StatusView) {
    let reply = Ok(Reply::Status(Box::new(status)));
    let request = Box::new(Request::Settings(SettingsRequest::default()));
    desk.put(Input::Done { request, reply });
}

#[test]
fn everything_that_can_be_chosen_is_in_one_list() {
    let mut desk = Desk::new(Language::English, (80, 24));
    let mut everybody = people();
    everybody[2].blocked = true;
    desk.up(everybody);
    desk.key("ctrl-n f2");
    assert!(desk.asked().contains(&Request::Devices));
    let reply = Ok(Reply::Devices(devices()));
    let request = Box::new(Request::Devices);
    desk.put(Input::Done { request, reply });
    let status = StatusView {
        static_peers: vec!["10.0.0.9".into(), "printer:4000".into()],
        muted: vec![BO],
        accept_files_bytes: 100_000_000,
        ..node()
    };
    now(&mut desk, status);
    desk.key("down down");
    insta::assert_snapshot!(desk.screen(), @r"
     Ann                │ Bo ~aeaq · available · notifications off
    ● Bo                │ loading…
    · 王小明 ✓          │
     Settings  ↑↓ choose  Enter change  Esc leave
     Your name          Ann
     Status             available
     Read receipts      on: others learn when you have read what they wrote
     Files of contacts  up to 100.0 MB are taken without asking
     Folder for files   /home/ann/Downloads
     Language           English
     Colours            for a dark ground
     Microphone         mike of a desk
     Speaker            what the system uses, also when that changes
     Notifications      off for Bo
     Other networks     10.0.0.9
                        printer:4000
                        Connect by address
     Blocked            Cy ~ambq
     The network        why can't I see somebody?
     Your id            aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
                        │
                        │
                        │>
     done                                                                     13:00
    ");
    for _ in 0..8 {
        desk.key("down");
    }
    desk.assert_shows("10.0.0.9 (Enter removes it)");
    // The smallest window shows the row that is chosen.
    desk.resize(20, 5);
    desk.key("end");
    desk.assert_shows("Your id");
    desk.key("esc");
    desk.assert_hides("Your id");
}

#[test]
fn settings_are_changed_where_they_stand() {
    let mut desk = Desk::sitting();
    let changed = |change| Request::Settings(change);
    go_to(&mut desk, &Setting::Receipts);
    desk.key("enter");
    let off = SettingsRequest {
        read_receipts: Some(false),
        ..SettingsRequest::default()
    };
    assert_eq!(desk.asked(), [changed(off)]);
    go_to(&mut desk, &Setting::Take);
    desk.key("enter");
    let some = SettingsRequest {
        accept_files_bytes: Some(10_000_000),
        ..SettingsRequest::default()
    };
    assert_eq!(desk.asked(), [changed(some)]);
    go_to(&mut desk, &Setting::Status);
    desk.key("left");
    assert_eq!(desk.asked(), [Request::Status(Status::Busy)]);
    desk.assert_shows("busy");

    // A folder is asked for, and then the list is there again.
    go_to(&mut desk, &Setting::Folder);
    desk.key("enter");
    desk.assert_shows("> /home/ann/Downloads");
    desk.key("ctrl-u");
    desk.line("~/in");
    let folder = SettingsRequest {
        downloads: Some("~/in".into()),
        ..SettingsRequest::default()
    };
    assert_eq!(desk.asked(), [changed(folder), Request::Devices]);
    desk.assert_shows("Folder for files");

    go_to(&mut desk, &Setting::NewAddress);
    desk.key("enter");
    desk.line("10.0.0.9");
    let one = SettingsRequest {
        static_peers: Some(vec!["10.0.0.9".into()]),
        ..SettingsRequest::default()
    };
    let asked = desk.asked();
    assert_eq!(
        asked[..2],
        [changed(one), Request::Connect("10.0.0.9".into())]
    );
    let kept = StatusView {
        static_peers: vec!["10.0.0.9".into()],
        ..node()
    };
    now(&mut desk, kept);
    go_to(&mut desk, &Setting::Address("10.0.0.9".into()));
    desk.key("enter");
    let none = SettingsRequest {
        static_peers: Some(Vec::new()),
        ..SettingsRequest::default()
    };
    assert_eq!(desk.asked(), [changed(none)]);
}

#[test]
fn language_and_colours_are_kept_for_the_next_time() {
    let mut desk = Desk::sitting();
    go_to(&mut desk, &Setting::Language);
    desk.key("enter");
    desk.assert_shows("设置");
    let mut choices = Choices {
        language: Some(Language::Chinese),
        theme: None,
    };
    assert_eq!(desk.done(), [Effect::Keep(choices)]);
    desk.key("esc");
    desk.line("/theme light");
    choices.theme = Some(Theme::Light);
    assert!(desk.done().contains(&Effect::Keep(choices)));
}

#[test]
fn a_device_is_the_next_one() {
    let mut desk = Desk::sitting();
    go_to(&mut desk, &Setting::Device(SoundDirection::Input));
    // They are not known yet.
    desk.key("enter");
    assert_eq!(desk.asked(), []);
    let told = || Input::Done {
        request: Box::new(Request::Devices),
        reply: Ok(Reply::Devices(devices())),
    };
    desk.put(told());
    desk.assert_shows("mike of a desk");
    desk.key("enter");
    let choose = Request::Choose(SoundDirection::Input, "default".into());
    assert_eq!(desk.asked(), [choose]);
    // What comes when nobody looks any more opens nothing.
    desk.key("esc");
    desk.put(told());
    desk.assert_hides("mike");
}

#[test]
fn who_is_blocked_or_quiet_is_found_again() {
    let mut desk = Desk::new(Language::English, (80, 24));
    let mut everybody = people();
    everybody[2] = PeerView {
        blocked: true,
        ..everybody[2].clone()
    };
    desk.up(everybody);
    go_to(&mut desk, &Setting::Blocked(CY));
    desk.key("enter");
    assert_eq!(desk.asked(), [Request::Person(CY, PersonAct::Unblock)]);
    desk.key("esc ctrl-n");
    desk.line("/notify off");
    assert!(desk.asked().contains(&Request::Quiet(BO, true)));
    let muted = StatusView {
        muted: vec![BO],
        ..node()
    };
    now(&mut desk, muted);
    desk.assert_shows("notifications off");
    // They write, and nothing rings.
    desk.key("ctrl-n");
    desk.done();
    desk.message(said(BO, 9, "psst"));
    assert_eq!(desk.done(), []);
    go_to(&mut desk, &Setting::Notify(BO));
    desk.key("enter");
    assert_eq!(desk.asked(), [Request::Quiet(BO, false)]);
}

#[test]
fn a_newcomer_is_asked_for_a_name() {
    let mut desk = Desk::sitting();
    let settings = crate::Settings {
        language: Language::English,
        theme: Theme::Dark,
        zone: jiff::tz::TimeZone::UTC,
        size: (80, 24),
        true_colour: false,
        choices: Choices::default(),
        welcome: true,
    };
    desk.app = crate::App::new(settings);
    desk.up(people());
    desk.assert_shows("Welcome to Hallway");
    desk.assert_shows("> Ann");
    desk.key("ctrl-u");
    desk.key("enter");
    desk.assert_shows("Welcome to Hallway");
    desk.done();
    desk.line("Anna");
    desk.assert_hides("Welcome to Hallway");
    let name = hallway_model::Name::new("Anna").unwrap();
    assert_eq!(desk.asked(), [Request::Name(name)]);
    // A node that comes back asks no more.
    desk.up(people());
    desk.assert_hides("Welcome to Hallway");
}

#[test]
fn a_day_is_gone_to() {
    let mut desk = Desk::with_bo(of_bo(901..=1000));
    desk.key("ctrl-g");
    desk.assert_shows("> 2026-03-01");
    desk.key("ctrl-u");
    desk.line("1 March");
    desk.assert_shows("a date is written like 2026-03-01");
    desk.key("ctrl-u");
    desk.line("2026-02-28");
    let midnight = Spot::Time(WallTime(NOON - 36 * 3_600_000));
    let part = Part::Around(midnight);
    assert!(desk.done().contains(&Effect::Read(BO, part.clone())));
    let page = |messages| Input::Page {
        peer: BO,
        part: part.clone(),
        messages: Ok(messages),
    };
    desk.put(page(of_bo(101..=200)));
    let screen = desk.screen();
    let chosen = screen.lines().find(|line| line.contains('▌')).unwrap();
    assert!(chosen.contains("line 101"), "{screen}");
    // A day after the last message leaves all as it is.
    desk.line("/goto 2027-01-01");
    desk.done();
    desk.put(Input::Page {
        peer: BO,
        part: Part::Around(Spot::Time(WallTime(1_798_761_600_000))),
        messages: Ok(Vec::new()),
    });
    desk.assert_shows("there is no such message");
    desk.assert_shows("line 101");
}

#[test]
fn what_a_message_answers_is_gone_to() {
    let mut answer = said(BO, 1000, "yes");
    let quoted = said(BO, 3, "").id;
    answer.reply_to = Some(QuoteView {
        id: quoted.clone(),
        from: Some(BO),
        text: Some("line 3".into()),
    });
    let mut desk = Desk::with_bo([of_bo(901..=999), vec![answer]].concat());
    desk.key("up");
    desk.assert_shows("q what it answers");
    desk.key("q");
    let part = Part::Around(Spot::Message(quoted));
    assert!(desk.done().contains(&Effect::Read(BO, part.clone())));
    let messages: Vec<MessageView> = of_bo(1..=100);
    desk.put(Input::Page {
        peer: BO,
        part,
        messages: Ok(messages),
    });
    let screen = desk.screen();
    let chosen = screen.lines().find(|line| line.contains('▌')).unwrap();
    assert!(chosen.contains("line 3"), "{screen}");
}

/// The key for talking does something.
fn talk_key(desk: &mut Desk, kind: KeyEventKind) {
    let key = KeyEvent::new_with_kind(KeyCode::F(9), KeyModifiers::NONE, kind);
    desk.put(Input::Terminal(Event::Key(key)));
}

#[test]
fn a_key_that_is_held_lets_one_be_heard() {
    let mut desk = Desk::sitting();
    desk.key("f9");
    desk.assert_shows("there is no call");
    let call = super::calls_and_files::muted_call();
    let id = call.id.to_string();
    let heard = |on| Request::Call(id.clone(), CallAct::Talk(on));
    desk.told(hallway_model::EventKind::Call {
        call: Box::new(call),
    });
    desk.assert_shows("F9 talk");
    desk.done();
    // A terminal that tells when it is let go.
    talk_key(&mut desk, KeyEventKind::Press);
    talk_key(&mut desk, KeyEventKind::Repeat);
    talk_key(&mut desk, KeyEventKind::Release);
    assert_eq!(desk.asked(), [heard(true), heard(false)]);
    // One that does not: a press that comes again at once is the same, a later one ends it.
    for wait in [0, 500, 699, 699] {
        desk.now = WallTime(desk.now.0 + wait);
        talk_key(&mut desk, KeyEventKind::Press);
    }
    assert_eq!(desk.asked(), [heard(true)]);
    desk.now = WallTime(desk.now.0 + 700);
    talk_key(&mut desk, KeyEventKind::Press);
    assert_eq!(desk.asked(), [heard(false)]);
    assert!(desk.now > NOW);
}

#[test]
fn a_file_that_did_not_get_there_is_sent_again() {
    let (message, transfer) = super::calls_and_files::failed_file();
    let path = transfer.path.clone().unwrap();
    let mut desk = Desk::with_bo(vec![message]);
    let transfer = Box::new(transfer);
    desk.told(hallway_model::EventKind::Transfer { transfer });
    desk.assert_shows("failed: the sender can no longer read it");
    desk.key("up");
    desk.assert_shows("p send again");
    desk.key("p");
    assert_eq!(desk.asked(), [Request::Offer(BO, path)]);
    desk.key("x");
    assert_eq!(desk.asked(), []);
}
