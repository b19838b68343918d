//! What the figures were measured on.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use nix::sys::utsname::uname;
use serde::Serialize;

use crate::error::{Error, Result};

/// File systems whose files are in memory: a flush of theirs takes no time and keeps nothing.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

/// A machine, as far as it matters to a packet, or to a record on its way to disk.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The kernel's release.
    pub kernel: String,
    /// The processor's model.
    pub processor: String,
    /// How many of them.
    pub processors: usize,
    /// Whether it is a virtual machine.
    pub hypervisor: bool,
    /// Installed memory, in MiB.
    pub memory_mib: u64,
    /// The file system of temporary files: the state of whatever is measured is among them.
    pub file_system: String,
    /// The largest buffers a socket may ask for without rights, receive and send, in bytes.
    pub socket_buffers: [u64; 2],
}

impl Machine {
    /// This one. What the kernel does not say is empty.
    pub fn this() -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        let number = |path: &str| read(path).trim().parse().unwrap_or_default();
        Self {
            kernel: uname()
                .map(|name| name.release().to_string_lossy().into_owned())
                .unwrap_or_default(),
            processor: field(&cpuinfo, "model name").unwrap_or_default().to_owned(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            hypervisor: field(&cpuinfo, "flags")
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            memory_mib: memory(&read("/proc/meminfo")),
            file_system: file_system(&std::env::temp_dir()).unwrap_or_default(),
            socket_buffers: ["r", "w"]
                .map(|way| number(&format!("/proc/sys/net/core/{way}mem_max"))),
        }
    }

    /// An error where what is flushed reaches no disk.
    pub fn flushes_to_disk(&self) -> Result<()> {
        if IN_MEMORY.contains(&self.file_system.as_str()) {
            return Err(Error::Failed(format!(
                "{} is {}, where nothing is flushed to a disk; set TMPDIR to a directory on one",
                std::env::temp_dir().display(),
                self.file_system
            )));
        }
        Ok(())
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let guest = if self.hypervisor { ", a virtual machine" } else { "" };
        write!(
            f,
            "{}, {} processors{guest}, {} MiB, Linux {}",
            self.processor, self.processors, self.memory_mib, self.kernel
        )
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The first value of `name` in lines of the form "name : value".
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

/// What `dir` is on. By its mount and not by its path, for mounts lie one over the other.
fn file_system(dir: &Path) -> Option<String> {
    let dir = File::open(dir).ok()?;
    let opened = read(&format!("/proc/self/fdinfo/{}", dir.as_raw_fd()));
    mounted(&read("/proc/self/mountinfo"), field(&opened, "mnt_id")?).map(str::to_owned)
}

/// The file system of mount `id`: the first word after the dash, of which there is one only, for blanks in paths are escaped.
fn mounted<'a>(mountinfo: &'a str, id: &str) -> Option<&'a str> {
    mountinfo.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        (mount.split(' ').next()? == id).then(|| file_system.split(' ').next())?
    })
}

fn memory(meminfo: &str) -> u64 {
    let total = field(meminfo, "MemTotal").and_then(|text| text.strip_suffix("kB"));
    total.and_then(|kib| kib.trim().parse::<u64>().ok()).unwrap_or_default() / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "model\t\t: 17\nmodel name\t: Some CPU 9000\nflags\t\t: fpu hypervisor\n";
        assert_eq!(field(text, "model name"), Some("Some CPU 9000"));
        assert_eq!(field(text, "stepping"), None);
        assert_eq!(memory("MemTotal:       2097152 kB\n"), 2048);
        assert_eq!(memory(""), 0);
    }

    #[test]
    fn the_mount_that_lies_on_top_counts() {
        let mounts = "29 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n\
                      31 29 0:27 / /tmp rw - xfs /dev/vdb rw\n\
                      131 31 0:28 / /tmp rw,nosuid shared:9 - tmpfs tmpfs rw,size=1g\n";
        assert_eq!(mounted(mounts, "29"), Some("ext4"));
        assert_eq!(mounted(mounts, "131"), Some("tmpfs"));
        assert_eq!(mounted(mounts, "3"), None);
        assert_eq!(file_system(Path::new("/proc")).as_deref(), Some("proc"));
        assert_eq!(file_system(Path::new("/proc/none")), None);
    }

    #[test]
    fn state_in_memory_is_refused_and_the_way_out_named() {
        let on =
            |file_system: &str| Machine { file_system: file_system.to_owned(), ..Machine::this() };
        assert!(on("ext4").flushes_to_disk().is_ok());
        let refused = on("tmpfs").flushes_to_disk().unwrap_err().to_string();
        assert!(refused.contains("tmpfs") && refused.contains("TMPDIR"), "{refused}");
    }
}
