//! Every word of the app in each of its languages. A function where a word depends on something.

use crate::format::{bytes, talked};
use hallway_model::{
    CallOutcome, CallQuality, CallRecord, CallView, FileView, Outcome, Presence, Status,
    TransferState,
};
use jiff::civil::{Date, Weekday};
use std::{env, fmt};

/// A language of the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// The language that the environment asks for: the first of `LC_ALL`, `LC_MESSAGES` and `LANG`
    /// that says something.
    pub fn of_environment() -> Self {
        let names = ["LC_ALL", "LC_MESSAGES", "LANG"];
        let said = names.iter().filter_map(|name| env::var(name).ok());
        Self::of_locale(
            &said
                .into_iter()
                .find(|value| !value.is_empty())
                .unwrap_or_default(),
        )
    }

    fn of_locale(locale: &str) -> Self {
        match locale.to_lowercase().starts_with("zh") {
            true => Self::Chinese,
            false => Self::English,
        }
    }

    pub(crate) fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Chinese => &CHINESE,
        }
    }
}

type Say = fn(&str) -> String;

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words")
    }
}

/// All that is said in one language.
pub(crate) struct Words {
    pub(crate) today: &'static str,
    pub(crate) yesterday: &'static str,
    pub(crate) date: fn(Date) -> String,
    pub(crate) requests: &'static str,
    pub(crate) people: &'static str,
    pub(crate) nearby: &'static str,
    pub(crate) nobody: &'static str,
    pub(crate) nobody_hint: &'static str,
    pub(crate) choose: &'static str,
    pub(crate) choose_hint: &'static str,
    pub(crate) presence: fn(Presence) -> &'static str,
    pub(crate) status: fn(Status) -> &'static str,
    pub(crate) verified: &'static str,
    pub(crate) blocked: &'static str,
    pub(crate) typing: Say,
    pub(crate) you: &'static str,
    pub(crate) edited: &'static str,
    pub(crate) deleted: &'static str,
    pub(crate) newer: &'static str,
    pub(crate) not_here: &'static str,
    pub(crate) queued: Say,
    pub(crate) sent: &'static str,
    pub(crate) delivered: &'static str,
    pub(crate) read: &'static str,
    pub(crate) sending: &'static str,
    pub(crate) new_messages: &'static str,
    pub(crate) empty: &'static str,
    pub(crate) loading: &'static str,
    pub(crate) below: &'static str,
    pub(crate) request: Say,
    pub(crate) request_hint: &'static str,
    pub(crate) impostor: Say,
    pub(crate) impostor_hint: &'static str,
    pub(crate) replying: Say,
    pub(crate) editing: &'static str,
    pub(crate) call_record: fn(&CallRecord, bool) -> String,
    pub(crate) calling: Say,
    pub(crate) ringing: Say,
    pub(crate) incoming: Say,
    pub(crate) incoming_keys: &'static str,
    pub(crate) outgoing_keys: &'static str,
    pub(crate) call_keys: &'static str,
    pub(crate) call_remarks: fn(&CallView) -> Vec<&'static str>,
    pub(crate) quality: fn(CallQuality) -> &'static str,
    pub(crate) file: fn(&FileView) -> String,
    pub(crate) left_out: fn(u32) -> String,
    pub(crate) transfer: fn(TransferState, incoming: bool) -> &'static str,
    pub(crate) left: Say,
    pub(crate) file_keys: fn(TransferState, incoming: bool) -> &'static str,
    pub(crate) message_keys: &'static str,
    pub(crate) message_keys_own: &'static str,
    pub(crate) keys: &'static str,
    pub(crate) connecting: &'static str,
    pub(crate) down: &'static str,
    pub(crate) down_hint: &'static str,
    pub(crate) unread: fn(u64) -> String,
    pub(crate) find: &'static str,
    pub(crate) find_hint: &'static str,
    pub(crate) found_messages: &'static str,
    pub(crate) nothing_found: &'static str,
    pub(crate) send_file: &'static str,
    pub(crate) send_file_hint: &'static str,
    pub(crate) no_such_folder: &'static str,
    pub(crate) folder_sure: Say,
    pub(crate) react: &'static str,
    pub(crate) react_hint: &'static str,
    pub(crate) safety: Say,
    pub(crate) safety_hint: Say,
    pub(crate) safety_keys: &'static str,
    pub(crate) is_verified: Say,
    pub(crate) yes_no: &'static str,
    pub(crate) quit_sure: &'static str,
    pub(crate) delete_sure: &'static str,
    pub(crate) block_sure: Say,
    pub(crate) forget_sure: Say,
    pub(crate) help: &'static str,
    pub(crate) help_keys: &'static [(&'static str, &'static str)],
    pub(crate) commands: &'static str,
    pub(crate) command_help: fn(&str) -> &'static str,
    pub(crate) devices: &'static str,
    pub(crate) devices_hint: &'static str,
    pub(crate) default_device: &'static str,
    pub(crate) microphone: &'static str,
    pub(crate) speaker: &'static str,
    pub(crate) doctor: &'static str,
    pub(crate) outcome: fn(Outcome) -> &'static str,
    pub(crate) looking: &'static str,
    pub(crate) failed: Say,
    pub(crate) not_sent: Say,
    pub(crate) too_long: &'static str,
    pub(crate) no_such_command: Say,
    pub(crate) nobody_chosen: &'static str,
    pub(crate) nobody_called: Say,
    pub(crate) no_message: &'static str,
    pub(crate) not_own: &'static str,
    pub(crate) no_file: &'static str,
    pub(crate) no_call: &'static str,
    pub(crate) needs: Say,
    pub(crate) wait_for_node: &'static str,
    pub(crate) all_read: &'static str,
    pub(crate) copied: &'static str,
    pub(crate) connected: Say,
    pub(crate) offered: Say,
    pub(crate) saved_as: Say,
    pub(crate) wrote: Say,
    pub(crate) done: &'static str,
}

