//! Writing, changing, reading: what is asked of the node, and what is kept.

use super::{Desk, of_bo};
use crate::sample::{BO, ME, WANG, person, said};
use crate::{Effect, Input, Part, Reply, Request, Spot};
use crossterm::event::Event as TerminalEvent;
use hallway_api::{ReactionRequest, SendRequest, SendView};
use hallway_model::{Delivery, EventKind, MessageView, ReactionView, WallTime};

fn sent(desk: &mut Desk) -> SendRequest {
    let request = desk.asked_one();
    let Request::Send { request, .. } = request else {
        panic!("{request:?}");
    };
    *request
}

#[test]
fn a_text_goes_out_and_is_shown_until_the_node_has_it() {
    let mut desk = Desk::with_bo(Vec::new());
    desk.typed("好的, ");
    desk.done();
    desk.line("十二点");
    let request = desk.asked_one();
    let Request::Send {
        peer: BO,
        request: body,
        number,
    } = &request
    else {
        panic!("{request:?}");
    };
    assert_eq!(
        **body,
        SendRequest {
            to: BO.to_string(),
            text: Some("好的, 十二点".into()),
            ..SendRequest::default()
        }
    );
    assert_eq!(*number, 1);
    desk.assert_shows("好的, 十二点  being sent…");
    let own = said(ME, 1, "好的, 十二点");
    desk.message(own.clone());
    let sent = SendView {
        id: own.id.parse().unwrap(),
        to: BO,
        state: Delivery::Queued,
    };
    desk.put(Input::Done {
        request: Box::new(request),
        reply: Ok(Reply::Sent(sent)),
    });
    desk.assert_hides("being sent");
    desk.assert_shows("好的, 十二点");
}

#[test]
fn what_the_node_refuses_comes_back_before_what_was_written_since() {
    let mut desk = Desk::with_bo(Vec::new());
    desk.line("first");
    let request = Box::new(desk.asked_one());
    desk.typed("second");
    desk.put(Input::Done {
        request,
        reply: Err("the disk is full".into()),
    });
    assert_eq!(desk.app.draft(), "first\nsecond");
    desk.assert_shows("Not sent: the disk is full");
}

#[test]
fn a_node_that_is_gone_takes_no_text_and_loses_none() {
    let mut desk = Desk::with_bo(of_bo(1..=2));
    desk.typed("half a sen");
    desk.put(Input::Down("gone".into()));
    desk.assert_shows("the node does not answer");
    desk.typed("tence");
    desk.done();
    desk.key("enter");
    assert!(desk.asked().is_empty());
    assert_eq!(desk.app.draft(), "half a sentence");
    desk.assert_shows("your text stays here");
    // When it is back the conversation is read again, and the text goes out.
    desk.up(super::people());
    desk.assert_hides("your text stays here");
    assert!(desk.done().contains(&Effect::Read(BO, Part::Latest)));
    desk.page(BO, of_bo(1..=3));
    desk.assert_shows("line 3");
    desk.key("enter");
    assert_eq!(sent(&mut desk).text.unwrap(), "half a sentence");
}

#[test]
fn each_conversation_keeps_its_draft_and_leaving_asks() {
    let mut desk = Desk::with_bo(Vec::new());
    desk.typed("to Bo");
    desk.key("alt-down");
    assert_eq!(desk.app.selected, Some(WANG));
    desk.typed("给王");
    desk.key("alt-up");
    assert_eq!(desk.app.draft(), "to Bo");
    desk.done();
    desk.key("ctrl-c");
    desk.assert_shows("did not send would be lost");
    desk.key("n");
    assert_eq!(desk.app.draft(), "to Bo");
    assert!(!desk.done().contains(&Effect::Quit));
    desk.key("ctrl-c y");
    assert!(desk.done().contains(&Effect::Quit));
    // Without one there is nothing to ask.
    let mut desk = Desk::with_bo(Vec::new());
    desk.key("ctrl-c");
    assert_eq!(desk.done(), [Effect::Quit]);
}

