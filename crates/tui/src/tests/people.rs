//! Who is where in the list, and what becomes of them.

use super::{Desk, people};
use crate::io::PersonAct;
use crate::sample::{BO, CY, NOON, WANG, person, said};
use crate::{Effect, Input, Reply, Request};
use hallway_model::{EventKind, PeerView, Presence, WallTime};

#[test]
fn who_needs_an_answer_is_on_top() {
    let mut desk = Desk::sitting();
    let newest = desk.done();
    assert_eq!(newest, [Effect::Newest(vec![BO, WANG])]);
    let order = |desk: &Desk| desk.app.lists().all().collect::<Vec<_>>();
    assert_eq!(order(&desk), [BO, WANG, CY]);
    // The last word counts, also an old one.
    desk.put(Input::Newest(BO, None));
    let old = Box::new(said(WANG, 1, "早"));
    desk.put(Input::Newest(WANG, Some(old)));
    assert_eq!(order(&desk), [WANG, BO, CY]);
    // What was not seen counts more, and a request most.
    desk.message(said(BO, 1, "hello"));
    assert_eq!(order(&desk), [BO, WANG, CY]);
    let request = PeerView {
        request: true,
        ..people().remove(2)
    };
    let peer = Box::new(request);
    desk.told(EventKind::Request { peer });
    assert_eq!(order(&desk), [CY, BO, WANG]);
    desk.assert_shows("Requests");
    desk.assert_shows("Cy would like to write with you");
    // Alt-A takes them in this order.
    desk.key("alt-a");
    assert_eq!(desk.app.selected, Some(CY));
    desk.done();
    desk.line("/accept");
    assert_eq!(desk.asked(), [Request::Person(CY, PersonAct::Accept)]);
    let accepted = person(CY, "Cy");
    desk.put(Input::Done {
        request: Box::new(Request::Person(CY, PersonAct::Accept)),
        reply: Ok(Reply::Person(Box::new(accepted))),
    });
    desk.key("alt-a");
    assert_eq!(desk.app.selected, Some(BO));
    desk.page(BO, vec![said(BO, 1, "hello")]);
    desk.key("alt-a");
    desk.assert_shows("nothing new");
}

#[test]
fn two_of_one_name_have_their_tags() {
    let mut desk = Desk::sitting();
    let twin = PeerView {
        contact: false,
        ..person(CY, "Bo")
    };
    desk.told(EventKind::Peer {
        peer: Box::new(twin),
    });
    desk.assert_shows(&format!("Bo~{}", BO.tag()));
    desk.assert_shows(&format!("Bo~{}", CY.tag()));
    // A name that two have chooses nobody.
    desk.line("/to Bo");
    assert_eq!(desk.app.selected, None);
    desk.key("esc");
    desk.line(&format!("/to Bo~{}", CY.tag()));
    assert_eq!(desk.app.selected, Some(CY));
}

#[test]
fn a_name_with_another_key_is_warned_of() {
    let mut desk = Desk::with_bo(Vec::new());
    let contact = PeerView {
        impostor: Some(CY),
        ..person(BO, "Bo")
    };
    let newcomer = PeerView {
        contact: false,
        ..person(CY, "Bo")
    };
    desk.told(EventKind::NameCollision {
        contact: Box::new(contact.clone()),
        newcomer: Box::new(newcomer),
    });
    assert!(desk.done().contains(&Effect::LookUp(BO)));
    desk.put(Input::Peer(Box::new(contact)));
    desk.assert_shows("Careful: somebody with another key");
    desk.assert_shows("/keep-name");
    desk.line("/keep-name");
    assert_eq!(desk.asked(), [Request::Person(BO, PersonAct::KeepName)]);
}

#[test]
fn blocking_and_forgetting_are_asked_about() {
    let mut desk = Desk::with_bo(Vec::new());
    for (command, question, act) in [
        ("/block", "Block Bo?", PersonAct::Block),
        ("/forget", "Forget Bo?", PersonAct::Forget),
    ] {
        desk.line(command);
        desk.assert_shows(question);
        desk.key("enter n");
        assert!(desk.asked().is_empty(), "only a yes is a yes");
        desk.line(command);
        desk.key("y");
        assert_eq!(desk.asked(), [Request::Person(BO, act)]);
    }
    desk.told(EventKind::PeerGone { id: BO });
    assert_eq!(desk.app.selected, None);
    desk.assert_hides("Bo");
}

#[test]
fn presence_changes_and_events_do_not_forget_what_is_unread() {
    let mut desk = Desk::sitting();
    desk.message(said(BO, 1, "hello"));
    let away = PeerView {
        state: Presence::Offline,
        last_seen: Some(WallTime(NOON)),
        ..person(BO, "Bo")
    };
    desk.told(EventKind::Peer {
        peer: Box::new(away),
    });
    desk.assert_shows("· Bo");
    desk.assert_shows("1 new");
    // Somewhere else we have read it.
    desk.told(EventKind::ReadUpTo {
        author: BO,
        peer: BO,
        seq: 1,
    });
    assert!(desk.done().contains(&Effect::LookUp(BO)));
    desk.put(Input::Peer(Box::new(person(BO, "Bo"))));
    desk.assert_hides("1 new");
}

#[test]
fn a_click_chooses_who_was_clicked_on() {
    use crossterm::event::{Event, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
    let mut desk = Desk::sitting();
    let click = |row| {
        Input::Terminal(Event::Mouse(MouseEvent {
            kind: MouseEventKind::Down(MouseButton::Left),
            column: 3,
            row,
            modifiers: KeyModifiers::NONE,
        }))
    };
    for (row, chosen) in [
        (0, None),
        (2, Some(WANG)),
        (3, Some(WANG)),
        (4, Some(CY)),
        (9, Some(CY)),
    ] {
        desk.put(click(row));
        assert_eq!(desk.app.selected, chosen, "row {row}\n{}", desk.screen());
    }
}