static ENGLISH: Words = Words {
    today: "Today",
    yesterday: "Yesterday",
    date: |date| date.strftime("%A, %-d %B %Y").to_string(),
    requests: "Requests",
    people: "People",
    nearby: "Nearby",
    nobody: "Nobody is here yet",
    nobody_hint: "Start Hallway on another computer of this network and it appears here by itself. \
                  /doctor says why you may not see somebody.",
    choose: "Whom do you want to talk to?",
    choose_hint: "Ctrl-N and Ctrl-P go through the list, Ctrl-K finds somebody, F1 is help.",
    presence: |presence| match presence {
        Presence::Live => "here",
        Presence::Nearby => "nearby",
        Presence::Offline => "not here",
    },
    status: |status| match status {
        Status::Available => "available",
        Status::Away => "away",
        Status::Busy => "busy",
    },
    verified: "verified",
    blocked: "blocked",
    typing: |name| format!("{name} is typing…"),
    you: "you",
    edited: "edited",
    deleted: "This message was taken back",
    newer: "This needs a newer version of Hallway",
    not_here: "a message that is not here",
    queued: |name| format!("waits: arrives when {name} is back"),
    sent: "sent",
    delivered: "delivered",
    read: "read",
    sending: "being sent…",
    new_messages: "new",
    empty: "No message yet. Say hello!",
    loading: "loading…",
    below: "more below: Alt-End",
    request: |name| format!("{name} would like to write with you"),
    request_hint: "/accept, /decline or /block. Until you accept they hear nothing from you.",
    impostor: |name| format!("Careful: somebody with another key also calls themselves {name}"),
    impostor_hint: "/verify compares the safety number; /keep-name: this one is the right one.",
    replying: |name| format!("Reply to {name}"),
    editing: "Edit your message",
    call_record,
    calling: |name| format!("Calling {name}…"),
    ringing: |name| format!("It rings at {name}'s"),
    incoming: |name| format!("{name} is calling"),
    incoming_keys: "F5 answer  F8 decline",
    outgoing_keys: "F8 give up",
    call_keys: "F6 mute  F7 hold  F8 hang up",
    call_remarks: |call| {
        remarks(
            call,
            &[
                "on hold",
                "held by them",
                "muted",
                "muted by them",
                "you have no microphone",
                "you have no speaker",
                "they have no microphone",
                "they have no speaker",
                "no sound of theirs comes in",
            ],
        )
    },
    quality: |quality| match quality {
        CallQuality::Good => "good",
        CallQuality::Fair => "fair",
        CallQuality::Poor => "poor",
        CallQuality::Bad => "bad",
    },
    file: |file| match (file.folder, file.files) {
        (false, _) => bytes(file.bytes),
        (true, 1) => format!("1 file, {}", bytes(file.bytes)),
        (true, files) => format!("{files} files, {}", bytes(file.bytes)),
    },
    left_out: |number| format!("{number} left out"),
    transfer: |state, incoming| match state {
        TransferState::Offered if incoming => "waits for your answer",
        TransferState::Offered => "waits for their answer",
        TransferState::Running => "on its way",
        TransferState::WaitingForTurn => "waits for its turn",
        TransferState::WaitingForPeer => "waits until they are back",
        TransferState::WaitingForRoom if incoming => "waits: your disk is full",
        TransferState::WaitingForRoom => "waits: their disk is full",
        TransferState::PausedByUs => "paused",
        TransferState::PausedByThem => "paused by them",
        TransferState::Done => "complete",
        TransferState::Declined if incoming => "declined",
        TransferState::Declined => "declined by them",
        TransferState::CancelledByUs => "cancelled",
        TransferState::CancelledByThem => "cancelled by them",
        TransferState::Failed => "failed",
    },
    left: |time| format!("{time} left"),
    file_keys: |state, incoming| match state {
        TransferState::Offered if incoming => "a accept  x decline",
        TransferState::Running => "p pause  x cancel",
        TransferState::PausedByUs => "p resume  x cancel",
        TransferState::Offered
        | TransferState::WaitingForTurn
        | TransferState::WaitingForPeer
        | TransferState::WaitingForRoom
        | TransferState::PausedByThem => "x cancel",
        TransferState::Done
        | TransferState::Declined
        | TransferState::CancelledByUs
        | TransferState::CancelledByThem
        | TransferState::Failed => "",
    },
    message_keys: "r reply  + react  y copy  Esc back",
    message_keys_own: "r reply  e edit  d delete  + react  y copy  Esc back",
    keys: "F1 help  Ctrl-K find  Alt-A next new  Ctrl-O file  ↑ choose a message",
    connecting: "looking for the node…",
    down: "the node does not answer; trying again, nothing you wrote is lost",
    down_hint: "`hallway up` starts it",
    unread: |count| format!("{count} new"),
    find: "Find",
    find_hint: "a name, or words of a message",
    found_messages: "Messages",
    nothing_found: "nothing found",
    send_file: "Send a file or folder",
    send_file_hint: "Tab completes, Enter sends, Esc leaves",
    no_such_folder: "there is no such folder",
    folder_sure: |path| format!("Send the whole folder {path}?"),
    react: "React",
    react_hint: "a number, or any emoji and Enter; again takes it off",
    safety: |name| format!("Safety number with {name}"),
    safety_hint: |name| {
        format!(
            "Read these digits aloud with {name}, in person or by phone. If both of you see the \
             same, nobody is in between."
        )
    },
    safety_keys: "y: they are the same   Esc: leave",
    is_verified: |name| format!("{name} is verified"),
    yes_no: "y yes   n no",
    quit_sure: "What you wrote and did not send would be lost. Leave?",
    delete_sure: "Take this message back for both of you?",
    block_sure: |name| format!("Block {name}? Nothing from or to them passes any more."),
    forget_sure: |name| {
        format!("Forget {name}? All messages with them are removed from this computer for good.")
    },
    help: "Help",
    help_keys: &[
        ("Enter", "send; Alt-Enter or Ctrl-J begins a new line"),
        (
            "Ctrl-N Ctrl-P",
            "next, previous conversation (or Alt-↓ Alt-↑)",
        ),
        ("Alt-A", "next conversation with something new"),
        ("Ctrl-K", "find people, conversations and messages"),
        ("Ctrl-O", "send a file or folder"),
        ("PgUp PgDn", "scroll; Alt-End: to the latest"),
        (
            "↑",
            "in an empty line: choose a message, then r e d + y a p x",
        ),
        ("F5", "answer what rings, or call"),
        ("F6 F7 F8", "mute, hold, hang up or decline"),
        ("Tab", "complete a /command, a name or a path"),
        ("Ctrl-L", "draw again"),
        ("Ctrl-Z", "to the shell; fg comes back"),
        ("Ctrl-C", "leave; the node goes on"),
    ],
    commands: "Commands",
    command_help: |name| match name {
        "to" => "NAME: talk to somebody",
        "find" => "[WORDS]: find people and messages",
        "file" => "[PATH]: send a file or folder",
        "reply" => "TEXT: answer the chosen or their last message",
        "edit" => "change the chosen or your last message",
        "delete" => "take back the chosen or your last message",
        "react" => "[EMOJI]: on the chosen or their last message",
        "take" => "[FOLDER]: accept the chosen or last file",
        "refuse" => "decline the chosen or last file",
        "pause" => "hold the chosen or last file",
        "resume" => "go on with it",
        "cancel" => "give it up",
        "call" => "ring",
        "answer" => "answer what rings",
        "mute" => "let nothing of your microphone through, or again",
        "hold" => "hold the call, or go on",
        "hangup" => "hang up, give up or decline",
        "accept" => "take a stranger as a contact",
        "decline" => "remove a stranger and what they wrote",
        "verify" => "[NUMBER]: compare the safety number",
        "keep-name" => "keep this contact although another uses the name",
        "block" => "let nothing from or to them pass",
        "unblock" => "undo a block",
        "forget" => "remove somebody and everything you wrote",
        "name" => "NEW: your own name",
        "status" => "available, away or busy",
        "connect" => "HOST[:PORT]: connect to an address",
        "devices" => "microphones and speakers, and which calls use",
        "microphone" => "NAME: use it for calls; a part of the name will do",
        "speaker" => "NAME: the same for the speaker",
        "doctor" => "why can't I see somebody?",
        "theme" => "dark, light or none",
        "language" => "en or zh",
        "help" => "this",
        "quit" => "leave; the node goes on",
        _ => "",
    },
    devices: "Sound",
    devices_hint: "/microphone NAME and /speaker NAME choose another, or default",
    default_device: "what the system uses, also when that changes",
    microphone: "microphone",
    speaker: "speaker",
    doctor: "The network",
    outcome: |outcome| match outcome {
        Outcome::Ok => "ok",
        Outcome::Warn => "note",
        Outcome::Fail => "FAIL",
    },
    looking: "looking at this computer and its network…",
    failed: |why| format!("That did not work: {why}"),
    not_sent: |why| format!("Not sent: {why}"),
    too_long: "a message holds 32 KiB; send more as a file (Ctrl-O)",
    no_such_command: |name| format!("there is no /{name}; F1 lists all, // begins a text with /"),
    nobody_chosen: "choose somebody first (Ctrl-K)",
    nobody_called: |name| format!("nobody is called {name}"),
    no_message: "there is no such message",
    not_own: "only your own messages can be changed",
    no_file: "there is no file for that",
    no_call: "there is no call",
    needs: |what| format!("it goes like this: {what}"),
    wait_for_node: "the node does not answer; your text stays here",
    all_read: "nothing new",
    copied: "copied",
    connected: |name| format!("connected to {name}"),
    offered: |name| format!("offered {name}"),
    saved_as: |path| format!("in {path}"),
    wrote: |name| format!("{name} wrote"),
    done: "done",
};

