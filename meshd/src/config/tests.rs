//! Layers, and every way a value can be wrong.

use std::path::Path;

use clap::Parser as _;

use super::*;
use crate::args::{Args, Command};

/// The shipped file.
const SAMPLE: &str = include_str!("../../../config/meshd.toml");

type Variables<'a> = &'a [(&'a str, &'a str)];

/// Loads with a file of content `file`, if any, as an ordinary user.
fn load_with(
    file: Option<&str>,
    variables: Variables<'_>,
    flags: &RunArgs,
) -> Result<Loaded, ConfigError> {
    let dir = tempfile::tempdir().expect("a directory");
    let mut flags = flags.clone();
    if let Some(text) = file {
        let path = dir.path().join("meshd.toml");
        std::fs::write(&path, text).expect("written");
        flags.config = Some(path.to_str().expect("text").to_owned());
    }
    let env = |name: &str| match variables.iter().find(|(known, _)| *known == name) {
        Some((_, value)) => Some(OsString::from(value)),
        None => (name == "HOME").then(|| "/home/ann".into()),
    };
    load(&flags, &env, false)
}

fn config(file: &str) -> Config {
    let config = load_with(Some(file), &[], &RunArgs::default()).expect("valid").config;
    // The directory's name is random.
    Config { file: None, ..config }
}

fn error(file: &str) -> String {
    let error = load_with(Some(file), &[], &RunArgs::default()).expect_err(file).to_string();
    // The directory's name is random.
    error[error.find("meshd.toml").expect("names the file")..].to_owned()
}

fn root(variables: Variables<'_>) -> Config {
    let env = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
    };
    // The build host may have a file of its own.
    let flags = RunArgs { config: Some("/dev/null".to_owned()), ..RunArgs::default() };
    load(&flags, &env, true).expect("valid").config
}

#[test]
fn a_later_layer_wins() {
    let file = "listen = 1000\ntun = 'file0'\n[log]\nfilter = 'warn'\n";
    let variables = [
        ("MESHD_WORKERS", "2"),
        ("MESHD_OFFLOADS", "udp_gro, tun_tcp"),
        ("MESHD_POST_QUANTUM", "prefer"),
        ("MESHD_TUN", "env0"),
        ("MESHD_LOG", "debug"),
        ("MESHD_LISTEN", ""),
    ];
    let flags = RunArgs { log: Some("trace".to_owned()), ..RunArgs::default() };
    let loaded = load_with(Some(file), &variables, &flags).expect("valid");
    assert_eq!(loaded.config.listen.port, 1000, "empty variables count as unset");
    assert_eq!(loaded.config.tun, Tun::Kernel("env0".to_owned()));
    assert_eq!(loaded.config.log.filter, "trace");
    let explained = loaded.explain();
    for line in [
        "listen = 1000  # /",
        "tun = \"env0\"  # environment variable MESHD_TUN",
        "log.filter = \"trace\"  # flag --log",
        "mtu = 1400  # default",
        "workers = 2  # environment variable MESHD_WORKERS",
        "offloads = [\"tun_tcp\", \"udp_gro\"]  # environment variable MESHD_OFFLOADS",
        "post_quantum = \"prefer\"  # environment variable MESHD_POST_QUANTUM",
    ] {
        assert!(explained.contains(line), "{line} not in\n{explained}");
    }
    assert!(explained.contains("meshd.toml:1\n"), "{explained}");
}

#[test]
fn a_plain_device_heeds_flags_and_variables() {
    let line = ["meshd", "wg", "wg0", "--workers=2", "--offloads=tun_tcp", "--log-format=json"];
    let args = Args::try_parse_from(line).expect("flags of a plain device");
    let Command::Wg(args) = args.command else { panic!("not `wg`") };
    let variables = [("MESHD_OFFLOADS", "none"), ("MESHD_LOG", "debug"), ("MESHD_TUN", "not read")];
    let env = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
    };
    let PlainConfig { log, workers, offloads } = load_plain(&args, &env).expect("valid");
    assert_eq!((workers, log.filter.as_str(), log.format), (2, "debug", LogFormat::Json));
    assert_eq!(offloads, Offloads { tun_tcp: true, ..Offloads::NONE });
}

