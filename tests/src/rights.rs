//! What this process may do here, and how a test says that it could not run.

use std::fs::OpenOptions;
use std::io::Write as _;

use crate::netns::Netns;

/// Names a file to which each skipped test adds a line, so that `scripts/verify` can count them.
pub const SKIP_LOG: &str = "MESH_SKIP_LOG";

/// How the line of a skipped test begins.
pub const SKIPPED: &str = "SKIPPED";

/// What is missing for labs with network namespaces; `None` when nothing is.
pub fn missing_for_namespaces() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("not root: no network namespaces, no TUN devices".to_owned());
    }
    if !std::path::Path::new("/dev/net/tun").exists() {
        return Some("no /dev/net/tun: the kernel has no TUN devices here".to_owned());
    }
    Netns::anonymous("rights-check").err().map(|error| format!("no network namespaces: {error}"))
}

/// Tells the whole world that `test` did not run, past the capture of the test runner.
pub fn report_skip(test: &str, reason: &str) {
    let line = format!("{SKIPPED} {test}: {reason}\n");
    // A lost note must not fail a test that could not run anyway.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os(SKIP_LOG)
        && let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path)
    {
        let _ = file.write_all(line.as_bytes());
    }
}

/// Ends the calling test, loudly, where there are no rights for namespaces.
#[macro_export]
macro_rules! needs_namespaces {
    () => {
        if let Some(reason) = $crate::rights::missing_for_namespaces() {
            let test = std::thread::current().name().unwrap_or(module_path!()).to_owned();
            $crate::rights::report_skip(&test, &reason);
            return;
        }
    };
}