static CHINESE: Words = Words {
    today: "今天",
    yesterday: "昨天",
    date: |date| {
        let weekday = match date.weekday() {
            Weekday::Monday => "一",
            Weekday::Tuesday => "二",
            Weekday::Wednesday => "三",
            Weekday::Thursday => "四",
            Weekday::Friday => "五",
            Weekday::Saturday => "六",
            Weekday::Sunday => "日",
        };
        format!("{} 星期{weekday}", date.strftime("%Y年%-m月%-d日"))
    },
    requests: "请求",
    people: "联系人",
    nearby: "附近",
    nobody: "还没有人",
    nobody_hint: "在本网络的另一台电脑上启动 Hallway，它会自动出现在这里。看不到对方时，试试 /doctor。",
    choose: "想和谁聊天？",
    choose_hint: "Ctrl-N、Ctrl-P 切换会话，Ctrl-K 查找，F1 帮助。",
    presence: |presence| match presence {
        Presence::Live => "在线",
        Presence::Nearby => "在附近",
        Presence::Offline => "不在",
    },
    status: |status| match status {
        Status::Available => "空闲",
        Status::Away => "离开",
        Status::Busy => "忙碌",
    },
    verified: "已验证",
    blocked: "已屏蔽",
    typing: |name| format!("{name} 正在输入…"),
    you: "你",
    edited: "已编辑",
    deleted: "消息已撤回",
    newer: "需要更新版本的 Hallway 才能显示",
    not_here: "消息不在此处",
    queued: |name| format!("等待中：{name} 回来后送达"),
    sent: "已发出",
    delivered: "已送达",
    read: "已读",
    sending: "正在发送…",
    new_messages: "新消息",
    empty: "还没有消息，打个招呼吧！",
    loading: "加载中…",
    below: "下面还有：Alt-End",
    request: |name| format!("{name} 想和你聊天"),
    request_hint: "/accept 接受，/decline 拒绝，/block 屏蔽。接受之前，对方不会收到你的任何信息。",
    impostor: |name| format!("注意：另一位密钥不同的人也自称 {name}"),
    impostor_hint: "/verify 核对安全码；/keep-name：这位是对的。",
    replying: |name| format!("回复 {name}"),
    editing: "编辑消息",
    call_record: |call, own| match (call.outcome, own) {
        (CallOutcome::Answered, _) => format!("语音通话 {}", talked(call.duration_ms)),
        (CallOutcome::Interrupted, _) => format!("中断的通话 {}", talked(call.duration_ms)),
        (CallOutcome::Missed | CallOutcome::Busy | CallOutcome::Cancelled, false) => {
            "未接来电".into()
        }
        (CallOutcome::Missed, true) => "通话无人接听".into(),
        (CallOutcome::Busy, true) => "通话：对方忙".into(),
        (CallOutcome::Cancelled, true) => "已取消的通话".into(),
        (CallOutcome::Declined, _) => "已拒绝的通话".into(),
        (CallOutcome::Failed, _) => "未能接通的通话".into(),
    },
    calling: |name| format!("正在呼叫 {name}…"),
    ringing: |name| format!("{name} 正在响铃"),
    incoming: |name| format!("{name} 来电"),
    incoming_keys: "F5 接听  F8 拒绝",
    outgoing_keys: "F8 取消",
    call_keys: "F6 静音  F7 保持  F8 挂断",
    call_remarks: |call| {
        remarks(
            call,
            &[
                "已保持",
                "对方已保持",
                "已静音",
                "对方已静音",
                "你没有麦克风",
                "你没有扬声器",
                "对方没有麦克风",
                "对方没有扬声器",
                "收不到对方的声音",
            ],
        )
    },
    quality: |quality| match quality {
        CallQuality::Good => "良好",
        CallQuality::Fair => "一般",
        CallQuality::Poor => "较差",
        CallQuality::Bad => "很差",
    },
    file: |file| match file.folder {
        false => bytes(file.bytes),
        true => format!("{} 个文件，{}", file.files, bytes(file.bytes)),
    },
    left_out: |number| format!("{number} 项未包含"),
    transfer: |state, incoming| match state {
        TransferState::Offered if incoming => "等待你接收",
        TransferState::Offered => "等待对方接收",
        TransferState::Running => "传输中",
        TransferState::WaitingForTurn => "排队中",
        TransferState::WaitingForPeer => "等待对方回来",
        TransferState::WaitingForRoom if incoming => "等待：磁盘已满",
        TransferState::WaitingForRoom => "等待：对方磁盘已满",
        TransferState::PausedByUs => "已暂停",
        TransferState::PausedByThem => "对方已暂停",
        TransferState::Done => "完成",
        TransferState::Declined if incoming => "已拒绝",
        TransferState::Declined => "对方已拒绝",
        TransferState::CancelledByUs => "已取消",
        TransferState::CancelledByThem => "对方已取消",
        TransferState::Failed => "失败",
    },
    left: |time| format!("剩余 {time}"),
    file_keys: |state, incoming| match state {
        TransferState::Offered if incoming => "a 接收  x 拒绝",
        TransferState::Running => "p 暂停  x 取消",
        TransferState::PausedByUs => "p 继续  x 取消",
        TransferState::Offered
        | TransferState::WaitingForTurn
        | TransferState::WaitingForPeer
        | TransferState::WaitingForRoom
        | TransferState::PausedByThem => "x 取消",
        TransferState::Done
        | TransferState::Declined
        | TransferState::CancelledByUs
        | TransferState::CancelledByThem
        | TransferState::Failed => "",
    },
    message_keys: "r 回复  + 表情  y 复制  Esc 返回",
    message_keys_own: "r 回复  e 编辑  d 撤回  + 表情  y 复制  Esc 返回",
    keys: "F1 帮助  Ctrl-K 查找  Alt-A 下一条新消息  Ctrl-O 文件  ↑ 选择消息",
    connecting: "正在寻找节点…",
    down: "节点没有响应，正在重试；你写的内容不会丢失",
    down_hint: "用 `hallway up` 启动",
    unread: |count| format!("{count} 条新消息"),
    find: "查找",
    find_hint: "名字，或消息中的词",
    found_messages: "消息",
    nothing_found: "没有结果",
    send_file: "发送文件或文件夹",
    send_file_hint: "Tab 补全，Enter 发送，Esc 返回",
    no_such_folder: "没有这个文件夹",
    folder_sure: |path| format!("发送整个文件夹 {path}？"),
    react: "表情",
    react_hint: "按数字，或输入任意表情后按 Enter；再选一次则取消",
    safety: |name| format!("与 {name} 的安全码"),
    safety_hint: |name| format!("当面或通过电话与 {name} 逐位核对。双方一致，说明中间没有旁人。"),
    safety_keys: "y：完全一致   Esc：返回",
    is_verified: |name| format!("{name} 已验证"),
    yes_no: "y 是   n 否",
    quit_sure: "写好但未发送的内容将会丢失。要退出吗？",
    delete_sure: "为双方撤回这条消息？",
    block_sure: |name| format!("屏蔽 {name}？双方将无法再互发任何内容。"),
    forget_sure: |name| format!("删除 {name}？与其往来的所有消息将从本机永久删除。"),
    help: "帮助",
    help_keys: &[
        ("Enter", "发送；Alt-Enter 或 Ctrl-J 换行"),
        ("Ctrl-N Ctrl-P", "下一个、上一个会话（或 Alt-↓ Alt-↑）"),
        ("Alt-A", "下一个有新消息的会话"),
        ("Ctrl-K", "查找联系人、会话和消息"),
        ("Ctrl-O", "发送文件或文件夹"),
        ("PgUp PgDn", "滚动；Alt-End 回到最新"),
        ("↑", "输入行为空时选择消息，然后按 r e d + y a p x"),
        ("F5", "接听来电，或呼叫"),
        ("F6 F7 F8", "静音，保持，挂断或拒绝"),
        ("Tab", "补全 /命令、名字或路径"),
        ("Ctrl-L", "重画屏幕"),
        ("Ctrl-Z", "回到 shell；fg 返回"),
        ("Ctrl-C", "退出；节点继续运行"),
    ],
    commands: "命令",
    command_help: |name| match name {
        "to" => "NAME：和某人聊天",
        "find" => "[WORDS]：查找联系人和消息",
        "file" => "[PATH]：发送文件或文件夹",
        "reply" => "TEXT：回复所选或对方最后一条消息",
        "edit" => "编辑所选或自己最后一条消息",
        "delete" => "撤回所选或自己最后一条消息",
        "react" => "[EMOJI]：对所选或对方最后一条消息",
        "take" => "[FOLDER]：接收所选或最后一个文件",
        "refuse" => "拒绝所选或最后一个文件",
        "pause" => "暂停所选或最后一个文件",
        "resume" => "继续传输",
        "cancel" => "放弃传输",
        "call" => "呼叫",
        "answer" => "接听来电",
        "mute" => "静音或取消静音",
        "hold" => "保持或恢复通话",
        "hangup" => "挂断、取消或拒绝",
        "accept" => "接受陌生人为联系人",
        "decline" => "删除陌生人及其消息",
        "verify" => "[NUMBER]：核对安全码",
        "keep-name" => "另有他人使用此名字，仍保留这位联系人",
        "block" => "屏蔽此人",
        "unblock" => "取消屏蔽",
        "forget" => "删除此人及全部消息",
        "name" => "NEW：修改自己的名字",
        "status" => "available（空闲）、away（离开）或 busy（忙碌）",
        "connect" => "HOST[:PORT]：按地址连接",
        "devices" => "话筒和扬声器，以及通话所用的",
        "microphone" => "NAME：通话使用此话筒，名称的一部分即可",
        "speaker" => "NAME：通话使用此扬声器",
        "doctor" => "为什么看不到对方？",
        "theme" => "dark（深色）、light（浅色）或 none（无色）",
        "language" => "en 或 zh",
        "help" => "本帮助",
        "quit" => "退出；节点继续运行",
        _ => "",
    },
    devices: "声音设备",
    devices_hint: "用 /microphone NAME 和 /speaker NAME 选择，或填 default",
    default_device: "跟随系统当前所用的设备",
    microphone: "话筒",
    speaker: "扬声器",
    doctor: "网络检查",
    outcome: |outcome| match outcome {
        Outcome::Ok => "正常",
        Outcome::Warn => "注意",
        Outcome::Fail => "失败",
    },
    looking: "正在检查本机和网络…",
    failed: |why| format!("操作失败：{why}"),
    not_sent: |why| format!("未发送：{why}"),
    too_long: "一条消息最多 32 KiB；更长的内容请作为文件发送（Ctrl-O）",
    no_such_command: |name| format!("没有 /{name} 命令；F1 列出全部，以 // 开头可发送带 / 的文字"),
    nobody_chosen: "请先选择聊天对象（Ctrl-K）",
    nobody_called: |name| format!("没有叫 {name} 的人"),
    no_message: "没有这样的消息",
    not_own: "只能修改自己的消息",
    no_file: "没有可操作的文件",
    no_call: "没有通话",
    needs: |what| format!("用法：{what}"),
    wait_for_node: "节点没有响应；你写的内容保留在此",
    all_read: "没有新消息",
    copied: "已复制",
    connected: |name| format!("已连接 {name}"),
    offered: |name| format!("已提供 {name}"),
    saved_as: |path| format!("位于 {path}"),
    wrote: |name| format!("{name} 发来消息"),
    done: "完成",
};

