//! What `wg`, as distributions ship it, makes of our devices.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use mesh_model::api::v1::Tunnels;
use mesh_tests::binaries::Binaries;
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::link::{self, End};
use mesh_tests::process::daemons_inside;
use mesh_tests::traffic::ping;
use mesh_tests::wireguard::uapi::Socket;
use mesh_tests::{Lab, Netns, eventually, needs_namespaces, rights};
use tempfile::TempDir;

use crate::{LIMIT, alone};

/// Where `wg` looks for devices that are programs.
const SOCKETS: &str = "/var/run/wireguard";

/// Ends the calling test, loudly, where `wg` is not installed.
macro_rules! needs_wg {
    () => {
        needs_namespaces!();
        if Command::new("wg").arg("--version").output().is_err() {
            let test = std::thread::current().name().unwrap_or(module_path!()).to_owned();
            rights::report_skip(&test, "skipped: `wg` is not installed");
            return;
        }
    };
}

/// Runs `wg`; its input is `input`.
fn run_wg(words: &[&str], input: &str) -> Output {
    use std::io::Write as _;
    let mut command = Command::new("wg");
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// What `wg` prints.
#[track_caller]
fn wg_reading(words: &[&str], input: &str) -> String {
    let output = run_wg(words, input);
    assert!(output.status.success(), "wg {words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[track_caller]
fn wg(words: &[&str]) -> String {
    wg_reading(words, "")
}

/// Why `wg` fails.
#[track_caller]
fn wg_refused(words: &[&str], input: &str) -> String {
    let output = run_wg(words, input);
    assert_eq!(output.status.code(), Some(1), "wg {words:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// A device in the background, in a namespace of its own. Ends when dropped, by the removal of its socket.
struct Device {
    netns: Netns,
    name: String,
    secret: String,
    /// What it remembers from one start to the next.
    memory: TempDir,
}

impl Device {
    /// Starts the device `number` of this process.
    fn start(number: usize) -> Self {
        let netns = Netns::anonymous(&format!("wg{number}")).unwrap();
        // The directory of sockets is every namespace's.
        let device = Self {
            netns,
            name: format!("wg{}x{number}", std::process::id()),
            secret: wg(&["genkey"]),
            memory: TempDir::with_prefix("mesh-wg-").unwrap(),
        };
        let output = device.launch();
        assert!(output.status.success(), "{output:?}");
        device
    }

    /// `meshd wg` for its interface.
    fn launch(&self) -> Output {
        let meshd = Binaries::find().unwrap().meshd;
        let mut command = Command::new(meshd);
        command.args(["wg", &self.name, "--state-dir"]).arg(self.memory.path());
        command.stdin(Stdio::null());
        self.netns.run(|| command.output().unwrap()).unwrap()
    }

    fn key(&self) -> String {
        wg_reading(&["pubkey"], &self.secret)
    }

    fn is_there(&self) -> bool {
        link::exists(&self.netns, &self.name).unwrap()
    }

    /// Puts `text` into force by `verb`, as `wg VERB IF FILE` does.
    fn configure(&self, verb: &str, text: &str) {
        wg_reading(&[verb, &self.name, "/dev/stdin"], text);
    }

    fn show(&self, what: &str) -> String {
        wg(&["show", &self.name, what])
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(Path::new(SOCKETS).join(format!("{}.sock", self.name)));
        // Its last act is to write down what it remembers: the directory goes after that. Where it does not end, some
        // test has failed already, or the next will.
        let _ = eventually(LIMIT, "the device has ended", || {
            daemons_inside(self.memory.path()).ok()?.is_empty().then_some(())
        });
    }
}

/// A key nobody has the other half of.
fn stranger() -> String {
    wg_reading(&["pubkey"], &wg(&["genkey"]))
}

/// Two devices on one cable, each the other's peer.
fn pair() -> [Device; 2] {
    let devices = [Device::start(1), Device::start(2)];
    let [one, two] = &devices;
    let end = |device| End { netns: device, name: "cable", mac: None };
    link::veth(&end(&one.netns), &end(&two.netns)).unwrap();
    let shared = wg(&["genpsk"]);
    for (own, other, number, far) in [(one, two, 1, 2), (two, one, 2, 1)] {
        let underlay = IpAddr::from([192, 168, 77, number]);
        link::add_address(&own.netns, "cable", underlay, 24).unwrap();
        let mut text = format!("[Interface]\nPrivateKey={}\nListenPort=5{number}\n", own.secret);
        writeln!(text, "FwMark=0x{number}\n[Peer]\nPublicKey={}", other.key()).unwrap();
        writeln!(text, "PresharedKey={shared}\nAllowedIPs=10.9.0.{far}/32").unwrap();
        writeln!(text, "Endpoint=192.168.77.{far}:5{far}\nPersistentKeepalive=5").unwrap();
        own.configure("setconf", &text);
        let overlay = IpAddr::from([10, 9, 0, number]);
        link::add_address(&own.netns, &own.name, overlay, 24).unwrap();
        link::up(&own.netns, &own.name).unwrap();
    }
    devices
}

fn assert_reaches(from: &Device, number: u8) {
    let target = IpAddr::from([10, 9, 0, number]);
    eventually(LIMIT, "an echo comes back", || {
        ping(&from.netns, target, Duration::from_millis(500)).ok()
    })
    .unwrap();
}

#[test]
fn what_is_configured_is_shown_and_carries_packets() {
    needs_wg!();
    let _alone = alone();
    let [one, two] = pair();
    assert_reaches(&one, 2);

    assert_eq!(one.show("public-key"), one.key());
    assert_eq!(one.show("listen-port"), "51");
    assert_eq!(one.show("fwmark"), "0x1");
    assert_eq!(one.show("peers"), two.key());
    assert_eq!(one.show("endpoints"), format!("{}\t192.168.77.2:52", two.key()));
    assert_eq!(one.show("allowed-ips"), format!("{}\t10.9.0.2/32", two.key()));
    assert_eq!(one.show("persistent-keepalive"), format!("{}\t5", two.key()));
    let handshake = one.show("latest-handshakes");
    let (_, seconds) = handshake.split_once('\t').unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!((now - 60..=now).contains(&seconds.parse().unwrap()), "{handshake}");
    let transfer = one.show("transfer");
    assert!(transfer.split('\t').skip(1).all(|bytes| bytes != "0"), "{transfer}");

    // All devices in one table, this one with the same lines.
    let own = one.show("dump");
    let all = wg(&["show", "all", "dump"]);
    let named = all.lines().filter_map(|line| line.strip_prefix(&format!("{}\t", one.name)));
    assert_eq!(named.count(), own.lines().count());
    assert_eq!(own.lines().count(), 2);
    assert!(wg(&["show", "interfaces"]).split(' ').any(|name| name == two.name));
}

#[test]
fn a_configuration_survives_being_shown_and_set() {
    needs_wg!();
    let _alone = alone();
    let [one, two] = pair();
    let text = wg(&["showconf", &one.name]);
    let other = Device::start(3);
    other.configure("setconf", &text);
    assert_eq!(wg(&["showconf", &other.name]), text);

    // Syncing to what is there disturbs no session; setting begins afresh.
    assert_reaches(&one, 2);
    let before = one.show("latest-handshakes");
    one.configure("syncconf", &text);
    assert_eq!(one.show("latest-handshakes"), before);
    two.configure("setconf", "[Interface]\n");
    assert_eq!((two.show("peers"), two.show("private-key")), (String::new(), "(none)".to_owned()));
}

#[test]
fn peers_come_and_go_and_take_each_others_prefixes() {
    needs_wg!();
    let _alone = alone();
    let [one, two] = pair();
    let (other, third) = (stranger(), stranger());
    one.configure(
        "addconf",
        &format!("[Peer]\nPublicKey={other}\nAllowedIPs=10.9.0.2/32,fd00::/8\n"),
    );
    let prefixes = one.show("allowed-ips");
    assert!(prefixes.contains(&format!("{}\t(none)", two.key())), "{prefixes}");
    assert!(prefixes.contains(&format!("{other}\t10.9.0.2/32 fd00::/8")), "{prefixes}");

    wg(&["set", &one.name, "peer", &two.key(), "allowed-ips", "10.9.0.2/32", "peer", &third]);
    let prefixes = one.show("allowed-ips");
    assert!(prefixes.contains(&format!("{other}\tfd00::/8")), "{prefixes}");
    assert_reaches(&one, 2);

    let remove = ["peer", &other, "remove", "peer", &third, "remove"];
    wg(&[&["set", one.name.as_str()][..], &remove].concat());
    assert_eq!(one.show("peers"), two.key());
    wg(&[
        "set",
        &one.name,
        "peer",
        &two.key(),
        "persistent-keepalive",
        "off",
        "preshared-key",
        "/dev/null",
    ]);
    assert_eq!(one.show("persistent-keepalive"), format!("{}\toff", two.key()));
    assert_eq!(one.show("preshared-keys"), format!("{}\t(none)", two.key()));
}

#[test]
fn a_change_that_cannot_be_is_explained_and_changes_nothing() {
    needs_wg!();
    let _alone = alone();
    let [one, _two] = pair();
    let taken = one.netns.run(|| std::net::UdpSocket::bind("[::]:7777").unwrap()).unwrap();
    let before = one.show("dump").lines().next().map(str::to_owned);
    let words = ["set", &one.name, "listen-port", "7777", "private-key", "/dev/stdin"];
    let said = wg_refused(&words, &wg(&["genkey"]));
    assert!(said.contains("Address already in use"), "{said}");
    assert_eq!(one.show("dump").lines().next().map(str::to_owned), before);
    drop(taken);
    wg(&["set", &one.name, "listen-port", "7777"]);
    assert_eq!(one.show("listen-port"), "7777");
    assert_reaches(&one, 2);
}

#[test]
fn a_device_is_there_when_the_command_returns_and_goes_with_its_socket_or_interface() {
    needs_wg!();
    let _alone = alone();
    let device = Device::start(1);
    assert!(device.is_there());
    assert_eq!(device.show("fwmark"), "off");

    let second = device.launch();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(64), "{said}");
    assert!(said.contains("in use") && said.contains(&device.name), "{said}");
    assert!(device.is_there());

    // Moved elsewhere it goes on; when it is gone from there, the device ends and takes its socket along.
    let elsewhere = Netns::anonymous("elsewhere").unwrap();
    link::move_to(&device.netns, &device.name, &elsewhere).unwrap();
    assert_eq!(device.show("fwmark"), "off");
    drop(elsewhere);
    let socket = Path::new(SOCKETS).join(format!("{}.sock", device.name));
    eventually(LIMIT, "its socket is gone", || (!socket.exists()).then_some(())).unwrap();

    assert!(device.launch().status.success());
    std::fs::remove_file(&socket).unwrap();
    eventually(LIMIT, "its interface is gone", || (!device.is_there()).then_some(())).unwrap();
}

/// Where `wg` looks for the interface `name`.
fn socket_of(name: &str) -> PathBuf {
    Path::new(SOCKETS).join(format!("{name}.sock"))
}

/// Two hosts that are about to be a mesh, and the names of their interfaces. What is left of their sockets goes with
/// this.
struct TwoHosts {
    lab: Lab,
    names: [String; 2],
}

impl TwoHosts {
    /// The sockets of all tests lie in one directory: a `letter` for each.
    fn new(letter: char) -> Self {
        let mut lab = Lab::switched(2).unwrap();
        let names = [1, 2].map(|number| format!("wg{}{letter}{number}", std::process::id()));
        for (number, name) in (1..).zip(&names) {
            lab.host_mut(number).name_interface(name);
        }
        Self { lab, names }
    }

    /// Opens a socket for the first host's daemon, as a service manager does.
    fn open_for_first(&mut self, path: &Path) {
        std::fs::create_dir_all(SOCKETS).unwrap();
        self.lab.host_mut(1).hand_over(UnixListener::bind(path).unwrap());
    }
}

impl Drop for TwoHosts {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = std::fs::remove_file(socket_of(name));
        }
    }
}

/// Asserts that `wg` sees the truth of the first host's interface, `name`, and can change nothing.
fn assert_is_shown_and_cannot_be_changed(hosts: &TwoHosts) {
    let TwoHosts { lab, names: [name, _] } = hosts;
    let tunnels: Tunnels = lab.host(1).mesh().get(&["tunnels"]).unwrap();
    let peer = &tunnels.tunnels[0];
    let line = eventually(SETTLE_LIMIT, "a handshake is shown", || {
        let dump = wg(&["show", name, "dump"]);
        let line = dump.lines().nth(1)?.to_owned();
        line.split('\t').nth(4).filter(|seconds| *seconds != "0")?;
        Some(line)
    })
    .unwrap();
    let shown: Vec<_> = line.split('\t').collect();
    let prefixes: Vec<_> = peer.allowed_ips.iter().map(ToString::to_string).collect();
    let [key, endpoint] = [peer.public_key.to_string(), peer.endpoint.unwrap().to_string()];
    assert_eq!(shown[..4], [key.as_str(), "(none)", &endpoint, &prefixes.join(",")]);
    assert_eq!(wg(&["show", name, "listen-port"]), tunnels.listen_port.to_string());
    assert_eq!(wg(&["show", name, "private-key"]), "(none)");

    let said = wg_refused(&["set", name, "peer", &key, "remove"], "");
    assert!(said.contains("Operation not permitted"), "{said}");
    assert_eq!(wg(&["show", name, "peers"]), key);
}

#[test]
fn a_meshs_interface_is_shown_and_cannot_be_changed() {
    needs_wg!();
    let _alone = alone();
    let mut hosts = TwoHosts::new('m');
    hosts.lab.form().unwrap();
    assert_is_shown_and_cannot_be_changed(&hosts);
    hosts.lab.host_mut(1).terminate().unwrap();
    assert!(!socket_of(&hosts.names[0]).exists());
}

#[test]
fn a_mesh_is_shown_through_a_socket_that_was_opened_for_its_daemon() {
    needs_wg!();
    let _alone = alone();
    let mut hosts = TwoHosts::new('h');
    let path = socket_of(&hosts.names[0]);
    hosts.open_for_first(&path);
    let made = std::fs::metadata(&path).unwrap().ino();

    // Before there is a mesh nobody is kept waiting. `wg` itself would wait for ever.
    hosts.lab.host_mut(1).start().unwrap();
    let refused = Socket::of(&hosts.names[0]).get().unwrap_err().to_string();
    assert!(refused.contains("errno 19"), "{refused}");
    let said = wg_refused(&["show", &hosts.names[0], "dump"], "");
    assert!(said.contains("No such device"), "{said}");
    hosts.lab.host_mut(1).terminate().unwrap();

    hosts.lab.form().unwrap();
    assert_is_shown_and_cannot_be_changed(&hosts);
    hosts.lab.host_mut(1).terminate().unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().ino(), made, "the name is not the daemon's");
}

/// A socket's name that nobody else removes.
struct Name(PathBuf);

impl Drop for Name {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Asserts that the first host's daemon, for whose interface the socket at `path` is not, answers there all the same.
/// `wg` itself would wait for ever.
fn assert_no_device_behind(lab: &Lab, path: &Path) {
    let name = path.file_stem().unwrap().to_str().unwrap();
    let refused = Socket::of(name).get().unwrap_err().to_string();
    assert!(refused.contains("errno 19"), "{refused}");
    for words in [&["show", name, "dump"][..], &["set", name, "fwmark", "1"]] {
        let said = wg_refused(words, "");
        assert!(said.contains("No such device"), "{said}");
    }
    let (log, path) = (lab.host(1).log(), path.to_str().unwrap());
    assert!(log.lines().any(|line| line.contains("WARN") && line.contains(path)), "{log}");
}

#[test]
fn a_socket_of_another_name_keeps_nobody_waiting() {
    needs_wg!();
    let _alone = alone();
    let mut hosts = TwoHosts::new('o');
    let path = Name(socket_of(&format!("{}x", hosts.names[0])));
    hosts.open_for_first(&path.0);
    hosts.lab.form().unwrap();
    assert_no_device_behind(&hosts.lab, &path.0);
    assert_is_shown_and_cannot_be_changed(&hosts);
    hosts.lab.host_mut(1).terminate().unwrap();
    assert!(path.0.exists(), "the name is not the daemon's");
}

#[test]
fn a_socket_of_a_daemon_without_an_interface_keeps_nobody_waiting() {
    needs_wg!();
    let _alone = alone();
    let mut lab = Lab::rootless(1).unwrap();
    let path = Name(socket_of(&format!("wg{}n", std::process::id())));
    std::fs::create_dir_all(SOCKETS).unwrap();
    lab.host_mut(1).hand_over(UnixListener::bind(&path.0).unwrap());
    lab.form().unwrap();
    assert_no_device_behind(&lab, &path.0);
}

#[test]
fn a_socket_of_the_right_name_elsewhere_is_not_the_interfaces() {
    needs_wg!();
    let _alone = alone();
    let mut hosts = TwoHosts::new('e');
    let elsewhere = TempDir::with_prefix("mesh-wg-").unwrap();
    let path = elsewhere.path().join(format!("{}.sock", hosts.names[0]));
    hosts.open_for_first(&path);
    hosts.lab.form().unwrap();
    assert_is_shown_and_cannot_be_changed(&hosts);
    let (log, path) = (hosts.lab.host(1).log(), path.to_str().unwrap());
    assert!(log.lines().any(|line| line.contains("WARN") && line.contains(path)), "{log}");
}
