//! Whatever others send and whatever size the terminal has: text stays text, and the layout whole.

use super::{Desk, people};
use crate::sample::{BO, ME, person, said};
use crate::{Language, Theme};
use hallway_model::{EventKind, PeerView, QuoteView, ReactionView};
use ratatui::style::Color;

/// What people with bad intentions send.
fn texts() -> Vec<String> {
    vec![
        "\x1b]0;owned\x07\x1b[2J\x1b[31mred\u{9b}2J".into(),
        "invoice\u{202e}fdp.exe \u{2066}isolated\u{2069}".into(),
        format!("zal{}go", "\u{489}\u{301}\u{323}".repeat(100)),
        "x".repeat(10_000),
        "字".repeat(10_000),
        "👨\u{200d}👩\u{200d}👧\u{200d}👦🏳\u{fe0f}\u{200d}🌈".repeat(100),
        "\n".repeat(30_000),
        "\r\r\r\t\t\u{b}\u{c}\u{85}\u{2028}\u{2029}".into(),
        "\u{200b}\u{feff}\u{ad}\u{200f}".repeat(50),
        "`".repeat(501),
        format!("```{}\nhttp://{}", "`".repeat(99), "a/".repeat(3000)),
        "שלום مرحبا नमस्ते สวัสดี".repeat(40),
        " ".repeat(5000),
    ]
}

#[track_caller]
fn assert_harmless(desk: &Desk) {
    let buffer = desk.buffer();
    for cell in buffer.content() {
        let symbol = cell.symbol();
        assert!(!symbol.chars().any(char::is_control), "{symbol:?}");
        assert!(!symbol.contains(['\u{202e}', '\u{2066}']), "{symbol:?}");
        assert!(symbol.chars().count() <= 16, "{symbol:?}");
    }
}

#[test]
fn whatever_is_sent_is_shown_as_text_and_the_layout_stays() {
    for text in texts() {
        let mut message = said(BO, 1, &text);
        message.reply_to = Some(QuoteView {
            id: message.id.clone(),
            from: Some(BO),
            text: Some(text.clone()),
        });
        message.reactions = vec![ReactionView {
            emoji: text.chars().take(20).collect(),
            by: BO,
        }];
        let mut desk = Desk::with_bo(vec![said(BO, 0, "before"), message, said(ME, 2, "after")]);
        let name: String = text.chars().take(20).collect();
        let peer = PeerView {
            typing: true,
            ..person(BO, &name)
        };
        desk.told(EventKind::Peer {
            peer: Box::new(peer),
        });
        for keys in [
            "up",
            "up r",
            "esc",
            "pageup",
            "pageup",
            "ctrl-k",
            "esc pagedown",
        ] {
            desk.key(keys);
            assert_harmless(&desk);
            // The line between the two sides is where it was.
            if desk.app.overlay.is_none() {
                let buffer = desk.buffer();
                for y in 0..23 {
                    assert_eq!(buffer[(20, y)].symbol(), "│", "{text:?}\n{}", desk.screen());
                }
            }
        }
    }
}

#[test]
fn what_is_pasted_is_shown_as_text_too() {
    for text in texts() {
        let mut desk = Desk::with_bo(Vec::new());
        desk.put(crate::Input::Terminal(crossterm::event::Event::Paste(text)));
        assert_harmless(&desk);
        desk.key("ctrl-k");
        desk.typed("\u{202e}x");
        assert_harmless(&desk);
    }
}

#[test]
fn every_size_can_be_drawn_with_everything_open() {
    let openings = ["", "f1", "ctrl-k", "ctrl-o", "up +", "up", "up r"];
    for language in [Language::English, Language::Chinese] {
        for opening in openings {
            let mut desk = Desk::new(language, (80, 24));
            desk.up(people());
            desk.key("ctrl-n");
            desk.page(
                BO,
                vec![said(BO, 1, &"宽 wide ".repeat(30)), said(ME, 2, "ok")],
            );
            desk.typed("一行两行三行 and more words than fit anywhere");
            if !opening.is_empty() {
                desk.key("ctrl-u");
                desk.key(opening);
            }
            for width in (1..90).step_by(7).chain([20, 59, 60, 61]) {
                for height in (1..30).step_by(3).chain([2, 5]) {
                    desk.resize(width, height);
                    let (x, y) = desk.caret();
                    assert!(x < width && y < height, "{width}x{height}");
                    desk.key("pageup pagedown");
                }
            }
        }
    }
}

#[test]
fn the_caret_stands_where_a_chinese_character_goes() {
    let mut desk = Desk::with_bo(Vec::new());
    desk.typed("你好");
    // The list, a line, the prompt, two characters of two cells.
    assert_eq!(desk.caret(), (21 + 2 + 4, 22));
    desk.key("left");
    assert_eq!(desk.caret(), (21 + 2 + 2, 22));
    desk.key("ctrl-k");
    desk.typed("王");
    let screen = desk.screen();
    let row = screen
        .lines()
        .position(|line| line.contains("> 王"))
        .unwrap();
    assert_eq!(desk.caret(), (3 + 2, u16::try_from(row).unwrap()));
}

#[test]
fn without_colour_there_is_none() {
    let mut desk = Desk::with_bo(vec![said(BO, 1, "see https://example.org `code`")]);
    let colours = |desk: &Desk| {
        let buffer = desk.buffer();
        let cells = buffer.content().iter();
        cells
            .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
            .count()
    };
    assert!(colours(&desk) > 80);
    desk.line("/theme none");
    assert_eq!(desk.app.theme, Theme::Plain);
    desk.key("f1");
    assert_eq!(colours(&desk), 0);
}
