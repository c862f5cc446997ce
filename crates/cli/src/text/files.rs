//! The words about files on their way.

use super::{bytes, percent, talked};
use crate::safe;
use hallway_model::{FileView, TransferState, TransferView};

/// What is offered: its name and how much it is.
pub(crate) fn file(file: &FileView) -> String {
    let (name, size) = (safe::one_line(&file.name), bytes(file.bytes));
    match (file.folder, file.files) {
        (false, _) => format!("{name} ({size})"),
        (true, 1) => format!("{name}/ (1 file, {size}{})", left_out(file)),
        (true, files) => format!("{name}/ ({files} files, {size}{})", left_out(file)),
    }
}

/// What of a folder is not sent: links, sockets, devices, and what cannot be read.
fn left_out(file: &FileView) -> String {
    let names = file.left_out_names.iter().map(|name| safe::one_line(name));
    let names = names.collect::<Vec<_>>().join(", ");
    match (file.left_out, file.left_out_names.len()) {
        (0, _) => String::new(),
        (number, 0) => format!("; {number} left out"),
        (number, named) if named < usize::try_from(number).unwrap_or(usize::MAX) => {
            format!("; {number} left out: {names}, …")
        }
        (number, _) => format!("; {number} left out: {names}"),
    }
}

pub(crate) const NO_FILES: &str = "no files have come or gone";

pub(crate) fn offered(file: &str, name: &str) -> String {
    format!("offered {file} to {name}; `hallway files` shows how it goes")
}

pub(crate) fn accept_up_to(limit: u64) -> String {
    match limit {
        0 => "every file waits for your answer".into(),
        limit => format!("files of contacts up to {} are taken unasked", bytes(limit)),
    }
}

pub(crate) const WATCHING: &str = "Following all transfers; Ctrl-C ends only this";
pub(crate) const NOT_AWAITED: &str = "not all of it has arrived yet";
pub(crate) const FILES_TIMED_OUT: &str = "timed out: not all of it has arrived yet. It goes on; \
                                          `hallway files` shows how";
pub(crate) const NOT_ARRIVED: &str = "only what has arrived whole can be opened; `hallway files` \
                                      shows what has";

pub(crate) fn no_transfer(prefix: &str) -> String {
    format!("no transfer has an id that begins with \"{prefix}\"; `hallway files` lists them")
}

pub(crate) fn many_transfers(prefix: &str) -> String {
    format!("more than one id begins with \"{prefix}\"; `hallway files` lists them")
}

fn short(transfer: &TransferView) -> &str {
    transfer.id.get(..8).unwrap_or(&transfer.id)
}

/// Ctrl-C ends only what shows it.
pub(crate) fn goes_on(transfer: &TransferView) -> String {
    let (file, id) = (file(&transfer.file), short(transfer));
    format!(
        "{file} goes on without this; `hallway files watch {id}` shows it, and `hallway files \
         cancel {id}` ends it"
    )
}

/// After a break.
pub(crate) fn resumed(transfer: &TransferView) -> String {
    let at = transfer.resumed_at.unwrap_or_default();
    let percent = percent(at, transfer.file.bytes);
    format!("Resumed at {percent} %: {}", file(&transfer.file))
}

pub(crate) fn rate(rate: u64) -> String {
    format!("{}/s", bytes(rate))
}

pub(crate) fn time_left(left_ms: u64) -> String {
    format!("{} left", talked(left_ms))
}

pub(crate) fn bytes_of(moved: u64, of: u64) -> String {
    format!("{} / {}", bytes(moved), bytes(of))
}

/// How a transfer stands.
pub(crate) fn transfer_state(transfer: &TransferView) -> String {
    let percent = percent(transfer.moved, transfer.file.bytes);
    match transfer.state {
        TransferState::Offered if transfer.incoming => "waits for your answer".into(),
        TransferState::Offered => "offered".into(),
        TransferState::Running => {
            let resumed = transfer.resumed_at.map(|at| {
                let at = super::percent(at, transfer.file.bytes);
                format!("resumed at {at} %")
            });
            let changed = match (transfer.changed, transfer.incoming) {
                (0, _) => None,
                (_, false) => Some("changed meanwhile: what changed is sent again"),
                (_, true) => Some("changed at their side: what changed is fetched again"),
            };
            let changed = changed.map(str::to_owned);
            let (rate, left) = (transfer.rate.map(rate), transfer.left_ms.map(time_left));
            let parts = [rate, left, resumed, changed].into_iter().flatten();
            parts.fold(format!("{percent} %"), |all, part| format!("{all}, {part}"))
        }
        TransferState::WaitingForTurn => format!("{percent} %, waits for its turn"),
        TransferState::WaitingForPeer => format!("{percent} %, waits until they are here"),
        TransferState::WaitingForRoom if transfer.incoming => {
            format!("{percent} %, waits: the disk is full; free some space")
        }
        TransferState::WaitingForRoom => format!("{percent} %, waits: their disk is full"),
        TransferState::PausedByUs => format!("{percent} %, paused"),
        TransferState::PausedByThem => format!("{percent} %, paused by them"),
        TransferState::Done => "done".into(),
        TransferState::Declined if transfer.incoming => "declined".into(),
        TransferState::Declined => "declined by them".into(),
        TransferState::CancelledByUs => "cancelled".into(),
        TransferState::CancelledByThem => "cancelled by them".into(),
        TransferState::Failed => match transfer.failure {
            Some(failure) => format!("failed: {failure}"),
            None => "failed".into(),
        },
    }
}

/// A transfer as it is now.
pub(crate) fn transfer(name: &str, transfer: &TransferView) -> String {
    let arrow = if transfer.incoming { "from" } else { "to" };
    let (file, state) = (file(&transfer.file), transfer_state(transfer));
    let short = short(transfer);
    format!("{short}  {file} {arrow} {name}: {state}")
}
