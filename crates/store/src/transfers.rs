//! Transfers of files in their table.

use crate::columns::{invalid, number, offer_bytes, out_of_range, peer_id, to_column};
use hallway_model::{
    MessageId, Offer, Transfer, TransferFailure, TransferId, TransferPhase, WallTime,
};
use rusqlite::{Connection, Row, ToSql, named_params};
use std::path::{Path, PathBuf};

/// Transfers that are over and known on both sides, of which a start still hears: what a person
/// may want to look up.
const FINISHED_MAX: u32 = 200;

/// Adds a transfer unless it is there.
pub(crate) const ADD: &str = "INSERT INTO transfers VALUES (NULL, :author, :id, :peer, :offer, :at, \
     :phase, :paused, :settled, :place, :moved) ON CONFLICT DO NOTHING";

/// Replaces what changes in a transfer.
pub(crate) const REPLACE: &str = "INSERT INTO transfers VALUES (NULL, :author, :id, :peer, :offer, \
     :at, :phase, :paused, :settled, :place, :moved) ON CONFLICT (author, id) DO UPDATE SET \
     phase = :phase, paused = :paused, settled = :settled, place = :place, moved = :moved";

/// Hands the parameters of [`ADD`] and [`REPLACE`] to `execute`.
pub(crate) fn with_transfer<T>(
    author: i64,
    peer: i64,
    transfer: &Transfer,
    execute: impl FnOnce(&[(&str, &dyn ToSql)]) -> T,
) -> T {
    let offer = Offer {
        thumbnail: transfer.offer.thumbnail.as_ref().map(|_| Vec::new()),
        ..transfer.offer.clone()
    };
    execute(named_params! {
        ":author": author,
        ":id": transfer.id.message.0,
        ":peer": peer,
        ":offer": offer_bytes(&offer),
        ":at": to_column(transfer.at.0),
        ":phase": phase_column(transfer.phase),
        ":paused": u8::from(transfer.paused_by_us) | u8::from(transfer.paused_by_them) << 1,
        ":settled": transfer.settled,
        ":place": transfer.place.as_deref().map(path_bytes),
        ":moved": to_column(transfer.moved),
    })
}

/// Transfers that still matter, in the order in which they were offered.
pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Vec<Transfer>> {
    let mut statement = connection.prepare_cached(
        "SELECT a.id, t.id, p.id, offer, at, phase, paused, settled, place, moved, row
         FROM (SELECT * FROM transfers WHERE phase <= 1 OR settled = 0
               UNION SELECT * FROM (SELECT * FROM transfers ORDER BY row DESC LIMIT ?1)) t
         JOIN ids a ON a.n = t.author JOIN ids p ON p.n = t.peer ORDER BY row",
    )?;
    statement.query_map([FINISHED_MAX], transfer)?.collect()
}

fn transfer(row: &Row<'_>) -> rusqlite::Result<Transfer> {
    let offer: Vec<u8> = row.get(3)?;
    let paused: u8 = row.get(6)?;
    let place: Option<Vec<u8>> = row.get(8)?;
    Ok(Transfer {
        id: TransferId {
            author: peer_id(row, 0)?,
            message: MessageId(row.get(1)?),
        },
        peer: peer_id(row, 2)?,
        offer: ciborium::from_reader(offer.as_slice()).map_err(|error| invalid(3, error))?,
        at: WallTime(number(row, 4)?),
        phase: phase_of(row.get(5)?)?,
        paused_by_us: paused & 1 != 0,
        paused_by_them: paused & 2 != 0,
        settled: row.get(7)?,
        place: place.map(path_of),
        moved: number(row, 9)?,
    })
}

/// The numbers of the phases.
const PHASES: [(u8, TransferPhase); 11] = [
    (0, TransferPhase::Offered),
    (1, TransferPhase::Accepted),
    (2, TransferPhase::Done),
    (3, TransferPhase::Declined),
    (4, TransferPhase::Cancelled { by_us: true }),
    (5, TransferPhase::Cancelled { by_us: false }),
    (16, TransferPhase::Failed(TransferFailure::Source)),
    (17, TransferPhase::Failed(TransferFailure::Destination)),
    (18, TransferPhase::Failed(TransferFailure::Protocol)),
    (19, TransferPhase::Failed(TransferFailure::TooMany)),
    (20, TransferPhase::Failed(TransferFailure::Changed)),
];

