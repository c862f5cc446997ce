//! What notifications say, in the language of the desktop.

use hallway_tui::Language;

pub(crate) struct DesktopWords {
    pub(crate) open: &'static str,
    pub(crate) reply: &'static str,
    /// What a stranger's first message is announced with.
    pub(crate) request: &'static str,
    pub(crate) file: fn(&str) -> String,
}

pub(crate) fn desktop() -> DesktopWords {
    match Language::of_environment() {
        Language::English => DesktopWords {
            open: "Open",
            reply: "Reply",
            request: "would like to write with you",
            file: |name| format!("sends {name}"),
        },
        Language::Chinese => DesktopWords {
            open: "打开",
            reply: "回复",
            request: "想和你聊天",
            file: |name| format!("发来 {name}"),
        },
    }
}
