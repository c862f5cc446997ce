//! Screens as they are seen.

use super::{Desk, people};
use crate::Language;
use crate::sample::{BO, ME, WANG, said};
use hallway_model::{
    CallOutcome, CallRecord, Delivery, MessageView, PeerView, QuoteView, ReactionView, WallTime,
};

/// All that can be said about messages.
fn talk() -> Vec<MessageView> {
    let hello = said(
        BO,
        1,
        "Lunch at noon? 一起吃午饭吗？听说楼下新开了一家面馆，味道很好，价格也不贵，要不要去试试看？",
    );
    let mut yes = said(ME, 2, "好的，十二点");
    yes.reply_to = Some(QuoteView {
        id: hello.id.clone(),
        from: Some(BO),
        text: hello.text.clone(),
    });
    yes.reactions = vec![ReactionView {
        emoji: "👍".into(),
        by: BO,
    }];
    yes.state = Delivery::Read;
    let mut edited = said(
        BO,
        3,
        "see https://example.org/menu, and\n```\nlet x = 1;\n```",
    );
    edited.edited = true;
    let mut gone = said(BO, 4, "");
    (gone.text, gone.deleted) = (None, true);
    let mut call = said(BO, 5, "");
    call.text = None;
    call.kind = "call".into();
    call.call = Some(CallRecord {
        outcome: CallOutcome::Missed,
        duration_ms: 0,
    });
    let mut newer = said(BO, 6, "");
    (newer.text, newer.kind) = (None, "unknown".into());
    let mut waits = said(ME, 40, "on my way");
    waits.state = Delivery::Queued;
    let yesterday = MessageView {
        at: WallTime(hello.at.0 - 86_400_000),
        ..said(BO, 0, "早")
    };
    vec![yesterday, hello, yes, edited, gone, call, newer, waits]
}

