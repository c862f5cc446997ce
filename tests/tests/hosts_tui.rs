//! The terminal app at real terminals, with real keys, between hosts.

#![allow(
    clippy::unwrap_used,
    reason = "tests fail by panicking, and these are not functions marked #[test]"
)]

use hallway_tests::host::{Host, PATIENCE, Plan};
use hallway_tests::lab::Lan;
use hallway_tests::terminal_tests;
use std::fs;

terminal_tests![
    two_people_meet_and_talk_in_two_languages,
    a_restart_of_the_node_loses_nothing_that_was_written,
    a_file_goes_from_terminal_to_terminal,
    the_shell_gets_its_terminal_back,
    asked_to_end_it_gives_the_terminal_back,
    it_stops_and_goes_on_like_other_jobs,
    a_terminal_that_cannot_draw_is_told_so,
    alone_it_starts_and_asks_for_a_name,
];

const USUAL: (u16, u16) = (80, 24);

fn two_people_meet_and_talk_in_two_languages() {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    let at_ann = ann.terminal(&["tui", "--language", "en"], USUAL);
    let at_bo = bo.terminal(&["tui", "--language", "zh"], USUAL);
    at_ann.until_shows("○ Bo");
    at_bo.until_shows("○ Ann");

    at_ann.press(&["C-n"]);
    at_ann.until_shows("No message yet");
    at_ann.type_in("Lunch at noon? 一起吃午饭吗？");
    at_ann.until_shows("> Lunch at noon? 一起吃午饭吗？");
    // The cursor is where the next character goes: an input method opens its window there.
    let before = 20 + 1 + 2 + "Lunch at noon? ".len() + 2 * "一起吃午饭吗？".chars().count();
    at_ann.until("the cursor", |_| {
        (at_ann.value("#{cursor_x}") == before.to_string()).then_some(())
    });
    at_ann.press(&["Enter"]);

    // A stranger's message waits as a request; an answer accepts it.
    at_bo.until_shows("Ann 想和你聊天");
    at_bo.press(&["M-a"]);
    at_bo.until_shows("Lunch at noon?");
    at_bo.type_in("/accept");
    at_bo.press(&["Enter"]);
    at_bo.until("the request is gone", |screen| {
        (!screen.contains("请求")).then_some(())
    });
    at_bo.type_in("好的，十二点");
    at_bo.press(&["Enter"]);
    at_ann.until_shows("好的，十二点");
    at_bo.until_shows("已读");
    at_ann.until_shows("read");

    // Answer it, mark it, change it.
    at_ann.press(&["Up", "r"]);
    at_ann.until_shows("Reply to Bo: 好的，十二点");
    at_ann.type_in("se you there");
    at_ann.press(&["Enter"]);
    at_bo.until_shows("↪ 你: 好的，十二点");
    at_ann.press(&["Up", "e"]);
    at_ann.until_shows("Edit your message");
    at_ann.press(&["C-u"]);
    at_ann.type_in("see you there");
    at_ann.press(&["Enter"]);
    at_bo.until_shows("已编辑");
    at_bo.until_shows("see you there");
    at_bo.press(&["Up", "+", "1"]);
    at_ann.until_shows("👍 Bo");

    // It fits another window, and the smallest.
    at_ann.resize(50, 12);
    at_ann.until("the conversation alone", |screen| {
        let alone = screen.contains("see you there") && !screen.contains('│');
        alone.then_some(())
    });
    at_ann.resize(20, 5);
    at_ann.until("the end of it", |screen| {
        (screen.lines().count() <= 5 && screen.contains("\n>")).then_some(())
    });
}

fn a_restart_of_the_node_loses_nothing_that_was_written() {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.befriend(&bo);
    let at_ann = ann.terminal(&["tui", "--language", "en"], USUAL);
    at_ann.until_shows("● Bo");
    at_ann.press(&["C-n"]);
    at_ann.until_shows("hello back");
    at_ann.type_in("half a sen");
    at_ann.until_shows("> half a sen");
    ann.kill();
    at_ann.until_shows("the node does not answer");
    at_ann.type_in("tence");
    at_ann.press(&["Enter"]);
    at_ann.until_shows("your text stays here");
    at_ann.until_shows("> half a sentence");
    ann.up();
    at_ann.until_shows("hello back");
    at_ann.until("the node is back", |screen| {
        screen.contains("F1 help").then_some(())
    });
    at_ann.press(&["Enter"]);
    bo.until_texts(&ann, &["hello", "half a sentence"]);
}

