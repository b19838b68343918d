//! The bugs of `tests/planted` still fit the code they are planted in, and those that notice them are there.

// Everything here is test code: a panic is the report.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mesh_tests::binaries::workspace_root;
use mesh_tests::planted::{Bug, Witness};

/// Where they are told of.
const DOCUMENT: &str = "docs/testing.md";

/// How many there were when they were last counted, less two: one that goes with the code it was in shall be replaced.
const LEAST: usize = 80;

#[test]
fn each_planted_bug_fits_and_changes_something() {
    let root = workspace_root();
    let bugs = Bug::all(&root).unwrap();
    assert!(bugs.len() >= LEAST, "{} bugs", bugs.len());
    for bug in &bugs {
        let sound = fs::read_to_string(root.join(&bug.file)).unwrap();
        assert_ne!(bug.planted_in(&sound).unwrap(), sound, "{}", bug.what);
    }
    let told: BTreeSet<&String> = bugs.iter().map(|bug| &bug.what).collect();
    assert_eq!(told.len(), bugs.len(), "one is there twice");
}

#[test]
fn whoever_has_to_notice_a_planted_bug_is_there() {
    let root = workspace_root();
    for bug in Bug::all(&root).unwrap() {
        let (within, sought): (_, Vec<String>) = match &bug.noticed_by {
            Witness::Test { package, test, name, .. } => {
                let home = root.join(home_of(package));
                let within = match test {
                    Some(test) => home.join("tests").join(test),
                    None => home.join("src"),
                };
                let mut path = name.rsplit("::");
                let test = format!("fn {}(", path.next().unwrap());
                (within, path.map(|module| format!("mod {module}")).chain([test]).collect())
            }
            Witness::Seed { profile, invariant, .. } => (
                root.join("tests/sim/src"),
                vec![format!("\"{profile}\""), format!("\"{invariant}\"")],
            ),
        };
        for sought in sought {
            let there = says(&within, &sought) || says(&within.with_extension("rs"), &sought);
            assert!(there, "{}: no `{sought}` in {}", bug.what, within.display());
        }
    }
}

/// A bug that comes, goes or gets another witness has its line there, too.
#[test]
fn each_planted_bug_stands_in_the_document_as_it_is() {
    let root = workspace_root();
    let told = fs::read_to_string(root.join(DOCUMENT)).unwrap();
    let rows: BTreeSet<String> = Bug::all(&root).unwrap().iter().map(Bug::row).collect();
    let lacks: Vec<&String> =
        rows.iter().filter(|row| !told.lines().any(|line| line == *row)).collect();
    assert!(lacks.is_empty(), "{DOCUMENT} lacks {lacks:#?}");
    let gone = |line: &&str| names_a_test(line) && !rows.contains(*line);
    let gone: Vec<&str> = told.lines().filter(gone).collect();
    assert!(gone.is_empty(), "{DOCUMENT} tells of what is not planted so: {gone:#?}");
}

/// Whether `line` is of a table and ends as the planted bugs' do: with one piece of code, a package or a profile before a name.
fn names_a_test(line: &str) -> bool {
    let cell = line.strip_suffix("` |").and_then(|line| line.rsplit_once(" | `"));
    let words =
        cell.filter(|(_, code)| !code.contains('`')).and_then(|(_, code)| code.rsplit_once(' '));
    words.is_some_and(|(_, name)| name.contains('_'))
}

/// Where a package is.
fn home_of(package: &str) -> &str {
    match package {
        "mesh-control" => "control",
        "mesh-dataplane" => "dataplane",
        "meshd" => "meshd",
        other => panic!("no bug of {other} can be planted"),
    }
}

/// Whether a file, or one below a directory, has `sought` in it.
fn says(path: &Path, sought: &str) -> bool {
    if path.is_dir() {
        return fs::read_dir(path).unwrap().any(|entry| says(&entry.unwrap().path(), sought));
    }
    fs::read_to_string(path).is_ok_and(|text| text.contains(sought))
}
