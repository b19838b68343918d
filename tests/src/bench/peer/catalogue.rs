//! All the peers this benchmark knows how to start, and those somebody names beside them.

use std::path::Path;
use std::process::{Command, Stdio};

use super::mesh::TwoHosts;
use super::nebula::Nebula;
use super::tinc::Tinc;
use super::wireguard::{DIRECTORY, INTERFACE, WireGuard};
use super::{Direct, Peer, Program};
use crate::bench::programs;
use crate::binaries::Binaries;
use crate::error::{Error, Result};

/// Names the newest wireguard-go, which no package registry carries.
const NEWEST: &str = "MESH_BENCH_WIREGUARD_GO";

/// Names boringtun-cli where it is not in `$PATH`.
const BORINGTUN: &str = "MESH_BENCH_BORINGTUN";

/// Names more programs that behave like wireguard-go: `NAME=COMMAND`, separated by semicolons.
pub const OTHERS: &str = "MESH_BENCH_OTHERS";

/// The peers whose figures others are divided by, best first.
const BASES: [&str; 3] = ["wireguard-go-new", "wireguard-go", "boringtun-cli"];

/// The peers of a run.
pub struct Catalogue {
    /// Those that can run, in the order of the tables.
    pub present: Vec<Box<dyn Peer>>,
    /// The names of the others, each with the reason.
    pub skipped: Vec<(String, String)>,
}

impl Catalogue {
    /// Those called `names`, or all when there are no names, as this machine has them.
    pub fn find(names: &[String]) -> Result<Self> {
        let binaries = Binaries::find().map_err(|error| error.to_string());
        Self::choose(known(&std::env::var(OTHERS).unwrap_or_default(), binaries)?, names)
    }

    fn choose(mut all: Vec<Box<dyn Peer>>, names: &[String]) -> Result<Self> {
        if let Some(unknown) =
            names.iter().find(|name| all.iter().all(|peer| peer.name() != **name))
        {
            let known: Vec<&str> = all.iter().map(|peer| peer.name()).collect();
            return Err(Error::Failed(format!(
                "no peer is called `{unknown}`; there are {}, and what {OTHERS} names",
                known.join(", ")
            )));
        }
        all.retain(|peer| names.is_empty() || names.iter().any(|name| name == peer.name()));
        let mut catalogue = Self { present: Vec::new(), skipped: Vec::new() };
        for peer in all {
            match peer.available() {
                Ok(()) => catalogue.present.push(peer),
                Err(reason) => catalogue.skipped.push((peer.name().to_owned(), reason.to_string())),
            }
        }
        Ok(catalogue)
    }

    /// The peer others are divided by: the one asked for, or the best known one that is there.
    pub fn base(&self, asked: Option<&str>) -> Result<Option<String>> {
        let is_present = |name: &str| self.present.iter().any(|peer| peer.name() == name);
        match asked {
            Some(name) if is_present(name) => Ok(Some(name.to_owned())),
            Some(name) => {
                Err(Error::Failed(format!("the base `{name}` is not among the peers of this run")))
            }
            None => Ok(BASES.into_iter().find(|name| is_present(name)).map(str::to_owned)),
        }
    }
}

