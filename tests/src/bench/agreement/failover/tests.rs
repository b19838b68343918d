use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use nix::unistd::Pid;

use super::super::client::{Door, Post};
use super::super::cluster::Standing;
use super::*;
use crate::fabric::Fabric;
use crate::http::Reply;
use crate::netns::Netns;

/// Who leads.
const LEADER: usize = 2;

/// Five members that acknowledge whatever they are told and keep it, but for the leader, which forgets.
struct Forgetful {
    netns: Arc<Netns>,
    kept: Arc<Mutex<BTreeSet<String>>>,
    dir: tempfile::TempDir,
}

impl Forgetful {
    fn start() -> Self {
        let this = Self {
            netns: Arc::new(Netns::anonymous("forgetful").unwrap()),
            kept: Arc::default(),
            dir: tempfile::tempdir().unwrap(),
        };
        for number in 1..=this.size() {
            let (listener, kept) = (UnixListener::bind(this.socket(number)), this.kept.clone());
            std::thread::spawn(move || {
                for stream in listener.unwrap().incoming() {
                    let record = acknowledge(stream.unwrap());
                    if number != LEADER {
                        kept.lock().unwrap().insert(record);
                    }
                }
            });
        }
        this
    }

    fn socket(&self, number: usize) -> PathBuf {
        self.dir.path().join(number.to_string())
    }
}

/// Answers one request, whose body ends with a full stop and comes back.
fn acknowledge(mut stream: UnixStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b".") {
        let mut chunk = [0; 1024];
        let read = stream.read(&mut chunk).unwrap();
        request.extend_from_slice(&chunk[..read]);
    }
    let request = String::from_utf8(request).unwrap();
    let body = request.split("\r\n\r\n").nth(1).unwrap().to_owned();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).unwrap();
    body
}

impl Cluster for Forgetful {
    fn name(&self) -> &'static str {
        "forgetful"
    }

    fn version(&self) -> String {
        String::new()
    }

    fn size(&self) -> usize {
        5
    }

    fn fabric(&self) -> &Fabric {
        unreachable!("nothing is cut here")
    }

    fn netns(&self, _number: usize) -> Arc<Netns> {
        self.netns.clone()
    }

    fn door(&self, number: usize) -> Door {
        Door::Unix(self.socket(number))
    }

    fn processes(&self) -> Vec<Pid> {
        Vec::new()
    }

    fn write(&self, nth: u64, _number: usize) -> Post {
        Post { path: "/", body: format!("{nth}.") }
    }

    fn acknowledged(&self, _nth: u64, reply: &Reply) -> Option<String> {
        Some(reply.body.clone())
    }

    fn small_command(&self, nth: u64) -> Post {
        self.write(nth, LEADER)
    }

    fn records(&self, _number: usize) -> Result<BTreeSet<String>> {
        Ok(self.kept.lock().unwrap().clone())
    }

    fn standing(&self) -> Option<Standing> {
        Some(Standing { leader: LEADER, applied: 0 })
    }

    fn kill(&mut self, _number: usize) -> Result<()> {
        Ok(())
    }

    fn start(&mut self, _number: usize) -> Result<()> {
        Ok(())
    }

    fn last_words(&mut self) -> String {
        String::new()
    }
}

#[test]
fn what_a_leader_acknowledges_and_nobody_keeps_is_lost() {
    crate::needs_namespaces!();
    let mut subject = Subject::new(Box::new(Forgetful::start()));
    let outage = subject.suffer(Kind::KillVoter, 0).unwrap();
    assert!(outage.next_write.is_some());
    let audit = subject.audit().unwrap();
    assert!(audit.lost > 0, "{audit:?}");
    assert_eq!(audit.lost, audit.acknowledged_at_leader, "{audit:?}");
}

#[test]
fn the_first_fault_of_a_kind_is_kept_after_the_next_write() {
    crate::needs_namespaces!();
    let mut subject = Subject::new(Box::new(Forgetful::start()));
    let started = Instant::now();
    subject.suffer(Kind::KillVoter, 1).unwrap();
    assert!(started.elapsed() >= RUN_UP + HOLD);
    assert!(subject.audit().unwrap().acknowledged_at_leader > 2);
}