#[test]
fn the_chosen_message_is_answered_changed_taken_back_and_marked() {
    let (theirs, own) = (said(BO, 1, "Lunch?"), said(ME, 2, "yse"));
    let mut desk = Desk::with_bo(vec![theirs.clone(), own.clone()]);
    desk.typed("a draft");
    desk.key("ctrl-u up e");
    desk.assert_shows("Edit your message: yse");
    assert_eq!(desk.app.draft(), "yse");
    desk.key("ctrl-u");
    desk.line("yes");
    let edit = sent(&mut desk);
    assert_eq!(
        (edit.edit, edit.text),
        (own.id.parse().ok(), Some("yes".into()))
    );
    assert_eq!(desk.app.draft(), "", "nothing stood there before");

    desk.key("up up enter");
    desk.assert_shows("Reply to Bo: Lunch?");
    desk.line("sure");
    let reply = sent(&mut desk);
    assert_eq!((reply.reply_to, reply.edit), (theirs.id.parse().ok(), None));

    desk.key("up d");
    desk.assert_shows("Take this message back");
    desk.key("y");
    assert_eq!(sent(&mut desk).delete, own.id.parse().ok());
    // Theirs cannot be.
    desk.key("up up d");
    assert!(desk.asked().is_empty());
    desk.assert_shows("only your own messages");

    desk.key("+ 1");
    let mark = |on| ReactionRequest {
        target: theirs.id.parse().unwrap(),
        emoji: "👍".into(),
        on,
    };
    assert_eq!(sent(&mut desk).reaction, Some(mark(true)));
    // The same once more takes it off.
    let marked = MessageView {
        reactions: vec![ReactionView {
            emoji: "👍".into(),
            by: ME,
        }],
        ..theirs.clone()
    };
    let message = Box::new(marked);
    desk.told(EventKind::Message {
        message,
        new: false,
    });
    desk.assert_shows("👍 you");
    desk.done();
    desk.line("/react 👍");
    assert_eq!(sent(&mut desk).reaction, Some(mark(false)));
}

#[test]
fn an_edit_brings_the_draft_back() {
    let mut desk = Desk::with_bo(vec![said(ME, 1, "yse")]);
    desk.typed("half");
    desk.key("ctrl-a");
    desk.typed("/edit ");
    desk.key("enter");
    assert_eq!(desk.app.draft(), "yse");
    desk.key("esc");
    assert_eq!(desk.app.draft(), "");
    let mut desk = Desk::with_bo(vec![said(BO, 1, "theirs")]);
    desk.line("/edit");
    desk.assert_shows("there is no such message");
    assert_eq!(desk.app.draft(), "/edit");
}

#[test]
fn commands_complete_and_say_what_they_need() {
    let mut desk = Desk::with_bo(Vec::new());
    desk.typed("/hang");
    desk.key("tab");
    assert_eq!(desk.app.draft(), "/hangup ");
    desk.key("ctrl-u");
    desk.typed("/re");
    desk.key("tab");
    desk.assert_shows("reply  react  refuse  resume");
    desk.key("ctrl-u");
    desk.typed("/to 王");
    desk.key("tab enter");
    assert_eq!(desk.app.selected, Some(WANG));
    desk.line("/to nobody");
    desk.assert_shows("nobody is called nobody");
    desk.key("ctrl-u");
    desk.line("/wave");
    desk.assert_shows("there is no /wave");
    assert_eq!(desk.app.draft(), "/wave");
    desk.key("ctrl-u");
    desk.line("/status sleepy");
    desk.assert_shows("available, away or busy");
    desk.key("ctrl-u");
    desk.done();
    desk.line("/status away");
    desk.line("/name Ann Li");
    assert_eq!(desk.asked().len(), 2);
    desk.assert_shows("Ann Li (away)");
    desk.line("/language zh");
    desk.assert_shows("已验证");
    // Two slashes begin a text with one.
    desk.line("//etc/hosts");
    assert_eq!(sent(&mut desk).text.unwrap(), "/etc/hosts");
}

