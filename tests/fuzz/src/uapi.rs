//! `uapi::Request::parse`, and the device that carries requests out.
//!
//! What is accepted can be written and is then the same request; what is refused changes nothing; what the
//! device says of itself is what a naive model says, and can be fed to another device.

use std::fmt::Write as _;
use std::time::Instant;

use mesh_dataplane::WallTime;
use mesh_dataplane::device::Device;
use mesh_model::uapi::{
    AllowedIp, DeviceChange, DeviceReport, Endpoint, PeerChange, Request, frame_len, get_answer,
};

use crate::model::{Core, Model};

/// The device's port before any request.
const PORT: u16 = 51820;

/// Carries out the requests in the input, one after the other.
pub fn run(input: &[u8]) {
    let mut host = Host::default();
    let mut rest = input;
    while let Some(len) = frame_len(rest, 0) {
        let (frame, behind) = rest.split_at(len);
        assert_eq!(slow_frame_len(rest), Some(len));
        // Nothing else is seen when it comes in two parts.
        for seen in [0, len / 2, len - 1] {
            assert_eq!(frame_len(&rest[..seen], 0), None);
            assert_eq!(frame_len(rest, seen), Some(len));
        }
        rest = behind;
        match Request::parse(frame) {
            Ok(Request::Set(change)) => host.set(change),
            Ok(Request::Get) => assert_eq!(frame, b"get=1\n\n"),
            Err(error) => assert!(error.line >= 1 && error.line <= frame.len()),
        }
    }
    assert_eq!(slow_frame_len(rest), None);
}

fn slow_frame_len(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b"\n") {
        return Some(1);
    }
    (2..=bytes.len()).find(|end| bytes[..*end].ends_with(b"\n\n"))
}

/// A device, what it should be, and what the packet core was told.
struct Host {
    device: Device,
    model: Model,
    core: Core,
}

impl Default for Host {
    fn default() -> Self {
        Self { device: Device::new(PORT), model: Model::new(PORT), core: Core::default() }
    }
}

impl Host {
    fn set(&mut self, mut change: DeviceChange) {
        let written = write(&change);
        assert_eq!(
            Request::parse(written.as_bytes()),
            Ok(Request::Set(change.clone())),
            "{written}"
        );
        let known = |name: &str| (name.len() % 2 == 1).then_some(7);
        let before = change.clone();
        if change.resolve(known).is_err() {
            assert_eq!(change, before, "an unknown interface changes nothing");
            return;
        }
        let Ok(needs) = self.device.check(&change) else { return };
        let port = match needs.port {
            Some(0) => 40_000,
            Some(port) => port,
            None => self.device.listen_port(),
        };
        self.model.apply(&change, port);
        let effects = self.device.apply(change, port);
        self.core.obey(effects);
        let report = report(&self.device);
        assert_eq!(report, self.model.report());
        assert_eq!(self.core.allowed_ips(), self.model.allowed_ips());
        assert_eq!(restored(&report), report);
    }
}

fn report(device: &Device) -> DeviceReport {
    // Nothing is reported that has a time.
    let now = some_time();
    device.report([], now, WallTime::default())
}

/// The only instant there is; nothing measures it.
fn some_time() -> Instant {
    Instant::now()
}

/// What a fresh device is that is told what `report` says.
fn restored(report: &DeviceReport) -> DeviceReport {
    let answer = get_answer(Ok(report));
    let told = ["errno=", "last_handshake_time_", "tx_bytes=", "rx_bytes="];
    let lines = answer.lines().filter(|line| !told.iter().any(|key| line.starts_with(key)));
    let mut request = "set=1\n".to_owned();
    lines.for_each(|line| writeln!(request, "{line}").expect("room"));
    let Ok(Request::Set(change)) = Request::parse(request.as_bytes()) else {
        panic!("a device does not understand another: {request}");
    };
    let mut device = Device::new(PORT);
    device.check(&change).expect("it fitted the other");
    let port = change.listen_port.expect("always told");
    let _ = device.apply(change, port);
    self::report(&device)
}

/// The request that asks for `change`.
fn write(change: &DeviceChange) -> String {
    let mut text = "set=1\n".to_owned();
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        writeln!(text, "{key}={value}").expect("a string takes everything");
    };
    if let Some(secret) = &change.secret {
        line("private_key", &hex(&secret.as_ref().map_or([0; 32], |secret| *secret.to_bytes())));
    }
    if let Some(port) = change.listen_port {
        line("listen_port", &port);
    }
    if let Some(mark) = change.fwmark {
        line("fwmark", &mark);
    }
    if change.replace_peers {
        line("replace_peers", &true);
    }
    change.peers.iter().for_each(|peer| write_peer(peer, &mut line));
    text.push('\n');
    text
}

fn write_peer(peer: &PeerChange, line: &mut impl FnMut(&str, &dyn std::fmt::Display)) {
    line("public_key", &hex(&peer.key.0));
    for (key, said) in [
        ("remove", peer.remove),
        ("update_only", peer.update_only),
        ("replace_allowed_ips", peer.replace_allowed_ips),
    ] {
        if said {
            line(key, &true);
        }
    }
    if let Some(key) = &peer.preshared_key {
        line("preshared_key", &hex(key.as_ref().map_or(&[0; 32], |key| key.as_bytes())));
    }
    match &peer.endpoint {
        Some(Endpoint::At(address)) => line("endpoint", address),
        Some(Endpoint::OnLink { address, port, interface }) => {
            line("endpoint", &format_args!("[{address}%{interface}]:{port}"));
        }
        None => {}
    }
    if let Some(keepalive) = peer.keepalive {
        line("persistent_keepalive_interval", &keepalive.map_or(0, |every| every.as_secs()));
    }
    for step in &peer.allowed_ips {
        match step {
            AllowedIp::Add(net) => line("allowed_ip", net),
            AllowedIp::Remove(net) => line("allowed_ip", &format_args!("-{net}")),
        }
    }
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
