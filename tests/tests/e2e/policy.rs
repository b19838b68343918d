//! Who may reach whom: real connections through real interfaces, under a policy that changes.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use mesh_model::api::v1::{
    Audit, BanReply, ErrorCode, Policy, PolicyReply, PolicyTest, TagReply, UnbanReply, Voters,
};
use mesh_model::audit::Event;
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::mesh::exit;
use mesh_tests::traffic::ping;
use mesh_tests::{Lab, eventually, needs_namespaces};

use crate::{LIMIT, addresses, alone, assert_reaches, bridged};

/// How long a connection or an answer that must not come is waited for: a thousand round trips on a bridge.
const SILENCE: Duration = Duration::from_millis(500);

/// A port that the policies of these tests open, one that they do not, and one of n3 that n2 talks to.
const OPEN: u16 = 8080;
const SHUT: u16 = 9090;
const THEIRS: u16 = 7000;

/// Everybody may use what is tagged web, n2 something of n3's; nothing else is allowed.
const POLICY: &str = r#"
[[allow]]
from = ["any"]
to = ["tag:web"]
protocol = "tcp"
ports = [8080]

[[allow]]
from = ["n2"]
to = ["n3"]
protocol = "tcp"
ports = ["7000-7001"]
"#;

/// Answers everybody who connects to `port` of host `number` with what they say, as long as the process lives.
fn serve(lab: &Lab, number: usize, port: u16) {
    for address in addresses(lab, number) {
        let at = SocketAddr::new(address, port);
        let listener = lab.host(number).netns().run(|| TcpListener::bind(at)).unwrap().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                std::thread::spawn(move || {
                    let mut word = [0; 5];
                    while stream.read_exact(&mut word).is_ok() && stream.write_all(&word).is_ok() {}
                });
            }
        });
    }
}

fn connect(lab: &Lab, from: usize, to: IpAddr, port: u16) -> Option<TcpStream> {
    let at = SocketAddr::new(to, port);
    let stream = lab.host(from).netns().run(|| TcpStream::connect_timeout(&at, SILENCE));
    stream.unwrap().ok()
}

/// Whether what is said on `stream` is answered.
fn is_alive(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    let mut word = [0; 5];
    stream.write_all(b"hello").is_ok() && stream.read_exact(&mut word).is_ok()
}

/// Whether host `from` can talk to `port` of host `to`, over both families alike.
#[track_caller]
fn connects(lab: &Lab, from: usize, to: usize, port: u16) -> bool {
    let [v4, v6] = addresses(lab, to).map(|address| {
        connect(lab, from, address, port).is_some_and(|mut stream| is_alive(&mut stream))
    });
    assert_eq!(v4, v6, "n{from} to n{to}, port {port}");
    v4
}

fn set(lab: &Lab, policy: &str) -> PolicyReply {
    let words = ["policy", "set", "-", "--wait"];
    lab.host(1).mesh().run_with_input(&words, policy).unwrap().document().unwrap()
}

fn denied(lab: &Lab, number: usize) -> u64 {
    lab.host(number).dropped("policy_denied").unwrap()
}

