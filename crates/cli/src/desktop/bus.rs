//! The session bus, and whether there is one.

use dbus::channel::Channel;
use std::io;
use std::path::Path;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Without an address libdbus would start a bus of its own.
pub(super) fn is_there() -> bool {
    let told = std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some();
    let folder = std::env::var_os("XDG_RUNTIME_DIR");
    told || folder.is_some_and(|folder| Path::new(&folder).join("bus").exists())
}

/// Waits until something can be read, or written if something waits for that.
pub(super) async fn ready(bus: &Channel) -> io::Result<()> {
    let interest = match bus.has_messages_to_send() {
        true => Interest::READABLE | Interest::WRITABLE,
        false => Interest::READABLE,
    };
    // Registered anew each time, for libdbus may stop before it has read all: what it left is told
    // of then, too.
    #[allow(
        deprecated,
        reason = "libdbus lends its socket as a number only, and `bus` outlives this"
    )]
    let socket = AsyncFd::with_interest(bus.watch().fd, interest)?;
    socket.ready(interest).await.map(drop)
}

/// Text where markup is understood.
pub(super) fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;")
}
