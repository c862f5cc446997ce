//! Timers and limits of the protocol. `PROTOCOL.md` repeats those that others must know.

use std::time::Duration;

/// Silence after which a ping goes out while a conversation is open.
pub const PING_AFTER_ACTIVE: Duration = Duration::from_secs(3);
/// How long the answer to such a ping may take: silence of 8 s in all means that the peer is gone,
/// and after [`LOSS_GRACE`] people know, within 10 s.
pub const PONG_WITHIN_ACTIVE: Duration = Duration::from_secs(5);
/// Silence after which a ping goes out otherwise.
pub const PING_AFTER_IDLE: Duration = Duration::from_secs(15);
/// How long the answer may take then: 45 s in all.
pub const PONG_WITHIN_IDLE: Duration = Duration::from_secs(30);
/// How long the answer may take while something else comes in: it may wait behind a whole window,
/// and 4 MiB in two minutes is 35 kB/s.
pub const PONG_WITHIN_BUSY: Duration = Duration::from_secs(120);
/// A conversation counts as open for so long after the last message or typing in it.
pub const ACTIVE_FOR: Duration = Duration::from_secs(60);

/// A session older than this is replaced by a fresh handshake.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(3600);
/// When that fails, it is tried again after this, on the old session meanwhile.
pub const RENEW_RETRY: Duration = Duration::from_secs(300);
/// Two sessions that both sides opened at once start within this time of each other.
pub const SIMULTANEOUS_OPEN: Duration = Duration::from_secs(10);
/// A session nobody needs is closed after so long without a message.
pub const IDLE_CLOSE: Duration = Duration::from_secs(60);

/// Messages handed to a session and not yet acknowledged. At 32 KiB each this bounds memory to
/// 32 MiB a peer; at 100 bytes it keeps a fast link busy over some milliseconds of group commit.
pub const WINDOW_MESSAGES: usize = 1024;
/// Bytes of text in the window.
pub const WINDOW_BYTES: usize = 4 << 20;

/// First wait after a failed dial; doubled each time, with jitter.
pub const DIAL_BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// Longest wait between dials while the peer is announced or has messages waiting.
pub const DIAL_BACKOFF_NEAR: Duration = Duration::from_secs(15);
/// Longest wait between dials to remembered addresses of somebody who is not announced.
pub const DIAL_BACKOFF_FAR: Duration = Duration::from_secs(120);
/// Wait after the peer said goodbye: its next announcement dials at once anyway.
pub const DIAL_AFTER_GOODBYE: Duration = Duration::from_secs(30);
/// Wait after a newer session of the peer replaced ours and did not reach us: a second node with
/// our key, or a race that settles by itself.
pub const DIAL_AFTER_REPLACED: Duration = Duration::from_secs(5);
/// So many replacements within [`CLONE_WINDOW`] mean that another node runs with our key.
pub const CLONE_REPLACEMENTS: u32 = 3;
/// See [`CLONE_REPLACEMENTS`].
pub const CLONE_WINDOW: Duration = Duration::from_secs(60);

/// Calls at once, ringing or answered: one is talked in, and nobody keeps track of more on hold.
pub const CALLS_MAX: usize = 4;
/// A call that nobody answers is over after this: some ten rings of a telephone.
pub const RING_FOR: Duration = Duration::from_secs(45);
/// The side that is called rings for so much longer, since the caller ends it.
pub const RING_GRACE: Duration = Duration::from_secs(5);
/// How long a caller looks for somebody who has no session: two rounds of dials.
pub const CALL_REACH_WITHIN: Duration = Duration::from_secs(8);
/// A node that has a ring says so at once; one that has not by then knows of no calls, or does
/// not let us ring.
pub const RING_HEARD_WITHIN: Duration = Duration::from_secs(5);
/// A call ends when there was neither a session nor a packet of the peer for so long. A silent
/// session is noticed after 8 s, which makes 20 s after the last sign of life.
pub const CALL_LOST_AFTER: Duration = Duration::from_secs(12);
/// Calls that are over and still known by their id: more than a peer that comes back late asks for.
pub const CALLS_REMEMBERED: usize = 64;
/// Records of calls that wait for a disk that takes nothing.
pub const RECORDS_WAITING_MAX: usize = 64;

/// A lost session is told to people only after this, so that a short break does not flap.
pub const LOSS_GRACE: Duration = Duration::from_millis(1500);
/// Typing is shown for so long after the last word of it.
pub const TYPING_FOR: Duration = Duration::from_secs(6);
/// Typing is repeated to the peer at most this often.
pub const TYPING_EVERY: Duration = Duration::from_secs(3);
/// A full disk is tried again after this.
pub const STORAGE_RETRY: Duration = Duration::from_secs(10);
/// The same notice is shown at most this often.
pub const NOTICE_EVERY: Duration = Duration::from_secs(60);

/// Control frames (all but messages, acknowledgements and words on transfers) a peer may send at once.
pub const CONTROL_BURST: u32 = 400;
/// Control frames a second after that; a person's client sends a few.
pub const CONTROL_PER_SECOND: u32 = 50;
/// Sessions of strangers among the 512; contacts always find room.
pub const STRANGER_SESSIONS_MAX: usize = 128;
/// Impostors of one name told about since the start; more are only counted.
pub const COLLISIONS_TOLD_MAX: usize = 64;
/// Dials under way at once. After a network returns, hundreds of contacts are dialled in turns.
pub const DIALS_MAX: usize = 32;
/// Transfers that are fetched at once; more only share the same line and disk.
pub const TRANSFERS_RUNNING_MAX: usize = 16;
/// Of these from one peer, so that others find a turn while somebody sends a thousand files.
pub const TRANSFERS_RUNNING_OF_PEER_MAX: usize = 4;
/// Open transfers with one peer: more than a person offers before the other has looked.
pub const TRANSFERS_OPEN_MAX: usize = 1000;
/// Changes of what is offered while it is fetched: a file that changes more often than this is
/// still being written, and would never be whole.
pub const TRANSFER_CHANGES_MAX: u32 = 20;
/// First wait after a transfer was interrupted; doubled each time.
pub const TRANSFER_RETRY_FIRST: Duration = Duration::from_millis(500);
/// Longest wait while the session stands.
pub const TRANSFER_RETRY_LONGEST: Duration = Duration::from_secs(15);
