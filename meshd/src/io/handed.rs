//! Sockets that a service manager has opened for the daemon (sd_listen_fds(3)): what it has no right to open it may
//! still serve.

use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use socket2::SockRef;

/// The listening sockets that were handed over.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    /// The one whose name was wanted.
    pub(crate) wanted: Option<UnixListener>,
    /// All others. Who opened them goes on to listen, and a client that nobody answers waits for ever.
    pub(crate) others: Vec<UnixListener>,
}

impl Handed {
    /// What is there, with the one apart whose name `is_wanted`. There is a warning for whatever else it is.
    ///
    /// To be called while the process has one thread, for the variables that name the sockets go: they are nobody
    /// else's.
    pub(crate) fn take(is_wanted: impl Fn(&Path) -> bool) -> Self {
        let mut handed = ListenFd::from_env();
        let mut sorted = Self::default();
        for number in 0..handed.len() {
            match listener(&mut handed, number) {
                Ok((listener, path)) if sorted.wanted.is_none() && is_wanted(&path) => {
                    sorted.wanted = Some(listener);
                }
                Ok((listener, path)) => {
                    tracing::warn!(path = %path.display(), "a socket that was handed over is of no use here");
                    sorted.others.push(listener);
                }
                Err(error) => {
                    tracing::warn!(number, %error, "what was handed over is no listening unix socket");
                }
            }
        }
        sorted
    }
}

/// The socket `number` and its name.
fn listener(handed: &mut ListenFd, number: usize) -> io::Result<(UnixListener, PathBuf)> {
    let listener = handed.take_unix_listener(number)?.ok_or(io::ErrorKind::NotFound)?;
    if !SockRef::from(&listener).is_listener()? {
        return Err(io::Error::other("it does not listen"));
    }
    let address = listener.local_addr()?;
    let path = address.as_pathname().ok_or_else(|| io::Error::other("it has no name"))?;
    listener.set_nonblocking(true)?;
    Ok((listener, path.to_owned()))
}
