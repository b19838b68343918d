//! What `wg-quick`, as distributions ship it, makes of our plain device.

use std::fs::{self, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mesh_tests::binaries::Binaries;
use mesh_tests::link::{self, End};
use mesh_tests::traffic::ping;
use mesh_tests::wireguard::{Device, Program};
use mesh_tests::{Netns, eventually, needs_namespaces, rights};
use tempfile::TempDir;

use crate::{LIMIT, alone};

/// What `wg-quick` asks of the kernel's packet filter for a default route.
const FILTER: &str = "add table ip probe
add chain ip probe pre { type filter hook prerouting priority -300; }
add rule ip probe pre fib saddr type != local drop
add rule ip probe pre meta mark set ct mark
";

/// The far end's address on the cable, where its device is, its own inside the tunnel, and one that only a
/// default route leads to.
const CABLE: [u8; 4] = [192, 168, 78, 2];
const ENDPOINT: [u8; 4] = [198, 51, 100, 2];
const INNER: [u8; 4] = [10, 7, 0, 2];
const BEYOND: [u8; 4] = [203, 0, 113, 9];

/// Why `wg-quick` cannot be tried here, if so.
fn missing() -> Option<String> {
    for (tool, word) in [("wg", "--version"), ("wg-quick", "--help"), ("ip", "-V")] {
        if Command::new(tool).arg(word).output().is_err() {
            return Some(format!("skipped: `{tool}` is not installed"));
        }
    }
    let own = Path::new("/sys/module/wireguard").exists();
    own.then(|| "skipped: the kernel has WireGuard of its own, which wg-quick takes".to_owned())
}

/// Why a default route cannot be tried here, if so.
fn missing_for_default_route(netns: &Netns) -> Option<String> {
    let checked = run(netns, Command::new("nft").args(["-c", "-f", "-"]), FILTER);
    if !checked.is_ok_and(|output| output.status.success()) {
        return Some("skipped: no `nft`, or no filter for wg-quick's rules".to_owned());
    }
    let sysctl = Command::new("sysctl").arg("-V").output();
    sysctl.is_err().then(|| "skipped: `sysctl` is not installed".to_owned())
}

/// Ends the calling test, loudly, if there is a reason to.
macro_rules! skip_if {
    ($reason:expr) => {
        if let Some(reason) = $reason {
            let test = std::thread::current().name().unwrap_or(module_path!()).to_owned();
            rights::report_skip(&test, &reason);
            return;
        }
    };
}

/// Runs `command` inside `netns`; its input is `input`.
fn run(netns: &Netns, command: &mut Command, input: &str) -> std::io::Result<Output> {
    use std::io::Write as _;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = netns.run(|| command.spawn()).unwrap()?;
    // Whoever reads none of it has closed it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output()
}

/// What `command` prints inside `netns`.
#[track_caller]
fn reading(netns: &Netns, command: &mut Command, input: &str) -> String {
    let output = run(netns, command, input).unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn wg(netns: &Netns, words: &[&str], input: &str) -> String {
    reading(netns, Command::new("wg").args(words), input)
}

/// A host with a configuration for `wg-quick`, and the device that is its peer.
struct Site {
    near: Netns,
    far: Device,
    name: String,
    dir: TempDir,
}

impl Site {
    /// The configuration sends `prefixes` into the tunnel.
    fn new(prefixes: &str) -> Self {
        let (near, place) = (Netns::anonymous("near").unwrap(), Netns::anonymous("far").unwrap());
        let place = Arc::new(place);
        let end = |netns| End { netns, name: "cable", mac: None };
        link::veth(&end(&near), &end(&place)).unwrap();
        link::add_address(&near, "cable", [192, 168, 78, 1].into(), 24).unwrap();
        link::add_address(&place, "cable", CABLE.into(), 24).unwrap();
        link::add_default_route(&near, "cable", CABLE.into()).unwrap();
        for netns in [&near, &place] {
            link::up(netns, "lo").unwrap();
        }
        link::add_address(&place, "lo", ENDPOINT.into(), 32).unwrap();
        link::add_address(&place, "lo", BEYOND.into(), 32).unwrap();
        let far = Device::start(&Program::under_test().unwrap(), &place).unwrap();
        let keys = [(); 2].map(|()| wg(&near, &["genkey"], ""));
        let [own, others] = [&keys[0], &keys[1]].map(|key| wg(&near, &["pubkey"], key));
        let text = format!(
            "[Interface]\nPrivateKey={}\nListenPort=51\n[Peer]\nPublicKey={own}\nAllowedIPs=10.7.0.1/32\n",
            keys[1]
        );
        wg(&place, &["setconf", far.interface(), "/dev/stdin"], &text);
        far.add_address(INNER.into(), 24).unwrap();
        far.up().unwrap();
        let name = format!("wg{}q", std::process::id());
        let text = format!(
            "[Interface]\nPrivateKey={}\nAddress=10.7.0.1/24\n[Peer]\nPublicKey={others}\n\
             AllowedIPs={prefixes}\nEndpoint={}:51\n",
            keys[0],
            IpAddr::from(ENDPOINT)
        );
        let site = Self { near, far, name, dir: tempfile::tempdir().unwrap() };
        site.write(&site.configuration(), &text, 0o600);
        let meshd = Binaries::find().unwrap().meshd;
        let script = format!(
            "#!/bin/sh\nexec {} wg --state-dir {} \"$@\"\n",
            meshd.display(),
            site.dir.path().join("state").display()
        );
        site.write(&site.script(), &script, 0o700);
        site
    }

    fn write(&self, path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn configuration(&self) -> PathBuf {
        self.dir.path().join(format!("{}.conf", self.name))
    }

    /// The one line of the manual.
    fn script(&self) -> PathBuf {
        self.dir.path().join("meshd-wg")
    }

    fn quick(&self, verb: &str) -> String {
        let mut command = Command::new("wg-quick");
        command.arg(verb).arg(self.configuration());
        reading(&self.near, command.env("WG_QUICK_USERSPACE_IMPLEMENTATION", self.script()), "")
    }

    fn rules(&self) -> String {
        reading(&self.near, Command::new("ip").args(["-4", "rule"]), "")
    }

    fn assert_reaches(&self, target: [u8; 4]) {
        eventually(LIMIT, "an echo comes back", || {
            ping(&self.near, target.into(), Duration::from_millis(500)).ok()
        })
        .unwrap();
    }

    /// Asserts that nothing is left of it.
    fn assert_gone(&self) {
        let socket = self.socket();
        eventually(LIMIT, "the device is gone", || (!socket.exists()).then_some(())).unwrap();
        assert!(!link::exists(&self.near, &self.name).unwrap());
    }

    fn socket(&self) -> PathBuf {
        Path::new("/var/run/wireguard").join(format!("{}.sock", self.name))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The device ends with it, if the test has not come to that.
        let _ = fs::remove_file(self.socket());
    }
}

#[test]
fn wg_quick_makes_a_tunnel_and_takes_it_down() {
    needs_namespaces!();
    skip_if!(missing());
    let _alone = alone();
    let site = Site::new("10.7.0.0/24");
    for _ in 0..2 {
        site.quick("up");
        site.assert_reaches(INNER);
        assert!(!wg(&site.near, &["show", &site.name, "transfer"], "").is_empty());
        site.quick("down");
        site.assert_gone();
    }
}

#[test]
fn wg_quick_sends_everything_into_the_tunnel_but_the_tunnel_itself() {
    needs_namespaces!();
    skip_if!(missing());
    let _alone = alone();
    let site = Site::new("0.0.0.0/0");
    skip_if!(missing_for_default_route(&site.near));
    let before = site.rules();
    site.quick("up");
    let mark = wg(&site.near, &["show", &site.name, "fwmark"], "");
    assert!(site.rules().contains(&mark), "{mark}: {}", site.rules());
    site.assert_reaches(BEYOND);
    let received = wg(site.far.netns(), &["show", site.far.interface(), "transfer"], "");
    assert!(received.split('\t').skip(1).all(|bytes| bytes != "0"), "{received}");
    site.quick("down");
    site.assert_gone();
    assert_eq!(site.rules(), before);
}
