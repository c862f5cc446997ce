//! Where the two hosts of a comparison run, so that chance does not decide it: a wake-up across
//! cores takes longer than all the work of a round trip.

use hallway_tests::lab::Lan;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::io;

/// The processors of the two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Wherever the system puts them.
    Anywhere,
    /// Both on one: what is left is work.
    Together,
    /// Each on one of its own, as real hosts are.
    Apart,
}

/// Hosts 0 and 1 of a LAN, and where they run.
pub(crate) struct Link<'a> {
    pub(crate) lan: &'a Lan,
    pub(crate) place: Place,
}

/// One end of a link: host 0 or 1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Near,
    Far,
}

impl Place {
    /// Binds the calling thread, and those it will start, to the processor of this end.
    pub(crate) fn take(self, end: End) -> io::Result<()> {
        let processor = match (self, end) {
            (Self::Anywhere, _) => return Ok(()),
            (Self::Together, _) | (Self::Apart, End::Near) => 0,
            (Self::Apart, End::Far) => 1,
        };
        let mut set = CpuSet::new();
        set.set(processor);
        Ok(sched_setaffinity(None, &set)?)
    }
}