#[test]
fn a_policy_holds_at_once_for_what_is_new_and_what_goes_on() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(3);
    lab.wait_equal_state(3).unwrap();
    for (from, to) in [(1, 2), (3, 2), (2, 3), (3, 1)] {
        assert_reaches(&lab, from, to);
    }
    for (number, port) in [(2, OPEN), (2, SHUT), (3, THEIRS), (1, OPEN)] {
        serve(&lab, number, port);
    }
    assert!(connects(&lab, 3, 2, OPEN) && connects(&lab, 3, 2, SHUT), "there is no policy");
    let [to_two, _] = addresses(&lab, 2);
    let [to_three, _] = addresses(&lab, 3);
    let mut theirs = connect(&lab, 3, to_two, SHUT).unwrap();
    let mut ours = connect(&lab, 2, to_three, THEIRS).unwrap();
    assert!(is_alive(&mut theirs) && is_alive(&mut ours));

    let unknown = lab.host(1).mesh().run_with_input(&["policy", "set", "-"], POLICY).unwrap();
    let unknown = unknown.error(exit::USAGE).unwrap();
    assert_eq!(unknown.code, ErrorCode::BadRequest);
    assert!(unknown.message.contains("tag:web"), "{unknown:?}");
    let _: TagReply = lab.host(1).mesh().get(&["tag", "n2", "--add", "web", "--wait"]).unwrap();
    let set_first = set(&lab, POLICY);
    assert_eq!((set_first.serial, set_first.rules), (1, 2));

    // Applied everywhere; the packet threads hear of it within moments.
    eventually(LIMIT, "the policy holds", || (!connects(&lab, 3, 2, SHUT)).then_some(())).unwrap();
    assert!(connects(&lab, 3, 2, OPEN) && connects(&lab, 1, 2, OPEN));
    assert!(!connects(&lab, 3, 1, OPEN), "n1 is not tagged");
    assert!(ping(lab.host(3).netns(), to_two, SILENCE).is_err(), "no rule allows echoes");
    assert!(!is_alive(&mut theirs), "what n3 began with n2 is cut");
    assert!(
        is_alive(&mut ours),
        "what n2 began with n3 goes on: n3 lets it in, and n2 its answers"
    );
    assert!(denied(&lab, 2) > 0 && denied(&lab, 1) > 0);
    lab.host(3).mesh().run(&["ping", "n2", "-c", "1"]).unwrap().text().expect("an answer");

    let by_rule: PolicyTest =
        lab.host(3).mesh().get(&["policy", "test", "n3", "n2", "tcp", "8080"]).unwrap();
    assert_eq!((by_rule.allowed, by_rule.rule), (true, Some(1)));
    let words = ["policy", "test", "n3", "n2", "tcp", "9090"];
    assert_eq!(lab.host(3).mesh().run(&words).unwrap().code, Some(exit::FAILED));

    // A tag taken is a door shut, and given a door opened.
    let _: TagReply = lab.host(1).mesh().get(&["tag", "n2", "--remove", "web", "--wait"]).unwrap();
    eventually(LIMIT, "n2 is shut", || (!connects(&lab, 3, 2, OPEN)).then_some(())).unwrap();
    let _: TagReply = lab.host(1).mesh().get(&["tag", "n1", "--add", "web", "--wait"]).unwrap();
    eventually(LIMIT, "n1 is open", || connects(&lab, 3, 1, OPEN).then_some(())).unwrap();

    let everything = "[[allow]]\nfrom = ['any']\nto = ['any']\nprotocol = 'any'\n";
    assert_eq!(set(&lab, everything).serial, 2);
    eventually(LIMIT, "all is open", || connects(&lab, 3, 2, SHUT).then_some(())).unwrap();
    assert_reaches(&lab, 3, 2);
    let trail: Audit = lab.host(3).mesh().get(&["audit"]).unwrap();
    let policies = trail.entries.iter().filter(|it| matches!(it.event, Event::AccessSet { .. }));
    assert_eq!(policies.count(), 2);
}

#[test]
fn bans_and_restarts_leave_a_policy_as_it_is() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(3);
    lab.wait_equal_state(3).unwrap();
    for (number, port) in [(2, OPEN), (2, SHUT)] {
        serve(&lab, number, port);
    }
    let refused = lab.host(2).mesh().run_with_input(&["policy", "set", "-"], "allow = []").unwrap();
    assert_eq!(refused.error(exit::FAILED).unwrap().code, ErrorCode::NotAdmin);
    let _: TagReply = lab.host(1).mesh().get(&["tag", "n2", "--add", "web"]).unwrap();
    set(&lab, POLICY);
    let holds = |lab: &Lab| {
        eventually(LIMIT, "the policy holds", || {
            (connects(lab, 3, 2, OPEN) && !connects(lab, 3, 2, SHUT)).then_some(())
        })
        .unwrap();
    };
    holds(&lab);
    let _: BanReply = lab.host(1).mesh().get(&["ban", "n3", "--wait"]).unwrap();
    eventually(LIMIT, "n3 is cut off", || (!connects(&lab, 3, 2, OPEN)).then_some(())).unwrap();
    let test = lab.host(2).mesh().run(&["policy", "test", "n3", "n2", "tcp", "8080"]).unwrap();
    assert_eq!(test.code, Some(exit::FAILED));
    let verdict: PolicyTest = serde_json::from_value(test.json().unwrap()).unwrap();
    assert!(!verdict.allowed && verdict.ban.is_some_and(|ban| ban.name.as_str() == "n3"));
    let _: UnbanReply = lab.host(1).mesh().get(&["unban", "n3"]).unwrap();
    holds(&lab);

    // The one that guards itself comes back guarded, also when nobody leads.
    for number in [1, 3] {
        lab.host_mut(number).terminate().unwrap();
    }
    lab.host_mut(2).terminate().unwrap();
    lab.host_mut(2).start().unwrap();
    let policy: Policy = lab.host(2).mesh().get(&["policy", "show"]).unwrap();
    assert_eq!((policy.serial, policy.rules.len()), (1, 2));
    assert_eq!(policy.rules[0].to, ["tag:web"]);
    assert_eq!(policy.rules[1].from, ["n2"]);
}

