//! Wakes the voice thread from an audio callback without a lock and without waiting.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// The end that wakes. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Wake(Arc<UnixStream>);

/// The end that is woken: it becomes readable.
#[derive(Debug)]
pub(crate) struct Woken(UnixStream);

/// A pair.
pub(crate) fn pair() -> io::Result<(Wake, Woken)> {
    let (wake, woken) = UnixStream::pair()?;
    wake.set_nonblocking(true)?;
    woken.set_nonblocking(true)?;
    Ok((Wake(Arc::new(wake)), Woken(woken)))
}

impl Wake {
    /// Wakes, or leaves awake: a full pipe has plenty to be read.
    pub(crate) fn wake(&self) {
        // Whoever is gone needs no waking.
        let _ = (&*self.0).write(&[1]);
    }
}

impl Woken {
    /// Goes back to sleep until woken again.
    pub(crate) fn clear(&self) {
        let mut bytes = [0; 256];
        while matches!((&self.0).read(&mut bytes), Ok(256)) {}
    }
}

impl AsFd for Woken {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    fn is_woken(woken: &Woken) -> bool {
        let mut fds = [PollFd::new(woken, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).unwrap() == 1
    }

    #[test]
    fn it_wakes_once_however_often_and_never_waits() {
        let (wake, woken) = pair().unwrap();
        assert!(!is_woken(&woken));
        for _ in 0..10_000 {
            wake.wake();
        }
        assert!(is_woken(&woken));
        woken.clear();
        assert!(!is_woken(&woken));
        drop(woken);
        wake.wake();
    }
}