#[test]
fn a_conversation_in_english() {
    let desk = Desk::with_bo(talk());
    insta::assert_snapshot!(desk.screen(), @"
     Ann                │ Bo ~aeaq · available
    ● Bo                │
    · 王小明 ✓          │
    Nearby              │
    ○ Cy                │
                        │
                        │
                        │──────────────────────── Yesterday ────────────────────────
                        │ 12:01 Bo  早
                        │────────────────────────── Today ──────────────────────────
                        │ 12:01 Bo  Lunch at noon? 一起吃午饭吗？听说楼下新开了一家
                        │           面馆，味道很好，价格也不贵，要不要去试试看？
                        │ 12:02 you ↪ Bo: Lunch at noon? 一起吃午饭吗？听说楼下新开…
                        │           好的，十二点  👍 Bo  read
                        │ 12:03 Bo  see https://example.org/menu, and
                        │           ```
                        │           let x = 1;
                        │           ```  edited
                        │ 12:04     This message was taken back
                        │ 12:05     ☎ Missed call
                        │ 12:06     This needs a newer version of Hallway
                        │ 12:40 you on my way  waits: arrives when Bo is back
                        │>
     F1 help  F2 settings  Ctrl-K find  Alt-A next new  Ctrl-O file  ↑ choose 13:00
    ");
}

#[test]
fn a_conversation_in_chinese() {
    let mut desk = Desk::new(Language::Chinese, (80, 24));
    desk.up(people());
    desk.key("ctrl-n");
    desk.page(BO, talk());
    insta::assert_snapshot!(desk.screen(), @"
     Ann                │ Bo ~aeaq · 空闲
    ● Bo                │
    · 王小明 ✓          │
    附近                │
    ○ Cy                │
                        │
                        │
                        │────────────────────────── 昨天 ───────────────────────────
                        │ 12:01 Bo 早
                        │────────────────────────── 今天 ───────────────────────────
                        │ 12:01 Bo Lunch at noon? 一起吃午饭吗？听说楼下新开了一家面
                        │          馆，味道很好，价格也不贵，要不要去试试看？
                        │ 12:02 你 ↪ Bo: Lunch at noon? 一起吃午饭吗？听说楼下新开…
                        │          好的，十二点  👍 Bo  已读
                        │ 12:03 Bo see https://example.org/menu, and
                        │          ```
                        │          let x = 1;
                        │          ```  已编辑
                        │ 12:04    消息已撤回
                        │ 12:05    ☎ 未接来电
                        │ 12:06    需要更新版本的 Hallway 才能显示
                        │ 12:40 你 on my way  等待中：Bo 回来后送达
                        │>
     F1 帮助  F2 设置  Ctrl-K 查找  Alt-A 下一条新消息  Ctrl-O 文件  ↑ 选择   13:00
    ");
}

#[test]
fn before_anybody_is_chosen() {
    let mut desk = Desk::new(Language::English, (64, 12));
    insta::assert_snapshot!(desk.screen(), @"
                       │
                       │
                       │
                       │ looking for the node…
                       │ `hallway up` starts it
                       │
                       │
                       │
                       │
                       │
                       │>
    looking for the node…                                    00:00
    ");
    desk.up(Vec::new());
    insta::assert_snapshot!(desk.screen(), @"
     Ann                │
    Nobody is here yet  │
    Start Hallway on    │
    another computer of │ Whom do you want to talk to?
    this network and it │ Ctrl-N and Ctrl-P go through the list,
    appears here by     │ Ctrl-K finds somebody, F1 is help.
    itself. /doctor     │
    says why you may    │
    not see somebody.   │
                        │
                        │>
     F1 help  F2 settings  Ctrl-K find  Alt-A next new  Ctrl… 13:00
    ");
}

#[test]
fn a_small_window_shows_the_list_or_the_conversation() {
    let mut desk = Desk::new(Language::English, (20, 5));
    desk.up(people());
    insta::assert_snapshot!(desk.screen(), @"
     Ann
    ● Bo
    · 王小明 ✓
    >
     F1 help  F2… 13:00
    ");
    desk.key("ctrl-n");
    desk.page(BO, talk());
    desk.typed("yes, 马上");
    insta::assert_snapshot!(desk.screen(), @"
     Bo ~aeaq · availab…
     you on my way
         waits: arriv…
    > yes, 马上
     F1 help  F2… 13:00
    ");
    desk.key("esc");
    desk.assert_shows("王小明");
}

#[test]
fn help_and_finding() {
    let mut desk = Desk::with_bo(talk());
    desk.resize(80, 16);
    desk.key("f1");
    insta::assert_snapshot!(desk.screen(), @"
    Help  ↑↓ scroll  Esc leave
    Enter          send; Alt-Enter or Ctrl-J begins a new line
    Ctrl-N Ctrl-P  next, previous conversation (or Alt-↓ Alt-↑)
    Alt-A          next conversation with something new
    Ctrl-K         find people, conversations and messages
    Ctrl-O         send a file or folder
    Ctrl-G         go to a date
    F2             settings
    PgUp PgDn      scroll; Alt-End: to the latest
    ↑              in an empty line: choose a message; its keys are shown below
    F5             answer what rings, or call
    F6 F7 F8       mute, hold, hang up or decline
    F9             while muted, be heard as long as it is held, or until F9 again
    Tab            complete a /command, a name or a path
    Ctrl-L         draw again
    F1 help  F2 settings  Ctrl-K find  Alt-A next new  Ctrl-O file  ↑ choose 13:00
    ");
    desk.key("esc ctrl-k");
    desk.typed("王");
    let hit = MessageView {
        to: WANG,
        ..said(ME, 9, "王总来了吗")
    };
    let number = match desk.done().pop() {
        Some(crate::Effect::Search { number, words }) => {
            assert_eq!(words, "王");
            number
        }
        other => panic!("{other:?}"),
    };
    desk.put(crate::Input::Found {
        number,
        messages: Ok(vec![hit]),
    });
    insta::assert_snapshot!(desk.screen(), @"
     Ann                │ Bo ~aeaq · available
    ● Bo                │────────────────────────── Today ──────────────────────────
    · 王小明 ✓          │ 12:01 Bo  Lunch at noon? 一起吃午饭吗？听说楼下新开了一家
    Nearby              │           面馆，味道很好，价格也不贵，要不要去试试看？
    ○ Cy                │ 12:02 you ↪ Bo: Lunch at noon? 一起吃午饭吗？听说楼下新开…
     Find
     > 王
     王小明 ~aiba  not here
    Messages
     2026-03-01 12:09 → 王小明: 王总来了吗
                        │ 12:04     This message was taken back
                        │ 12:05     ☎ Missed call
                        │ 12:06     This needs a newer version of Hallway
                        │ 12:40 you on my way  waits: arrives when Bo is back
                        │>
     F1 help  F2 settings  Ctrl-K find  Alt-A next new  Ctrl-O file  ↑ choose 13:00
    ");
}

#[test]
fn a_safety_number_is_compared() {
    let mut desk = Desk::with_bo(Vec::new());
    desk.line("/verify");
    let number = hallway_model::VerifyView {
        id: BO,
        safety_number: ["12345"; 12].join(" "),
        verified: false,
    };
    let request = desk.asked_one();
    desk.put(crate::Input::Done {
        request: Box::new(request),
        reply: Ok(crate::Reply::Safety(number)),
    });
    insta::assert_snapshot!(desk.screen(), @"
     Ann                │ Bo ~aeaq · available
    ● Bo                │ No message yet. Say hello!
     Safety number with Bo

       12345 12345 12345 12345
       12345 12345 12345 12345                        █▀▀▀▀▀█ ▀ ▄██▀▀▀▀ █▀▀▀▀▀█
       12345 12345 12345 12345                        █ ███ █ ▀ █ ▀▀▄█▀ █ ███ █
                                                      █ ▀▀▀ █ ▄▄ █   ▄▀ █ ▀▀▀ █
     Read these digits aloud with Bo, in person       ▀▀▀▀▀▀▀ ▀▄█ █ █▄█ ▀▀▀▀▀▀▀
     or by phone. If both of you see the same,        ▀▄█   ▀▀▄ █ ▀██ █▄▄▀ ▄█ ▀
     nobody is in between.                            ▄ ▄▄▀▀▀██▄███▄  ▀▀▄  ████
     y: they are the same   Esc: leave                  ▀  ▄▀▀  ▄▀▀█▄█▄▀▄██▀▄▄█
                                                      ▀▀▄ ▄█▀▀▄ █▀▀▀ █ ▀▀▄█▀▄█▄
                                                      ▀▀▀▀▀ ▀▀▄▄ ▀█ █▄█▀▀▀█▀▀ ▀
                                                      █▀▀▀▀▀█ ▀█▄██▄█▄█ ▀ █▀▀██
                                                      █ ███ █  ▀ ▀▄▄▀▀▀▀▀▀█▄▀
                                                      █ ▀▀▀ █ ▀█▀▀▀ ▀ ██▀▄  ██▀
                                                      ▀▀▀▀▀▀▀ ▀ ▀▀▀▀▀ ▀ ▀▀▀ ▀▀▀


                        │
                        │
                        │>
     F1 help  F2 settings  Ctrl-K find  Alt-A next new  Ctrl-O file  ↑ choose 13:00
    ");
    desk.key("y");
    let request = desk.asked_one();
    let crate::Request::Verify(BO, number) = &request else {
        panic!("{request:?}");
    };
    let verified = hallway_model::VerifyView {
        id: BO,
        safety_number: number.clone(),
        verified: true,
    };
    desk.put(crate::Input::Done {
        request: Box::new(request),
        reply: Ok(crate::Reply::Safety(verified)),
    });
    desk.assert_shows("Bo is verified");
    desk.assert_shows("✓ verified");
}

#[test]
fn a_request_waits_for_an_answer() {
    let mut desk = Desk::sitting();
    let cy = PeerView {
        request: true,
        unread: 1,
        ..people().remove(2)
    };
    desk.up(vec![people().remove(0), cy]);
    desk.key("alt-a");
    desk.page(
        crate::sample::CY,
        vec![said(crate::sample::CY, 1, "hi, I am new here")],
    );
    insta::assert_snapshot!(desk.screen(), @"
     Ann                │ Cy ~ambq · nearby
    Requests            │ Cy would like to write with you
    ○ Cy              1 │ /accept, /decline or /block. Until you accept they hear
    People              │ nothing from you.
    ● Bo                │
                        │
                        │
                        │
                        │
                        │
                        │
                        │
                        │
                        │
                        │
                        │
                        │
                        │
                        │
                        │────────────────────────── Today ──────────────────────────
                        │─────────────────────────── new ───────────────────────────
                        │ 12:01 Cy  hi, I am new here
                        │>
     F1 help  F2 settings  Ctrl-K find  Alt-A next new  Ctrl-O file  ↑… 1 new 13:00
    ");
}
