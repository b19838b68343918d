//! Network namespaces.
//!
//! A namespace lives as long as something refers to it. An anonymous one is an open file and is gone
//! with it, so nothing is left behind even after `kill -9`; processes started inside end with the
//! [`Daemon`](crate::daemon::Daemon) that stands for them. A named one is also bound to
//! `/run/netns/NAME`, where `ip netns exec NAME` looks, and stays until [`Netns::remove`].
//!
//! A namespace belongs to a thread. Work is done inside by a fresh thread that enters, works and
//! ends; a process started by such a thread starts in the namespace.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

use crate::error::{Context as _, Result};

/// Where `ip netns` keeps names.
const NAMES: &str = "/run/netns";

/// The calling thread's own namespace.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace.
#[derive(Debug)]
pub struct Netns {
    label: String,
    file: File,
}

impl Netns {
    /// A new namespace without a name. `label` is for messages.
    pub fn anonymous(label: &str) -> Result<Self> {
        let file = on_thread(label, || {
            unshare(CloneFlags::CLONE_NEWNET).context("make a network namespace")?;
            prepare()?;
            File::open(OWN).context("open the new namespace")
        })?;
        Ok(Self { label: label.to_owned(), file })
    }

    /// A new namespace bound to the free name `name`.
    pub fn named(name: &str) -> Result<Self> {
        make_names_dir()?;
        let path = path_of(name);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .context(format!("claim the name {}", path.display()))?;
        on_thread(name, || {
            unshare(CloneFlags::CLONE_NEWNET).context("make a network namespace")?;
            prepare()?;
            mount(Some(OWN), &path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
                .context(format!("bind the namespace to {}", path.display()))
        })?;
        Self::open(name)
    }

    /// The existing namespace `name`.
    pub fn open(name: &str) -> Result<Self> {
        let path = path_of(name);
        let file = File::open(&path).context(format!("open {}", path.display()))?;
        Ok(Self { label: name.to_owned(), file })
    }

    /// Whether the name `name` is taken.
    pub fn exists(name: &str) -> bool {
        path_of(name).exists()
    }

    /// Gives the name `name` up; the namespace ends with the last process in it. A name that is not
    /// taken is no error.
    pub fn remove(name: &str) -> Result<()> {
        let path = path_of(name);
        match umount2(&path, MntFlags::MNT_DETACH) {
            // EINVAL: a name whose namespace was never bound, left by a crash.
            Ok(()) | Err(nix::Error::ENOENT | nix::Error::EINVAL) => {}
            Err(error) => return Err(error).context(format!("unmount {}", path.display())),
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.context(format!("remove {}", path.display())),
        }
    }

    /// Whether the directory of names is there; the first name makes it.
    pub fn names_dir_exists() -> bool {
        Path::new(NAMES).exists()
    }

    /// Removes the directory of names, for whoever found it missing, unless it holds names by now.
    pub fn remove_names_dir() -> Result<()> {
        let mut names = fs::read_dir(NAMES).context(format!("list {NAMES}"))?;
        if names.next().is_some() {
            return Ok(());
        }
        umount2(NAMES, MntFlags::MNT_DETACH).context(format!("unmount {NAMES}"))?;
        fs::remove_dir(NAMES).context(format!("remove {NAMES}"))
    }

    /// What messages call it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// For netlink requests that move interfaces here.
    pub(crate) fn raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// For a process that is to start here.
    pub(crate) fn handle(&self) -> Result<OwnedFd> {
        self.file.try_clone().map(OwnedFd::from).context("duplicate a descriptor")
    }

    /// Runs `work` inside, on a thread of its own, and waits for it. A panic goes on in the caller.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        on_thread(&self.label, || {
            self.enter()?;
            Ok(work())
        })
    }

    /// Starts `work` inside on a thread that runs on beside the caller.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<std::thread::JoinHandle<Result<T>>> {
        let file = self.file.try_clone().context("duplicate a descriptor")?;
        let label = self.label.clone();
        let inside = Self { label, file };
        std::thread::Builder::new()
            .name(format!("in {}", self.label))
            .spawn(move || {
                inside.enter()?;
                Ok(work())
            })
            .context("start a thread")
    }

    /// Moves the calling thread inside, for good.
    pub fn enter(&self) -> Result<()> {
        setns(&self.file, CloneFlags::CLONE_NEWNET)
            .context(format!("enter network namespace {}", self.label))
    }
}

/// A private namespace ready to use: no waiting for duplicate addresses (RFC 4862, section 5.4),
/// which would keep IPv6 silent for a second or two, and loopback up, as on every real host.
fn prepare() -> Result<()> {
    for key in ["conf/all/accept_dad", "conf/default/accept_dad", "conf/default/dad_transmits"] {
        write_sysctl(&format!("ipv6/{key}"), "0")?;
    }
    crate::link::up_in_current("lo")
}

/// Writes a `net` sysctl of the calling thread's namespace. A kernel without it has nothing to be
/// told.
pub(crate) fn write_sysctl(key: &str, value: &str) -> Result<()> {
    let path = Path::new("/proc/sys/net").join(key);
    if !path.exists() {
        return Ok(());
    }
    fs::write(&path, value).context(format!("write {value} to {}", path.display()))
}

fn path_of(name: &str) -> PathBuf {
    Path::new(NAMES).join(name)
}

/// Makes the directory of names as `ip netns` does: a shared mount of itself, so that a name removed
/// here is removed for every process, whatever its mount namespace.
fn make_names_dir() -> Result<()> {
    fs::create_dir_all(NAMES).context(format!("make {NAMES}"))?;
    let none = None::<&str>;
    let share = || mount(none, NAMES, none, MsFlags::MS_SHARED | MsFlags::MS_REC, none);
    if share() == Err(nix::Error::EINVAL) {
        let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
        mount(Some(NAMES), NAMES, none, bind, none).context(format!("bind {NAMES}"))?;
        share().context(format!("share {NAMES}"))?;
    }
    Ok(())
}

fn on_thread<T: Send>(label: &str, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name(format!("in {label}"))
            .spawn_scoped(scope, work)
            .context("start a thread")?;
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_taken_can_be_removed() {
        assert!(Netns::remove("mesh-never-made").is_ok() || !nix::unistd::geteuid().is_root());
    }

    #[test]
    fn opening_a_free_name_fails_with_its_path() {
        let error = Netns::open("mesh-never-made").expect_err("free");
        assert!(matches!(error, crate::Error::Io { .. }));
        assert!(error.to_string().contains("/run/netns/mesh-never-made"));
    }
}