#[test]
fn what_is_on_screen_was_seen_and_nothing_else() {
    let mut desk = Desk::with_bo(of_bo(1..=2));
    desk.message(said(BO, 3, "new"));
    assert_eq!(desk.asked(), [Request::Seen(BO, 3)]);
    // Not while the person looks elsewhere: then the terminal calls.
    desk.put(Input::Terminal(TerminalEvent::FocusLost));
    desk.message(said(BO, 4, "newer"));
    assert_eq!(desk.done(), [Effect::Bell]);
    assert_eq!(desk.app.unread(), 1);
    desk.put(Input::Terminal(TerminalEvent::FocusGained));
    assert_eq!(desk.asked(), [Request::Seen(BO, 4)]);
    // Nor while something lies over it, nor further up.
    desk.key("f1");
    desk.message(said(BO, 5, "newest"));
    assert!(desk.asked().is_empty());
    desk.key("esc");
    assert_eq!(desk.asked(), [Request::Seen(BO, 5)]);
    // A stranger hears nothing.
    let mut desk = Desk::sitting();
    let mut cy = person(crate::sample::CY, "Cy");
    (cy.contact, cy.request, cy.unread) = (false, true, 1);
    desk.up(vec![cy]);
    desk.key("alt-a");
    desk.page(crate::sample::CY, vec![said(crate::sample::CY, 1, "hi")]);
    assert!(desk.asked().is_empty());
}

#[test]
fn typing_is_told_now_and_then() {
    let mut desk = Desk::with_bo(Vec::new());
    desk.typed("hello there");
    assert_eq!(desk.asked(), [Request::Typing(BO)]);
    desk.now = WallTime(desk.now.0 + 4000);
    desk.typed("!");
    assert_eq!(desk.asked(), [Request::Typing(BO)]);
    desk.now = WallTime(desk.now.0 + 4000);
    desk.key("ctrl-u");
    desk.typed("/help");
    assert!(desk.asked().is_empty());
    desk.told(EventKind::Typing {
        id: BO,
        typing: true,
    });
    desk.assert_shows("Bo is typing…");
}

#[test]
fn a_text_beyond_the_limit_is_not_cut() {
    let mut desk = Desk::with_bo(Vec::new());
    let paste = |text: String| Input::Terminal(TerminalEvent::Paste(text));
    desk.put(paste("x".repeat(32 * 1024)));
    desk.put(paste("y".into()));
    desk.assert_shows("a message holds 32 KiB");
    assert_eq!(desk.app.draft().len(), 32 * 1024);
    desk.key("enter");
    let asked = desk.asked();
    assert!(
        matches!(asked.last(), Some(Request::Send { .. })),
        "{asked:?}"
    );
}