/// A call in the log. The other side's is told from where the reader sits.
pub fn call_record(call: &CallRecord, own: bool) -> String {
    match (call.outcome, own) {
        (CallOutcome::Answered, _) => format!("Call, {}", talked(call.duration_ms)),
        (CallOutcome::Interrupted, _) => {
            format!("Call, cut off after {}", talked(call.duration_ms))
        }
        (CallOutcome::Missed | CallOutcome::Busy | CallOutcome::Cancelled, false) => {
            "Missed call".into()
        }
        (CallOutcome::Missed, true) => "Call, not answered".into(),
        (CallOutcome::Busy, true) => "Call, they were busy".into(),
        (CallOutcome::Cancelled, true) => "Call, given up".into(),
        (CallOutcome::Declined, _) => "Call, declined".into(),
        (CallOutcome::Failed, _) => "Call, failed".into(),
    }
}

/// Those of nine remarks that hold.
fn remarks(call: &CallView, all: &[&'static str; 9]) -> Vec<&'static str> {
    let hold = [
        call.held,
        call.held_by_them,
        call.muted,
        call.muted_by_them,
        !call.can_speak,
        !call.can_hear,
        !call.they_can_speak,
        !call.they_can_hear,
        !call.connected && !call.held && !call.held_by_them,
    ];
    let said = all.iter().zip(hold).filter(|(_, holds)| *holds);
    said.map(|(remark, _)| *remark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_that_of_the_environment() {
        let of = Language::of_locale;
        assert_eq!(of("zh_CN.UTF-8"), Language::Chinese);
        assert_eq!(of("zh-Hans"), Language::Chinese);
        for other in ["en_GB.UTF-8", "C", "", "de_DE"] {
            assert_eq!(of(other), Language::English);
        }
    }

    #[test]
    fn every_command_is_explained_in_each_language() {
        for language in [Language::English, Language::Chinese] {
            for command in crate::commands::NAMES {
                let help = (language.words().command_help)(command);
                assert!(!help.is_empty(), "{command} in {language:?}");
            }
        }
    }

    #[test]
    fn dates_are_written_as_each_language_does() {
        let date = jiff::civil::date(2026, 3, 1);
        assert_eq!((ENGLISH.date)(date), "Sunday, 1 March 2026");
        assert_eq!((CHINESE.date)(date), "2026年3月1日 星期日");
    }
}
