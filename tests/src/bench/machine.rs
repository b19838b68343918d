//! What the figures were measured on.

use std::fs;

use nix::sys::utsname::uname;
use serde::Serialize;

/// A machine, as far as it matters to a packet.
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
            socket_buffers: ["r", "w"]
                .map(|way| number(&format!("/proc/sys/net/core/{way}mem_max"))),
        }
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
}
