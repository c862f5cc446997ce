//! What notifications and the tray say, in the language of the desktop.

use hallway_tui::Language;

pub(crate) struct DesktopWords {
    pub(crate) open: &'static str,
    pub(crate) reply: &'static str,
    /// What a stranger's first message is announced with.
    pub(crate) request: &'static str,
    pub(crate) file: fn(&str) -> String,
    /// Who calls.
    pub(crate) calls: fn(&str) -> String,
    pub(crate) answer: &'static str,
    pub(crate) decline: &'static str,
    pub(crate) missed: &'static str,
    pub(crate) open_hallway: &'static str,
    /// A talk and how much of it is unread.
    pub(crate) talk: fn(&str, u64) -> String,
    pub(crate) do_not_disturb: &'static str,
    pub(crate) quit: &'static str,
    pub(crate) unread: fn(u64) -> String,
    pub(crate) not_started: &'static str,
    pub(crate) not_opened: &'static str,
    pub(crate) no_browser: &'static str,
}

pub(crate) fn desktop() -> DesktopWords {
    match Language::of_environment() {
        Language::English => DesktopWords {
            open: "Open",
            reply: "Reply",
            request: "would like to write with you",
            file: |name| format!("sends {name}"),
            calls: |name| format!("{name} is calling"),
            answer: "Answer",
            decline: "Decline",
            missed: "Missed call",
            open_hallway: "Open Hallway",
            talk: |name, unread| format!("{name} ({unread})"),
            do_not_disturb: "Do not disturb",
            quit: "Quit: nobody reaches you until you start it again",
            unread: |count| match count {
                0 => "Nothing new".into(),
                1 => "1 new message".into(),
                _ => format!("{count} new messages"),
            },
            not_started: "Hallway did not start",
            not_opened: "Hallway cannot be opened",
            no_browser: "No browser starts here. Install one, such as Chromium or Firefox, or \
                         type `hallway tui` in a terminal",
        },
        Language::Chinese => DesktopWords {
            open: "打开",
            reply: "回复",
            request: "想和你聊天",
            file: |name| format!("发来 {name}"),
            calls: |name| format!("{name} 来电"),
            answer: "接听",
            decline: "拒绝",
            missed: "未接来电",
            open_hallway: "打开 Hallway",
            talk: |name, unread| format!("{name}（{unread}）"),
            do_not_disturb: "请勿打扰",
            quit: "退出：再次启动之前，别人联系不到你",
            unread: |count| match count {
                0 => "没有新消息".into(),
                _ => format!("{count} 条新消息"),
            },
            not_started: "Hallway 未能启动",
            not_opened: "无法打开 Hallway",
            no_browser: "这里没有可启动的浏览器。请安装 Chromium 或 Firefox 等浏览器，或在终端中运行 \
                         `hallway tui`",
        },
    }
}
