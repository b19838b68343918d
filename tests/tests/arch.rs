//! The directions of docs/architecture.md, held against what cargo says is there.

// Everything here is test code: a panic is the report.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use mesh_tests::binaries::workspace_root;

/// Who may know whom, of the packages of the house. Anything not named is forbidden, for tests too.
const ARROWS: [(&str, &[&str]); 10] = [
    // Under openraft, known to nobody by name.
    ("base2histogram", &[]),
    ("mesh-model", &[]),
    ("mesh-dataplane", &["mesh-model"]),
    ("mesh-control", &["mesh-model"]),
    ("mesh-cli", &["mesh-model"]),
    ("mesh-ring", &[]),
    ("meshd", &["mesh-control", "mesh-dataplane", "mesh-model", "mesh-ring"]),
    ("mesh-tests", &["mesh-model"]),
    ("mesh-sim", &["mesh-control", "mesh-dataplane", "mesh-model"]),
    ("mesh-fuzz", &["mesh-dataplane", "mesh-model"]),
];

/// Packages in workspaces of their own: features and compilers that nobody else shall have.
const OUTSIDE: [(&str, &str); 2] =
    [("mesh-sim", "tests/sim/Cargo.toml"), ("mesh-fuzz", "tests/fuzz/Cargo.toml")];

/// Crates that only these packages may name themselves: one home for each big decision.
const HOMES: [(&str, &[&str]); 10] = [
    ("bincode", &["mesh-model"]),
    ("boringtun", &["mesh-dataplane"]),
    ("foca", &["mesh-control"]),
    ("openraft", &["mesh-control", "mesh-sim"]),
    ("redb", &["mesh-control", "meshd", "mesh-sim"]),
    ("axum", &["meshd"]),
    ("quinn", &["meshd"]),
    ("quinn-udp", &["meshd"]),
    ("tun-rs", &["meshd"]),
    ("rtnetlink", &["meshd", "mesh-tests"]),
];

/// Crates that bring sockets, files, clocks or threads of their own: no core names one.
const SHELL_ONLY: [&str; 12] = [
    "axum",
    "getrandom",
    "hyper",
    "hyper-util",
    "libc",
    "nix",
    "quinn",
    "quinn-udp",
    "rtnetlink",
    "socket2",
    "tempfile",
    "tun-rs",
];

/// The packages that must stay free of the outside world.
const CORES: [&str; 4] = ["base2histogram", "mesh-model", "mesh-control", "mesh-dataplane"];

/// What each of these must not contain at any depth, tests apart.
const NOT_INSIDE: [(&str, &[&str]); 5] = [
    ("mesh-model", &["tokio", "openraft", "boringtun", "quinn"]),
    // boringtun is what its tests talk to, with a clock that stands still.
    ("mesh-dataplane", &["boringtun", "tokio", "openraft", "quinn", "redb"]),
    ("mesh-control", &["boringtun", "quinn", "tun-rs", "axum"]),
    ("mesh-cli", &["openraft", "boringtun", "quinn", "tun-rs"]),
    ("meshd", &["boringtun", "mock_instant"]),
];

/// What openraft needs of tokio inside the control core: channels and macros, nothing that touches
/// the world.
const TOKIO_IN_CORE: [&str; 3] = ["macros", "rt", "sync"];

static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    MetadataCommand::new()
        .cargo_path(env!("CARGO"))
        .current_dir(workspace_root())
        .other_options(vec!["--locked".to_owned(), "--filter-platform".to_owned(), platform])
        .exec()
        .unwrap()
});

fn members() -> Vec<&'static Package> {
    METADATA.workspace_packages()
}

fn member(name: &str) -> &'static Package {
    let found = members().into_iter().find(|package| package.name == name);
    found.unwrap_or_else(|| panic!("no package {name} in the workspace"))
}

/// The arrows of `from` to packages of the house that [`ARROWS`] does not allow.
fn forbidden_arrows(from: &str, named: &BTreeSet<String>) -> Vec<String> {
    let house: BTreeMap<_, _> = ARROWS.into_iter().collect();
    let allowed = house.get(from).copied().unwrap_or_default();
    named
        .iter()
        .filter(|to| house.contains_key(to.as_str()) && !allowed.contains(&to.as_str()))
        .map(|to| format!("{from} -> {to}"))
        .collect()
}

