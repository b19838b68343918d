//! The program itself: which runs it makes of what it is asked for, and what it says of them.

use std::process::{Command, Output};

use mesh_sim::profile;

fn mesh_sim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mesh-sim")).args(args).output().expect("it starts")
}

#[test]
fn all_profiles_are_run_and_each_and_the_whole_are_summed_up() {
    let ran = mesh_sim(&["--seeds", "0..2", "--profile", "all", "--steps", "200", "--twice"]);
    let said = String::from_utf8(ran.stdout).expect("text");
    assert!(ran.status.success(), "{said}");
    let runs = profile::ALL.map(|profile| format!("{}: 4 runs, 0 seeds failed, ", profile.name));
    let all = format!("all: {} runs, 0 seeds failed, ", 4 * profile::ALL.len());
    let begin: Vec<_> = runs.iter().chain([&all]).collect();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), begin.len(), "{said}");
    assert!(lines.iter().zip(begin).all(|(line, begins)| line.starts_with(begins)), "{said}");
}

#[test]
fn what_is_of_one_profile_is_refused_for_all() {
    for args in [&["--seed", "0", "--trace"][..], &["--kept", "seeds/chaos.seeds"]] {
        let ran = mesh_sim(&[args, &["--profile", "all"]].concat());
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(2), "{said}");
        assert!(said.contains("is for one profile"), "{said}");
    }
}

#[test]
fn bugs_are_planted_in_all_profiles_and_each_failure_is_told_with_its_profile() {
    let ran = mesh_sim(&["--seed", "0", "--profile", "all", "--plant", "any-source"]);
    let said = String::from_utf8(ran.stdout).expect("text");
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("mesh-sim --seed 0 --profile core  # honest_sources: "), "{said}");
    assert!(said.contains("core: 1 runs, 1 seeds failed, "), "{said}");
}
