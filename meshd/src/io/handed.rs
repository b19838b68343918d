//! Sockets that a service manager has opened for the daemon (sd_listen_fds(3)): what it has no right to open it may
//! still serve.

use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use socket2::SockRef;

/// The listening socket whose name `is_wanted`. Whatever else was handed over is left alone, with a warning.
///
/// To be called while the process has one thread, for the variables that name the sockets go: they are nobody
/// else's.
pub(crate) fn listener(is_wanted: impl Fn(&Path) -> bool) -> Option<UnixListener> {
    let mut handed = ListenFd::from_env();
    let mut wanted = None;
    for number in 0..handed.len() {
        match take(&mut handed, number) {
            Ok((listener, path)) if wanted.is_none() && is_wanted(&path) => wanted = Some(listener),
            Ok((_, path)) => {
                tracing::warn!(path = %path.display(), "a socket that was handed over is of no use here");
            }
            Err(error) => {
                tracing::warn!(number, %error, "what was handed over is no listening unix socket");
            }
        }
    }
    wanted
}

/// The socket `number` and its name.
fn take(handed: &mut ListenFd, number: usize) -> io::Result<(UnixListener, PathBuf)> {
    let listener = handed.take_unix_listener(number)?.ok_or(io::ErrorKind::NotFound)?;
    if !SockRef::from(&listener).is_listener()? {
        return Err(io::Error::other("it does not listen"));
    }
    let address = listener.local_addr()?;
    let path = address.as_pathname().ok_or_else(|| io::Error::other("it has no name"))?;
    listener.set_nonblocking(true)?;
    Ok((listener, path.to_owned()))
}