/// Everything `package` names in its manifest, for whatever purpose.
fn named_by(package: &Package) -> BTreeSet<String> {
    let names = package.dependencies.iter();
    names.map(|dependency| dependency.name.clone()).collect()
}

#[test]
fn no_package_knows_one_it_must_not() {
    let wrong: Vec<_> = members()
        .iter()
        .flat_map(|package| forbidden_arrows(&package.name, &named_by(package)))
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_package_of_the_house_is_judged() {
    let known: BTreeSet<_> = ARROWS.iter().map(|(name, _)| *name).collect();
    for package in members() {
        assert!(known.contains(package.name.as_str()), "{}", package.name);
    }
}

#[test]
fn a_forbidden_arrow_is_found() {
    let named = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(
        forbidden_arrows("mesh-control", &named(&["mesh-dataplane", "mesh-model", "serde"])),
        ["mesh-control -> mesh-dataplane"]
    );
    assert_eq!(forbidden_arrows("meshd", &named(&["mesh-control", "tokio"])).len(), 0);
    assert_eq!(forbidden_arrows("mesh-tests", &named(&["meshd"])).len(), 1);
}

#[test]
fn what_stands_outside_never_meets_the_daemon() {
    for (name, manifest) in OUTSIDE {
        let manifest = workspace_root().join(manifest);
        assert!(members().iter().all(|package| package.name != name));
        let named =
            manifest_dependencies(&read_manifest(&manifest)).map(|(name, _)| name).collect();
        assert_eq!(forbidden_arrows(name, &named), Vec::<String>::new());
    }
}

#[test]
fn each_big_dependency_has_one_home() {
    for package in members() {
        let named = named_by(package);
        for (dependency, homes) in HOMES {
            assert!(
                !named.contains(dependency) || homes.contains(&package.name.as_str()),
                "{} names {dependency}, which belongs to {homes:?}",
                package.name
            );
        }
    }
}

#[test]
fn no_core_names_a_crate_of_the_outside_world() {
    for core in CORES {
        for dependency in &member(core).dependencies {
            if dependency.kind == DependencyKind::Development {
                continue;
            }
            assert!(
                !SHELL_ONLY.contains(&dependency.name.as_str()),
                "{core} names {}",
                dependency.name
            );
            if dependency.name == "tokio" {
                let extra: Vec<_> = dependency
                    .features
                    .iter()
                    .filter(|feature| !TOKIO_IN_CORE.contains(&feature.as_str()))
                    .collect();
                assert!(extra.is_empty(), "{core} asks tokio for {extra:?}");
            }
        }
    }
}

#[test]
fn nothing_forbidden_lies_inside_at_any_depth() {
    for (package, forbidden) in NOT_INSIDE {
        let inside = everything_inside(package);
        assert!(inside.contains("serde"), "{package}: the walk finds nothing");
        for name in forbidden {
            assert!(!inside.contains(*name), "{package} contains {name}");
        }
    }
}

/// The names of all packages that a build of `name` contains.
fn everything_inside(name: &str) -> BTreeSet<String> {
    let nodes: BTreeMap<_, _> =
        METADATA.resolve.as_ref().unwrap().nodes.iter().map(|node| (&node.id, node)).collect();
    let mut seen = BTreeSet::new();
    let mut open = vec![&member(name).id];
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            let needed = nodes[id].deps.iter().filter(|dependency| {
                let mut kinds = dependency.dep_kinds.iter();
                kinds.any(|kind| kind.kind == DependencyKind::Normal)
            });
            open.extend(needed.map(|dependency| &dependency.pkg));
        }
    }
    seen.iter().map(|&id| METADATA[id].name.to_string()).collect()
}

#[test]
fn nothing_is_under_a_licence_of_the_gpl_family() {
    for package in &METADATA.packages {
        let licence = package.license.as_deref().unwrap_or_default();
        let has_file = package.license_file.is_some();
        assert!(has_file || !licence.is_empty(), "{} names no licence", package.name);
        assert!(!forces_gpl(licence), "{} is under {licence}", package.name);
    }
}