#[test]
fn a_mistake_in_a_lower_layer_is_an_error_even_when_overridden() {
    let flags = RunArgs { tun: Some("none".to_owned()), ..RunArgs::default() };
    let error = load_with(Some("tun = 7"), &[], &flags).expect_err("wrong").to_string();
    assert!(error.contains("`tun` is 7"), "{error}");
}

#[test]
fn places_depend_on_who_runs_it() {
    let places = |config: Config| (config.state_dir, config.socket);
    let expected = |dir: &str, socket: &str| (PathBuf::from(dir), PathBuf::from(socket));
    assert_eq!(places(root(&[])), expected("/var/lib/meshd", "/run/meshd/meshd.sock"));
    assert_eq!(
        places(root(&[("STATE_DIRECTORY", "/s/m"), ("RUNTIME_DIRECTORY", "/r/m")])),
        expected("/s/m", "/r/m/meshd.sock")
    );
    let user =
        |variables| places(load_with(Some(""), variables, &RunArgs::default()).expect("ok").config);
    let home = "/home/ann/.local/state/meshd";
    assert_eq!(user(&[]), expected(home, &format!("{home}/meshd.sock")));
    assert_eq!(
        user(&[("XDG_STATE_HOME", "/x"), ("XDG_RUNTIME_DIR", "/run/user/7")]),
        expected("/x/meshd", "/run/user/7/meshd/meshd.sock")
    );
    assert_eq!(user(&[("XDG_STATE_HOME", "relative")]).0, Path::new(home));
    assert_eq!(
        user(&[("MESHD_STATE_DIR", "/elsewhere")]),
        expected("/elsewhere", "/elsewhere/meshd.sock")
    );
    assert!(matches!(
        load_with(None, &[("HOME", "")], &RunArgs::default()),
        Err(ConfigError::NoStateDir)
    ));
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_key() {
    for (file, message) in [
        ("\n\nlisen = 1", "meshd.toml:3: unknown key `lisen`; did you mean `listen`?"),
        ("state-dir = '/x'", "meshd.toml:1: unknown key `state-dir`; did you mean `state_dir`?"),
        (
            "[log]\nfliter = 'x'",
            "meshd.toml:2: unknown key `log.fliter`; did you mean `log.filter`?",
        ),
        ("filter = 'info'", "meshd.toml:1: unknown key `filter`; did you mean `log.filter`?"),
        ("log = 'info'", "meshd.toml:1: unknown key `log`"),
        ("[logs]\nfilter = 'x'", "meshd.toml:1: unknown key `logs`"),
        ("colour = 1", "meshd.toml:1: unknown key `colour`"),
    ] {
        assert!(error(file).starts_with(message), "{file}: {}", error(file));
    }
    assert!(!error("zzz = 1").contains("did you mean"));
}

#[test]
fn a_wrong_value_is_named_with_what_was_found_and_what_is_allowed() {
    for (file, message) in [
        ("mtu = 9000", "meshd.toml:1: `mtu` is 9000; allowed: a number of bytes from 1280 to 1400"),
        ("mtu = '1400'", "`mtu` is \"1400\"; allowed: a number"),
        ("mtu = 1.5", "`mtu` is 1.5; allowed: a number"),
        ("mtu = 99999999999999999999", "`mtu` is 99999999999999999999; allowed: a number"),
        ("workers = 0", "`workers` is 0; allowed: a number of packet threads from 1 to 8"),
        ("workers = 9", "`workers` is 9; allowed"),
        (
            "offloads = ['tun_tcp', 'udp_gs0']",
            "`offloads` is a list of 2; allowed: \"all\" or \"none\" by itself, or some of tun_tcp, \
             tun_udp, udp_gso, udp_gro, which \"udp_gs0\" is not",
        ),
        (
            "post_quantum = 'on'",
            "`post_quantum` is \"on\"; allowed: \"off\", \"prefer\" or \"require\"",
        ),
        ("offloads = 'tun_tcp, gso'", "`offloads` is \"tun_tcp, gso\"; allowed: \"all\" or"),
        ("offloads = 'tun_tcp, gso'", "which \"gso\" is not"),
        ("offloads = 'tun_tcp,'", "which \"\" is not"),
        ("offloads = ['all']", "which \"all\" is not"),
        ("offloads = [1]", "which 1 is not"),
        ("offloads = false", "`offloads` is false; allowed: \"all\" or \"none\""),
        (
            "offloads = ['tun_udp', 'udp_gso']",
            "allowed: \"tun_udp\" together with \"tun_tcp\" only",
        ),
        ("workers = 'two'", "`workers` is \"two\"; allowed"),
        ("listen = 65536", "`listen` is 65536; allowed: a UDP port from 0 to 65535"),
        ("listen = -1", "`listen` is -1; allowed"),
        ("listen = 'localhost:1'", "`listen` is \"localhost:1\"; allowed"),
        ("listen = '224.0.0.1:1'", "allowed"),
        ("listen = true", "`listen` is true; allowed"),
        ("[listen]\nport = 1", "`listen` is a table; allowed"),
        ("name = 'Edge One'", "`name` is \"Edge One\"; allowed: 1 to 63 lower-case letters"),
        ("tun = ''", "`tun` is \"\"; allowed: an interface name"),
        ("tun = 'a-name-too-long0'", "allowed: an interface name of 1 to 15"),
        ("tun = 'mesh%d'", "allowed: an interface name"),
        ("tun = '..'", "allowed: an interface name"),
        ("state_dir = 'here'", "`state_dir` is \"here\"; allowed: an absolute path"),
        ("socket = 1979-05-27", "`socket` is the date 1979-05-27; allowed: a path"),
        ("endpoints = '1.2.3.4:5'", "allowed: a list of addresses"),
        ("endpoints = ['1.2.3.4:5', '1.2.3.4']", "which \"1.2.3.4\" is not"),
        ("endpoints = ['0.0.0.0:5']", "which \"0.0.0.0:5\" is not"),
        ("endpoints = ['1.2.3.4:0']", "which \"1.2.3.4:0\" is not"),
        ("endpoints = ['255.255.255.255:1']", "is not"),
        ("[log]\nfilter = 'loud'", "meshd.toml:2: `log.filter` is \"loud\"; allowed: a level"),
        ("[log]\nfilter = 'meshd=loud'", "`log.filter` is \"meshd=loud\"; allowed: a level"),
        ("[log]\nformat = 'xml'", "`log.format` is \"xml\"; allowed: \"auto\""),
    ] {
        assert!(error(file).contains(message), "{file}: {}", error(file));
    }
    let nine = format!("endpoints = [{}]", "'1.2.3.4:5', ".repeat(9));
    assert!(
        error(&nine).contains("`endpoints` is a list of 9; allowed: at most 8"),
        "{}",
        error(&nine)
    );
}

#[test]
fn wrong_values_name_the_variable_or_flag() {
    let flags = RunArgs { listen: Some("port".to_owned()), ..RunArgs::default() };
    let error = load_with(Some(""), &[], &flags).expect_err("wrong").to_string();
    assert!(error.starts_with("flag --listen: `listen` is \"port\"; allowed"), "{error}");
    let variables = [("MESHD_TUN", "a b")];
    let error =
        load_with(Some(""), &variables, &RunArgs::default()).expect_err("wrong").to_string();
    assert!(error.starts_with("environment variable MESHD_TUN: `tun` is"), "{error}");
}

#[test]
fn garbled_files_are_refused_with_their_line() {
    assert!(error("listen = 1\nlisten = 2").starts_with("meshd.toml:2: not valid TOML"));
    assert!(error("a = 1\n= 2").starts_with("meshd.toml:2: not valid TOML"));
    assert!(error(&"#".repeat(file::MAX_FILE + 1)).contains("longer than"));
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.toml");
    std::fs::write(&path, b"# fine\n\xff\xfe").expect("written");
    let error = file::read(&path).expect_err("not text").to_string();
    assert!(error.ends_with("x.toml:2: not valid TOML: bytes that are not UTF-8"), "{error}");
}

#[test]
fn a_file_that_was_named_must_exist() {
    let flags = RunArgs { config: Some("/nonexistent/x.toml".to_owned()), ..RunArgs::default() };
    let error = load_with(None, &[], &flags).expect_err("missing");
    assert!(matches!(error, ConfigError::Unreadable { .. }), "{error}");
}

#[test]
fn listen_takes_a_port_or_an_address() {
    let listen = |text: &str| config(&format!("listen = {text}")).listen.to_string();
    assert_eq!(listen("0"), "0");
    assert_eq!(listen("'7000'"), "7000");
    assert_eq!(listen("'192.0.2.1:7000'"), "192.0.2.1:7000");
    assert_eq!(listen("'[::]:7000'"), "[::]:7000");
}

#[test]
fn the_shipped_file_changes_nothing() {
    assert_eq!(config(SAMPLE), config(""));
}

/// What the shipped file says about a default is the default, and it names every key.
#[test]
fn the_shipped_file_shows_every_key_at_its_default() {
    let assignment = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        (line.contains(" = ") && is_key) || ["[backup]", "[log]"].contains(&line)
    };
    let uncommented: String = SAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if assignment(rest) => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let entries = file::parse(Path::new("meshd.toml"), &uncommented).expect("valid");
    let found: Vec<_> = entries.iter().map(|entry| entry.setting.key).collect();
    for key in settings::keys() {
        assert!(found.contains(&key), "{key} is not in config/meshd.toml");
    }
    let mut shown = root(&[]);
    for entry in entries {
        (entry.setting.set)(&mut shown, &entry.value, &entry.source).expect("allowed");
    }
    assert_eq!(shown.name.take().map(String::from).as_deref(), Some("edge-1"), "an example");
    let backups = std::mem::take(&mut shown.backup_given);
    let plan = backups.plan().expect("complete").expect("an example of its own");
    assert_eq!((plan.keeping.every_ms, plan.keeping.keep), (24 * 3_600_000, 7));
    assert_eq!(backups.keep(), BackupGiven::default().keep());
    assert_eq!(shown, root(&[]));
}