#[test]
fn history_is_read_as_one_scrolls() {
    let mut desk = Desk::with_bo(of_bo(901..=1000));
    desk.assert_shows("line 1000");
    let mut first = 901;
    while first > 1 {
        desk.key("pageup");
        for effect in desk.done() {
            let Effect::Read(BO, part) = effect else {
                continue;
            };
            let Part::Before(id) = &part else {
                panic!("{part:?}");
            };
            assert_eq!(*id, said(BO, first, "").id);
            let messages = Ok(of_bo(first - 100..=first - 1));
            desk.put(Input::Page {
                peer: BO,
                part,
                messages,
            });
            first -= 100;
        }
    }
    // At the very top the screen stays full.
    for _ in 0..20 {
        desk.key("pageup");
    }
    let top = desk.screen();
    let rows: Vec<&str> = top.lines().collect();
    assert!(rows[2].contains("line 1"), "{top}");
    assert!(rows[21].contains("line 20"), "{top}");
    desk.assert_shows("Alt-End");
    // What comes meanwhile does not move what is read.
    desk.message(said(BO, 1001, "line 1001"));
    let body = |screen: &str| screen.lines().take(22).collect::<Vec<_>>().join("\n");
    let list_off = |screen: String| {
        let lines = screen
            .lines()
            .map(|line| line.chars().skip(21).collect::<String>());
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(body(&list_off(desk.screen())), body(&list_off(top)));
    desk.key("alt-end");
    assert!(desk.done().contains(&Effect::Read(BO, Part::Latest)));
    desk.page(BO, of_bo(902..=1001));
    desk.assert_shows("line 1001");
}

#[test]
fn scrolling_up_and_down_comes_back_to_the_same_place() {
    let long = format!("start {} stop", "很长的消息".repeat(200));
    let mut messages = of_bo(1..=50);
    messages.insert(40, said(ME, 7, &long));
    let mut desk = Desk::with_bo(messages);
    let end = desk.screen();
    assert!(end.contains("stop"));
    let mut seen = Vec::new();
    for _ in 0..3 {
        desk.key("pageup");
        seen.push(desk.screen());
    }
    desk.assert_hides("line 50");
    assert!(seen.iter().any(|screen| screen.contains("start")));
    for _ in 0..3 {
        assert_eq!(Some(desk.screen()), seen.pop());
        desk.key("pagedown");
    }
    assert_eq!(desk.screen(), end);
}

#[test]
fn a_found_message_is_shown_among_its_neighbours() {
    let mut desk = Desk::with_bo(of_bo(901..=1000));
    desk.key("ctrl-k");
    desk.typed("needle");
    let number = match desk.done().pop() {
        Some(Effect::Search { number, .. }) => number,
        other => panic!("{other:?}"),
    };
    let hit = said(BO, 500, "the needle");
    // What an earlier search found does not count.
    desk.put(Input::Found {
        number: number - 1,
        messages: Ok(vec![said(BO, 1, "stale")]),
    });
    desk.assert_hides("stale");
    desk.put(Input::Found {
        number,
        messages: Ok(vec![hit.clone()]),
    });
    desk.key("enter");
    let part = Part::Around(Spot::Message(hit.id.clone()));
    assert!(desk.done().contains(&Effect::Read(BO, part.clone())));
    let mut around = of_bo(450..=550);
    around[50] = hit;
    desk.put(Input::Page {
        peer: BO,
        part,
        messages: Ok(around),
    });
    desk.assert_shows("the needle");
    desk.assert_shows("line 504");
    desk.assert_hides("line 505");
    // It is chosen: what can be done with it is said.
    desk.assert_shows("r reply");
    let chosen = desk.screen();
    let chosen = chosen.lines().find(|line| line.contains('▌')).unwrap();
    assert!(chosen.contains("the needle"), "{chosen}");
}

#[test]
fn a_long_text_is_shown_as_it_is_now() {
    let long = |word: &str| format!("{}end of {word}", "一二三四五。".repeat(100));
    let mut desk = Desk::with_bo(vec![said(BO, 1, &long("one"))]);
    desk.assert_shows("end of one");
    desk.resize(30, 24);
    desk.assert_shows("end of one");
    // No row begins with a full stop, at no width.
    for width in 61..90 {
        desk.resize(width, 24);
        let screen = desk.screen();
        let text = screen.lines().filter(|line| line.contains("一二"));
        for line in text {
            let said = line.rsplit("│").next().unwrap_or_default().trim_start();
            assert!(!said.starts_with('。'), "{width}: {screen}");
        }
    }
    let edited = MessageView {
        text: Some(long("two")),
        edited: true,
        ..said(BO, 1, "")
    };
    desk.told(EventKind::Message {
        message: Box::new(edited),
        new: false,
    });
    desk.assert_shows("end of two");
    desk.assert_shows("edited");
    desk.assert_hides("end of one");
}