/// The same without connections, so that nothing waits for an answer and every moment is tried.
const DATAGRAMS: &str = r#"
[[allow]]
from = ["any"]
to = ["tag:web"]
protocol = "udp"
ports = [8080]
"#;

/// How often a drop falls: many times between the tunnel's coming up and anything else a daemon does.
const DRIP: Duration = Duration::from_millis(2);

/// Sends a datagram to each of `targets` from host `from` every few milliseconds, whether or not there is an interface,
/// until what it returns is dropped.
fn drip(lab: &Lab, from: usize, targets: Vec<SocketAddr>) -> Sender<()> {
    let (alive, ended) = mpsc::channel::<()>();
    let dripping = lab.host(from).netns_handle().spawn(move || {
        let v4 = UdpSocket::bind("0.0.0.0:0").unwrap();
        let v6 = UdpSocket::bind("[::]:0").unwrap();
        while ended.recv_timeout(DRIP) == Err(RecvTimeoutError::Timeout) {
            for target in &targets {
                let socket = if target.is_ipv4() { &v4 } else { &v6 };
                // There is no interface while the daemon is being started.
                let _ = socket.send_to(b"drop", target);
            }
        }
    });
    dripping.unwrap();
    alive
}

/// A bowl under `port` of host `number`, for both families, whatever interfaces come and go.
fn bowl(lab: &Lab, number: usize, port: u16) -> UdpSocket {
    let bound = lab.host(number).netns().run(|| UdpSocket::bind(("::", port))).unwrap().unwrap();
    bound.set_nonblocking(true).unwrap();
    bound
}

/// Empties `bowl`: over which families something had come.
fn emptied(bowl: &UdpSocket) -> BTreeSet<&'static str> {
    let mut families = BTreeSet::new();
    loop {
        match bowl.recv_from(&mut [0; 8]) {
            Ok((_, from)) => {
                let is_v4 = matches!(from.ip(), IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some());
                families.insert(if is_v4 { "IPv4" } else { "IPv6" });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return families,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits until both families fill `open`, and asserts that nothing at all came into `shut` before that.
fn only_open_fills(open: &UdpSocket, shut: &UdpSocket) {
    let mut filled = BTreeSet::new();
    eventually(SETTLE_LIMIT, "what is allowed arrives over both families", || {
        filled.extend(emptied(open));
        assert_eq!(emptied(shut), BTreeSet::new(), "what is denied has come through");
        (filled.len() == 2).then_some(())
    })
    .unwrap();
}

#[test]
fn a_policy_holds_from_the_first_packet_of_a_daemon_that_finds_no_leader() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(3);
    lab.wait_equal_state(3).unwrap();
    let _: Voters = lab.host(1).mesh().get(&["voters", "set", "n1", "always"]).unwrap();
    let _: Voters = lab.host(1).mesh().get(&["voters", "target", "1"]).unwrap();
    let (first, _) = lab.host(1).membership().unwrap();
    for number in 1..=3 {
        eventually(SETTLE_LIMIT, "n1 alone votes", || {
            let seen = lab.host(number).supervisor().ok()?;
            (seen.voters == [first] && seen.leader == Some(first)).then_some(())
        })
        .unwrap();
    }
    let _: TagReply = lab.host(1).mesh().get(&["tag", "n2", "--add", "web", "--wait"]).unwrap();
    let (open, shut) = (bowl(&lab, 2, OPEN), bowl(&lab, 2, SHUT));
    let ports = |port| addresses(&lab, 2).map(|address| SocketAddr::new(address, port));
    let _dripping = drip(&lab, 3, [ports(OPEN), ports(SHUT)].concat());
    let mut filled = BTreeSet::new();
    eventually(SETTLE_LIMIT, "all of it arrives while there is no policy", || {
        filled.extend(emptied(&shut));
        (filled.len() == 2).then_some(())
    })
    .unwrap();
    set(&lab, DATAGRAMS);
    // From the first that is denied on all are; those before it are in the bowl.
    eventually(LIMIT, "the policy holds", || (denied(&lab, 2) > 0).then_some(())).unwrap();
    emptied(&shut);
    only_open_fills(&open, &shut);

    lab.host_mut(1).kill().unwrap();
    // The guard, then the one it is guarded from.
    for number in [2, 3] {
        lab.host_mut(number).kill().unwrap();
        emptied(&open);
        lab.host_mut(number).start().unwrap();
        only_open_fills(&open, &shut);
        let before = denied(&lab, 2);
        eventually(LIMIT, "more is denied", || (denied(&lab, 2) > before).then_some(())).unwrap();
        only_open_fills(&open, &shut);
        let raft = lab.host(2).status().unwrap().raft.unwrap();
        assert_eq!(raft.leader, None, "nobody leads");
    }
}