fn known(others: &str, binaries: Result<Binaries, String>) -> Result<Vec<Box<dyn Peer>>> {
    let boringtun = std::env::var(BORINGTUN).unwrap_or_else(|_| "boringtun-cli".to_owned());
    let boringtun = || {
        let program = find(&boringtun);
        WireGuard::new("boringtun-cli", program, &["-f", "--disable-drop-privileges", INTERFACE])
    };
    let two_threads = WireGuard {
        name: "boringtun-cli-t2".to_owned(),
        env: vec![("WG_THREADS", "2")],
        ..boringtun()
    };
    let newest = std::env::var(NEWEST)
        .map_err(|_| format!("{NEWEST} names no program"))
        .and_then(|path| find(&path));
    let ours =
        binaries.as_ref().map_err(Clone::clone).and_then(|binaries| plain_device(&binaries.meshd));
    let mut peers: Vec<Box<dyn Peer>> = vec![
        Box::new(Direct),
        Box::new(WireGuard::new(
            "meshd-wg",
            ours,
            &["wg", INTERFACE, "--foreground", "--state-dir", DIRECTORY],
        )),
        Box::new(TwoHosts { binaries }),
        Box::new(WireGuard::new("wireguard-go-new", newest, &["-f", INTERFACE])),
        Box::new(WireGuard::new("wireguard-go", find("wireguard-go"), &["-f", INTERFACE])),
        Box::new(boringtun()),
        Box::new(two_threads),
        Box::new(Nebula::find()),
        Box::new(Tinc::find()),
    ];
    for other in others.split(';').map(str::trim).filter(|other| !other.is_empty()) {
        peers.push(Box::new(parse_other(other)?));
    }
    Ok(peers)
}

fn find(name: &str) -> Program {
    programs::find(name).map_err(|error| error.to_string())
}

/// `meshd`, if it can be a plain WireGuard device.
fn plain_device(meshd: &Path) -> Program {
    let mut command = Command::new(meshd);
    command.args(["wg", "--help"]).stdout(Stdio::null()).stderr(Stdio::null());
    match command.status() {
        Ok(status) if status.success() => Ok(meshd.to_owned()),
        _ => Err("this `meshd` has no `wg`".to_owned()),
    }
}

/// `NAME=PROGRAM [ARG...]`. Without a place for the interface among the arguments it is started the way
/// wireguard-go is.
fn parse_other(text: &str) -> Result<WireGuard> {
    let wrong = || Error::Failed(format!("{OTHERS}: `{text}` is not NAME=COMMAND"));
    let (name, command) = text.split_once('=').ok_or_else(wrong)?;
    let mut words = command.split_whitespace();
    let program = words.next().ok_or_else(wrong)?;
    let mut args: Vec<&str> = words.collect();
    if !args.iter().any(|arg| arg.contains(INTERFACE)) {
        args.extend(["-f", INTERFACE]);
    }
    Ok(WireGuard::new(name.trim(), find(program), &args))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_programs_are_started_like_wireguard_go_unless_they_say_how() {
        let plain = parse_other("mine=sh").unwrap();
        assert_eq!((plain.name.as_str(), plain.args), ("mine", vec!["-f".into(), "{if}".into()]));
        let spoken = parse_other("mine = sh --tun {if} --quiet").unwrap();
        assert_eq!(spoken.name, "mine");
        assert_eq!(spoken.args, ["--tun", "{if}", "--quiet"]);
        assert!(parse_other("mine").is_err());
        assert!(parse_other("mine=").is_err());
    }

    #[test]
    fn what_is_missing_is_skipped_with_a_reason() {
        let peers = known("gone=/nowhere/at/all", Err("not built".into())).unwrap();
        let gone = peers.iter().find(|peer| peer.name() == "gone").unwrap();
        assert!(gone.available().unwrap_err().to_string().contains("/nowhere/at/all"));
    }

    #[test]
    fn a_base_must_run_too() {
        let catalogue = Catalogue { present: vec![Box::new(Direct)], skipped: Vec::new() };
        assert_eq!(catalogue.base(None).unwrap(), None);
        assert_eq!(catalogue.base(Some("direct")).unwrap().as_deref(), Some("direct"));
        assert!(catalogue.base(Some("tinc")).is_err());
    }

    #[test]
    fn a_peer_nobody_knows_is_an_error_that_names_those_there_are() {
        let all = known("", Err("not built".into())).unwrap();
        let error = Catalogue::choose(all, &["tink".to_owned()]).err().unwrap().to_string();
        assert!(error.contains("`tink`") && error.contains("tinc"), "{error}");
    }
}