/// Whether every choice an SPDX expression leaves is of the GPL family.
fn forces_gpl(licence: &str) -> bool {
    licence.contains("GPL")
        && licence
            .split(" OR ")
            .flat_map(|choice| choice.split('/'))
            .all(|choice| choice.contains("GPL"))
}

#[test]
fn a_licence_is_judged_by_its_choices() {
    assert!(forces_gpl("GPL-3.0-only"));
    assert!(forces_gpl("AGPL-3.0 OR LGPL-3.0"));
    assert!(!forces_gpl("MIT OR Apache-2.0 OR LGPL-2.1-or-later"));
    assert!(!forces_gpl("Apache-2.0"));
}

#[test]
fn every_version_stands_in_the_one_table() {
    for path in manifests() {
        let table = read_manifest(&path);
        for (name, value) in manifest_dependencies(&table) {
            let inherits = value.get("workspace").and_then(toml::Value::as_bool);
            assert_eq!(inherits, Some(true), "{name} in {}", path.display());
            assert!(value.get("version").is_none(), "{name} in {}", path.display());
        }
    }
}

#[test]
fn every_package_obeys_the_lints_and_the_cores_their_bans() {
    for path in manifests() {
        let inherits =
            read_manifest(&path).get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
        assert_eq!(inherits, Some(true), "{}", path.display());
    }
    for core in ["control", "dataplane"] {
        let bans = fs::read_to_string(workspace_root().join(core).join("clippy.toml"))
            .unwrap_or_else(|error| panic!("{core}/clippy.toml: {error}"));
        for banned in [
            "std::time::Instant::now",
            "std::time::SystemTime::now",
            "std::net::UdpSocket",
            "std::fs::File",
            "std::thread::spawn",
            "std::collections::HashMap",
        ] {
            assert!(bans.contains(banned), "{core}/clippy.toml does not ban {banned}");
        }
    }
}

fn manifests() -> Vec<PathBuf> {
    let paths = members().into_iter().map(|package| &package.manifest_path);
    paths.map(|path| path.clone().into_std_path_buf()).collect()
}

fn read_manifest(path: &Path) -> toml::Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

/// All dependencies of a manifest, of every kind and target.
fn manifest_dependencies(table: &toml::Table) -> impl Iterator<Item = (String, toml::Value)> {
    let targets = table.get("target").and_then(toml::Value::as_table);
    let tables = std::iter::once(table).chain(
        targets.into_iter().flat_map(|targets| targets.values().filter_map(toml::Value::as_table)),
    );
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let found: Vec<_> = tables
        .flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)?.as_table()))
        .flat_map(|dependencies| dependencies.clone().into_iter())
        .collect();
    found.into_iter()
}

/// Calls that put bytes or names on disk, or take them away.
const DURABLE: [&str; 9] = [
    "sync_all(",
    "sync_data(",
    "fs::rename(",
    "remove_file(",
    "fs::write(",
    ".set_len(",
    "fs::create_dir",
    "DirBuilder",
    "remove_dir_all(",
];

/// Where the daemon makes them: at home, each beside its failpoint, and where nobody relies on them after a
/// crash (who holds the lock, the name of a socket and its directory).
const DURABLE_HOMES: [&str; 6] = [
    "api/socket.rs",
    "io/disk.rs",
    "io/log_file.rs",
    "io/unix_socket.rs",
    "state_dir/lock.rs",
    "wg/socket.rs",
];

#[test]
fn every_durable_step_of_the_daemon_is_made_where_its_failpoint_is() {
    let root = workspace_root().join("meshd/src");
    let mut found = BTreeSet::new();
    for path in sources(&root) {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
        if DURABLE.iter().any(|call| code.contains(call)) {
            found.insert(path.strip_prefix(&root).unwrap().display().to_string());
        }
    }
    assert_eq!(found, DURABLE_HOMES.map(str::to_owned).into());
}

/// The sources below `dir` that are not tests.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let (dirs, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| {
        !path.ends_with("tests.rs") && path.extension().is_some_and(|extension| extension == "rs")
    });
    let dirs = dirs.iter().filter(|dir| !dir.ends_with("tests"));
    files.chain(dirs.flat_map(|dir| sources(dir))).collect()
}
