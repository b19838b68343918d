//! What a kernel lacks is gone without: every offload missing by itself, and all of them.
//!
//! Red when: something is carried only with an offload's help, the interface has one that must not be used, or a device
//! without one cannot talk to a device with it.

use std::collections::BTreeSet;

use mesh_tests::rights::report_skip;
use mesh_tests::wireguard::{Device, Family, PROGRAM, Tunnel};
use mesh_tests::{link, needs_namespaces};

use crate::basic::{OVERHEAD, carries_everything};
use crate::{program, told_counters};

/// All there are.
const ALL: [&str; 4] = ["tun_tcp", "tun_udp", "udp_gso", "udp_gro"];

/// Those of the interface, and what the kernel calls them.
const FEATURES: [(&str, &str); 2] =
    [("tun_tcp", "tx-tcp-segmentation"), ("tun_udp", "tx-udp-segmentation")];

/// Those that `device` uses, by its own word; of its interface by the kernel's too.
fn in_use(device: &Device) -> BTreeSet<String> {
    let line = told_counters(device);
    let (_, names) = line.split_once("offloads=\"").unwrap();
    let (names, _) = names.split_once('"').unwrap();
    let names: BTreeSet<_> =
        names.split_whitespace().filter(|name| *name != "none").map(str::to_owned).collect();
    for (name, feature) in FEATURES {
        let on = link::has_feature(device.netns(), device.interface(), feature).unwrap();
        assert_eq!(on, names.contains(name), "{feature} of the interface");
    }
    names
}

/// Puts a device that may use only `allowed` beside one that may use all there are.
fn goes_with(allowed: &[&str]) {
    needs_namespaces!();
    if std::env::var_os(PROGRAM).is_some() {
        return report_skip("offloads", "others cannot be told which to use");
    }
    let (full, partial) = (program(), program().with_offloads(allowed));
    let tunnel = Tunnel::new(&[&full, &partial], 0).unwrap();
    tunnel.introduce(Family::V4).unwrap();
    let there = in_use(&tunnel.end(1).device);
    let expected = there.iter().filter(|name| allowed.contains(&name.as_str())).cloned().collect();
    assert_eq!(in_use(&tunnel.end(2).device), expected);
    tunnel.set_mtu(1_500, 1_500 - OVERHEAD).unwrap();
    carries_everything(&tunnel, 1_500 - OVERHEAD);
}

fn goes_without(missing: &[&str]) {
    let rest: Vec<_> = ALL.into_iter().filter(|name| !missing.contains(name)).collect();
    goes_with(&rest);
}

#[test]
fn everything_is_carried_without_super_packets() {
    goes_without(&["tun_tcp", "tun_udp"]);
}

/// As with Linux before 6.2.
#[test]
fn everything_is_carried_without_super_packets_of_udp() {
    goes_without(&["tun_udp"]);
}

#[test]
fn everything_is_carried_without_runs_of_datagrams_out() {
    goes_without(&["udp_gso"]);
}

#[test]
fn everything_is_carried_without_runs_of_datagrams_in() {
    goes_without(&["udp_gro"]);
}

#[test]
fn everything_is_carried_without_any() {
    goes_with(&[]);
}
