//! The configuration socket, from the other end; and a device without an interface behind it.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_model::uapi::{DeviceChange, DeviceReport, Errno, MAX_REQUEST};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::*;
use crate::io::unix_socket::SocketError;

/// No answer takes nearly as long, even behind those who lose patience first.
const LIMIT: Duration = Duration::from_secs(120);

/// The interface whose socket it is.
const NAME: &str = "wgtest0";

/// A device that notes what it is asked, and refuses a mark.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<DeviceChange>>>);

impl Notes {
    fn taken(&self) -> Vec<DeviceChange> {
        self.0.lock().expect("nobody panicked").clone()
    }
}

impl Backend for Notes {
    async fn get(&self) -> Result<DeviceReport, Errno> {
        Ok(DeviceReport { listen_port: 7, ..DeviceReport::default() })
    }

    async fn set(&self, change: DeviceChange) -> Result<(), Errno> {
        if change.fwmark.is_some() {
            return Err(Errno::NOT_PERMITTED);
        }
        self.0.lock().expect("nobody panicked").push(change);
        Ok(())
    }
}

/// A socket in a directory of its own, served by `backend`.
struct Served {
    _server: Server,
    socket: Socket,
    _dir: tempfile::TempDir,
}

fn serve(backend: impl Backend) -> Served {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = Socket::bind(&dir.path().join("wireguard"), NAME).expect("bound");
    let server = Server::start(&socket, backend).expect("served");
    Served { _server: server, socket, _dir: dir }
}

impl Served {
    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.socket.name().path()).await.expect("connected")
    }

    /// Everything that is said to `said`, in one connection.
    async fn ask(&self, said: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(said.as_bytes()).await.expect("written");
        stream.shutdown().await.expect("shut down");
        heard(&mut stream).await
    }
}

/// Everything up to the end of the stream.
async fn heard(stream: &mut UnixStream) -> String {
    let mut text = String::new();
    let read = tokio::time::timeout(LIMIT, stream.read_to_string(&mut text));
    read.await.expect("an end in time").expect("text");
    text
}

#[tokio::test]
async fn several_requests_are_answered_in_order_on_one_connection() {
    let notes = Notes::default();
    let served = serve(notes.clone());
    let answers = served.ask("get=1\n\nset=1\nlisten_port=9\n\nset=1\nfwmark=1\n\nget=1\n\n").await;
    let look = "listen_port=7\nerrno=0\n\n";
    assert_eq!(answers, format!("{look}errno=0\n\nerrno=-1\n\n{look}"));
    assert_eq!(notes.taken(), [DeviceChange { listen_port: Some(9), ..DeviceChange::default() }]);
}

#[tokio::test]
async fn a_request_may_come_in_pieces() {
    let served = serve(Notes::default());
    let mut stream = served.connect().await;
    let mut answer = [0; "listen_port=7\nerrno=0\n\n".len()];
    for piece in ["get", "=1\n", "\n"] {
        stream.write_all(piece.as_bytes()).await.expect("written");
        tokio::task::yield_now().await;
    }
    tokio::time::timeout(LIMIT, stream.read_exact(&mut answer))
        .await
        .expect("in time")
        .expect("read");
    assert_eq!(&answer, b"listen_port=7\nerrno=0\n\n");
}

#[tokio::test]
async fn what_cannot_be_understood_changes_nothing_and_the_next_request_is_heard() {
    let notes = Notes::default();
    let served = serve(notes.clone());
    let answers =
        served.ask("set=1\nlisten_port=9\nbogus\n\nset=2\n\nget=1\nx\n\n\nget=1\n\n").await;
    let ends = "errno=-22\n\nerrno=-22\n\nerrno=22\n\nerrno=-22\n\n";
    assert_eq!(answers, format!("{ends}listen_port=7\nerrno=0\n\n"));
    // Half a request is none, whatever its half says.
    assert_eq!(served.ask("set=1\nlisten_port=9\n").await, "");
    assert_eq!(notes.taken(), []);
}

#[tokio::test]
async fn a_whole_configuration_fits_and_an_endless_request_is_cut_off() {
    let notes = Notes::default();
    let served = serve(notes.clone());
    let peers: String =
        (0..3_000).map(|n| format!("public_key={n:064x}\nallowed_ip=10.0.0.0/8\n")).collect();
    assert_eq!(served.ask(&format!("set=1\n{peers}\n")).await, "errno=0\n\n");
    assert_eq!(notes.taken()[0].peers.len(), 3_000);

    let mut stream = served.connect().await;
    let endless = async {
        let line = "listen_port=9\n".repeat(5_000);
        stream.write_all(b"set=1\n").await.expect("written");
        for _ in 0..2 * MAX_REQUEST / line.len() {
            if stream.write_all(line.as_bytes()).await.is_err() {
                break;
            }
        }
        heard(&mut stream).await
    };
    assert_eq!(tokio::time::timeout(LIMIT, endless).await.expect("in time"), "errno=-7\n\n");
    assert_eq!(served.ask("get=1\n\n").await, "listen_port=7\nerrno=0\n\n");
    assert_eq!(notes.taken().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_says_nothing_keeps_no_place() {
    let served = serve(Notes::default());
    let mut silent = Vec::new();
    for _ in 0..70 {
        silent.push(served.connect().await);
    }
    // More than have a place at one time: those behind are served once the others' patience is over.
    assert_eq!(served.ask("get=1\n\n").await, "listen_port=7\nerrno=0\n\n");
    assert_eq!(heard(&mut silent[0]).await, "");
}

#[test]
fn the_socket_is_its_owners_alone_and_its_name_goes_with_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let directory = dir.path().join("wireguard");
    let socket = Socket::bind(&directory, NAME).expect("bound");
    let path = directory.join("wgtest0.sock");
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(&path)), (0o700, 0o600));
    let inode = std::fs::metadata(&path).expect("there").ino();

    let taken = Socket::bind(&directory, NAME).expect_err("taken");
    assert!(matches!(taken, SocketError::Live { .. }), "{taken}");
    assert_eq!(std::fs::metadata(&path).expect("there").ino(), inode);
    drop(socket);
    assert!(!path.exists());

    // What a device that was killed has left behind is no obstacle.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
    drop(Socket::bind(&directory, NAME).expect("replaced"));
    std::fs::write(&path, "precious").expect("written");
    assert!(matches!(Socket::bind(&directory, NAME), Err(SocketError::NotASocket(_))));
}