#[test]
fn backups_are_planned_when_all_of_it_is_there() {
    let all = "[backup]\nevery = '90m'\nkeep = 3\ndirectory = '/b'\nrecipients = ['age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p']\n";
    let plan = config(all).backup.expect("a plan");
    assert_eq!((plan.keeping.every_ms, plan.keeping.keep), (5_400_000, 3));
    assert_eq!((plan.directory, plan.recipients.len()), ("/b".into(), 1));
    assert_eq!(config("").backup, None);
    assert_eq!(config("[backup]\nkeep = 3\n").backup, None);
    for key in ["every", "directory", "recipients"] {
        let line = all.lines().find(|line| line.starts_with(key)).expect("a line");
        let without = all.replace(line, "");
        let error = load_with(Some(&without), &[], &RunArgs::default()).expect_err(key);
        assert!(error.to_string().ends_with(&format!("but no `{key}`")), "{error}");
    }
    for (wrong, part) in [
        ("every = '59s'", "from \"60s\""),
        ("every = '-90s'", "from \"60s\""),
        ("every = '1w'", "from \"60s\""),
        ("every = 3600", "from \"60s\""),
        ("every = '99999999999999999999d'", "from \"60s\""),
        ("keep = 0", "from 1 to 1000"),
        ("directory = 'here'", "an absolute path"),
        ("recipients = ['age1nobody']", "age recipients"),
        ("recipients = 'age1'", "a list"),
    ] {
        let error = error(&format!("[backup]\n{wrong}\n"));
        assert!(error.contains(part), "{wrong}: {error}");
    }
}