fn phase_column(phase: TransferPhase) -> u8 {
    let known = PHASES.iter().find(|(_, known)| *known == phase);
    known.expect("every phase has a number").0
}

fn phase_of(column: u8) -> rusqlite::Result<TransferPhase> {
    let known = PHASES.iter().find(|(number, _)| *number == column);
    known
        .map(|(_, phase)| *phase)
        .ok_or_else(|| out_of_range(5, column.into()))
}

#[cfg(unix)]
fn path_bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes().to_vec()
}

#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
fn path_bytes(path: &Path) -> Vec<u8> {
    path.to_string_lossy().into_owned().into_bytes()
}

#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::DatabaseKey;
    use crate::open;
    use hallway_model::{ContentId, PeerId, Write};

    fn offered(n: u8) -> Transfer {
        Transfer {
            id: TransferId {
                author: PeerId([2; 32]),
                message: MessageId([n; 16]),
            },
            peer: PeerId([2; 32]),
            offer: Offer {
                content: ContentId([n; 16]),
                name: "年報.pdf".into(),
                bytes: u64::from(n),
                files: 1,
                folder: false,
                media_type: Some("application/pdf".into()),
                thumbnail: (n == 2).then(Vec::new),
                left_out: 2,
                left_out_names: vec!["link".into(), "socket".into()],
            },
            at: WallTime(n.into()),
            phase: TransferPhase::Offered,
            paused_by_us: false,
            paused_by_them: false,
            settled: false,
            place: None,
            moved: 0,
        }
    }

    #[test]
    fn a_transfer_is_added_once_changed_and_forgotten_with_its_peer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hallway.db");
        let (mut writer, _reader) = open(&path, &DatabaseKey::new([9; 32])).unwrap();
        let mut commit = |writes: &[Write]| {
            writer.commit(&[writes]).unwrap();
            writer.snapshot().unwrap().transfers
        };
        let first = offered(1);
        let second = offered(2);
        let both = [first.clone(), second.clone()].map(|t| Write::NewTransfer(t.into()));
        assert_eq!(commit(&both), [first.clone(), second.clone()]);
        for (phase, (_, expected)) in PHASES.iter().enumerate() {
            let changed = Transfer {
                phase: *expected,
                paused_by_us: phase % 2 == 1,
                paused_by_them: phase % 3 == 1,
                settled: phase % 4 == 1,
                place: Some("/home/ann/年報.pdf".into()),
                moved: u64::from(u32::MAX) * 8,
                ..first.clone()
            };
            let found = commit(&[Write::Transfer(changed.clone().into())]);
            assert_eq!(found, [changed.clone(), second.clone()]);
            let found = commit(&[Write::NewTransfer(first.clone().into())]);
            assert_eq!(found, [changed, second.clone()], "an offer told again");
        }
        assert_eq!(commit(&[Write::ForgetPeer(PeerId([2; 32]))]), []);
    }

    #[test]
    fn of_what_is_over_only_the_latest_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hallway.db");
        let (mut writer, _reader) = open(&path, &DatabaseKey::new([9; 32])).unwrap();
        let over = (0..=FINISHED_MAX).map(|n| {
            let mut transfer = offered(0);
            transfer.id.message.0[..4].copy_from_slice(&n.to_be_bytes());
            transfer.settled = n > 1;
            transfer.phase = TransferPhase::Done;
            Write::NewTransfer(transfer.into())
        });
        let over: Vec<_> = over.collect();
        writer.commit(&[&over]).unwrap();
        let found = |writer: &crate::Writer| writer.snapshot().unwrap().transfers;
        assert_eq!(found(&writer).len(), FINISHED_MAX as usize + 1);
        let mut first = found(&writer)[0].clone();
        first.settled = true;
        writer
            .commit(&[&[Write::Transfer(first.clone().into())]])
            .unwrap();
        assert_eq!(found(&writer).len(), FINISHED_MAX as usize);
        assert!(!found(&writer).contains(&first));
    }
}