#[tokio::test]
async fn a_socket_that_is_removed_moved_or_replaced_is_missed() {
    for how in ["removed", "moved", "replaced"] {
        let served = serve(Notes::default());
        let path = served.socket.name().path();
        let watch = NameWatch::over(served.socket.name()).expect("watched");
        let beside = path.with_file_name("other.sock");
        // What happens beside it is none of its business.
        std::fs::write(&beside, "").expect("written");
        std::fs::remove_file(&beside).expect("removed");
        let gone = watch.gone(&served.socket);
        let mut gone = std::pin::pin!(gone);
        assert!(futures_util::poll!(&mut gone).is_pending(), "{how}");
        match how {
            "removed" => std::fs::remove_file(path),
            "moved" => std::fs::rename(path, &beside),
            _ => std::fs::write(&beside, "").and_then(|()| std::fs::rename(&beside, path)),
        }
        .expect(how);
        tokio::time::timeout(LIMIT, gone).await.expect(how);
    }
}

/// A device without an interface, and the packet thread behind it.
async fn plain() -> (Served, PacketThread) {
    let port = UdpPort::bind_any(0).expect("a port");
    let listen_port = port.local().port();
    let (thread, path) =
        packets(port, None, 2, Offloads::ALL, WallTime::default()).await.expect("started");
    (serve(Plain::new(path, listen_port)), thread)
}

/// The value of the first line `key=` in an answer.
fn value<'a>(answer: &'a str, key: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

const PEER: &str = "0101010101010101010101010101010101010101010101010101010101010101";

#[tokio::test]
async fn a_device_is_what_it_was_told_to_be() {
    let (served, thread) = plain().await;
    let secret = format!("{}41", "40".repeat(31));
    let lines = format!(
        "private_key={secret}\npublic_key={PEER}\npreshared_key={PEER}\nendpoint=127.0.0.1:9\n\
         persistent_keepalive_interval=7\nallowed_ip=10.0.0.1/8\nallowed_ip=fd00::/8"
    );
    assert_eq!(served.ask(&format!("set=1\n{lines}\n\n")).await, "errno=0\n\n");
    let answer = served.ask("get=1\n\n").await;
    for (key, expected) in [
        ("private_key", secret.as_str()),
        ("public_key", PEER),
        ("preshared_key", PEER),
        ("endpoint", "127.0.0.1:9"),
        ("persistent_keepalive_interval", "7"),
        ("allowed_ip", "10.0.0.0/8"),
        ("last_handshake_time_sec", "0"),
        ("errno", "0"),
    ] {
        assert_eq!(value(&answer, key), Some(expected), "{key}: {answer}");
    }
    served.ask("set=1\nreplace_peers=true\n\n").await;
    assert_eq!(value(&served.ask("get=1\n\n").await, "public_key"), None);
    thread.shutdown().await;
    assert_eq!(served.ask("get=1\n\n").await, "errno=5\n\n");
}

#[tokio::test]
async fn a_port_that_is_taken_changes_nothing_and_a_free_one_is_moved_to() {
    let (served, thread) = plain().await;
    let before = served.ask("get=1\n\n").await;
    let other = UdpPort::bind_any(0).expect("a port");
    let taken = other.local().port();
    let request = |port: u16| format!("set=1\nlisten_port={port}\npublic_key={PEER}\n\n");
    assert_eq!(served.ask(&request(taken)).await, "errno=-98\n\n");
    assert_eq!(served.ask("get=1\n\n").await, before);

    drop(other);
    assert_eq!(served.ask(&request(taken)).await, "errno=0\n\n");
    let after = served.ask("get=1\n\n").await;
    assert_eq!(value(&after, "listen_port"), Some(taken.to_string().as_str()));
    assert_eq!(value(&after, "public_key"), Some(PEER));
    UdpPort::bind_any(taken).expect_err("the device is there");
    let left: u16 =
        value(&before, "listen_port").and_then(|port| port.parse().ok()).expect("a port");
    UdpPort::bind_any(left).expect("the device has left it");
    thread.shutdown().await;
}

#[tokio::test]
async fn an_endpoint_on_an_unknown_link_changes_nothing() {
    let (served, thread) = plain().await;
    let before = served.ask("get=1\n\n").await;
    let request = |link: &str| {
        format!("set=1\nlisten_port=0\npublic_key={PEER}\nendpoint=[fe80::1%{link}]:9\n\n")
    };
    assert_eq!(served.ask(&request("nosuchlink")).await, "errno=-19\n\n");
    assert_eq!(served.ask("get=1\n\n").await, before);
    let loopback = nix::net::if_::if_nametoindex("lo").expect("loopback");
    assert_eq!(served.ask(&request("lo")).await, "errno=0\n\n");
    let endpoint = format!("[fe80::1%{loopback}]:9");
    assert_eq!(value(&served.ask("get=1\n\n").await, "endpoint"), Some(endpoint.as_str()));
    thread.shutdown().await;
}