fn a_file_goes_from_terminal_to_terminal() {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.befriend(&bo);
    let folder = ann.home().join("outgoing");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("年度报告.txt"), "all of it\n".repeat(10_000)).unwrap();
    let at_ann = ann.terminal(&["tui", "--language", "en"], USUAL);
    at_ann.until_shows("● Bo");
    at_ann.press(&["C-n", "C-o"]);
    at_ann.until_shows("Send a file or folder");
    at_ann.type_in("~/outgo");
    at_ann.until_shows("outgoing/");
    at_ann.press(&["Tab"]);
    at_ann.until_shows("年度报告.txt");
    at_ann.press(&["Tab", "Enter"]);
    at_ann.until_shows("◆ 年度报告.txt  100.0 kB");
    let at_bo = bo.terminal(&["tui", "--language", "en"], USUAL);
    at_bo.until_shows("● Ann");
    at_bo.press(&["C-n"]);
    at_bo.until_shows("◆ 年度报告.txt");
    at_bo.until("it is taken or asked for", |screen| {
        let asked = screen.contains("waits for your answer");
        (asked || screen.contains("complete")).then_some(())
    });
    at_bo.press(&["Up", "a"]);
    at_bo.until_shows("complete, in ");
    at_ann.until_shows("complete");
}

fn the_shell_gets_its_terminal_back() {
    let lan = Lan::of(1);
    let ann = Host::start(&lan, 0, "Ann");
    let terminal = ann.terminal(&["tui", "--language", "en"], USUAL);
    terminal.until_shows("Nobody is here yet");
    assert_eq!(terminal.value("#{alternate_on}"), "1");
    terminal.press(&["C-c"]);
    assert_eq!(terminal.until_ended(), "0");
    for mode in ["alternate_on", "mouse_any_flag", "keypad_cursor_flag"] {
        assert_eq!(terminal.value(&format!("#{{{mode}}}")), "0", "{mode}");
    }
    // Where nobody can see it, it says so.
    let said = ann.refused(&["tui"], 1);
    assert!(said.contains("needs a terminal"), "{said}");
}

fn asked_to_end_it_gives_the_terminal_back() {
    let lan = Lan::of(1);
    let ann = Host::start(&lan, 0, "Ann");
    let terminal = ann.terminal(&["tui", "--language", "en"], USUAL);
    terminal.until_shows("Nobody is here yet");
    terminal.terminate();
    assert_eq!(terminal.until_ended(), "0");
    assert_eq!(terminal.value("#{alternate_on}"), "0");
}

fn it_stops_and_goes_on_like_other_jobs() {
    let lan = Lan::of(1);
    let ann = Host::start(&lan, 0, "Ann");
    let terminal = ann.shell(USUAL);
    terminal.until_shows("bash");
    terminal.type_in("$HALLWAY tui --language en");
    terminal.press(&["Enter"]);
    terminal.until_shows("Nobody is here yet");
    terminal.press(&["C-z"]);
    terminal.until_shows("Stopped");
    assert_eq!(terminal.value("#{alternate_on}"), "0");
    terminal.type_in("fg");
    terminal.press(&["Enter"]);
    terminal.until_shows("Nobody is here yet");
    // Keys come as they are pressed, and what is drawn again is whole.
    terminal.type_in("/se");
    terminal.until_shows("> /se");
    terminal.press(&["C-l", "Tab"]);
    terminal.until_shows("> /settings");
    terminal.until_shows("Nobody is here yet");
    terminal.press(&["C-u", "C-c"]);
    terminal.until("the shell", |_| {
        (terminal.value("#{alternate_on}") == "0").then_some(())
    });
}

fn a_terminal_that_cannot_draw_is_told_so() {
    let lan = Lan::of(1);
    let ann = Host::start(&lan, 0, "Ann");
    let terminal = ann.shell(USUAL);
    terminal.until_shows("bash");
    terminal.type_in("TERM=dumb $HALLWAY tui; echo \"exit $?\"");
    terminal.press(&["Enter"]);
    terminal.until_shows("exit 1");
    terminal.until_shows("TERM is");
}

fn alone_it_starts_and_asks_for_a_name() {
    let lan = Lan::of(1);
    let ann = Plan::new("Ann").prepare(&lan, 0);
    let terminal = ann.terminal(&[], USUAL);
    terminal.until_shows("F2");
    let node = Background(&ann);
    terminal.press(&["C-u"]);
    terminal.type_in("小安");
    terminal.until_shows("> 小安");
    terminal.press(&["Enter"]);
    terminal.until("the list of 小安", |screen| {
        screen.starts_with(" 小安").then_some(())
    });
    // What is chosen here is the node's.
    terminal.press(&["F2", "Down", "Down", "Enter"]);
    ann.until("no receipts", PATIENCE, |ann| {
        let status = ann.one(&["status", "--json"]);
        (status["name"] == "小安" && status["read_receipts"] == false).then_some(())
    });
    terminal.press(&["C-c"]);
    terminal.until_shows("`hallway stop` ends it");
    assert_eq!(terminal.until_ended(), "0");
    // It goes on without a terminal.
    ann.one(&["status", "--json"]);
    drop(node);
    ann.refused(&["status"], 3);
}

/// A node that was started in the background.
struct Background<'a>(&'a Host);

impl Drop for Background<'_> {
    fn drop(&mut self) {
        self.0.cli_raw(&["stop"]);
    }
}
