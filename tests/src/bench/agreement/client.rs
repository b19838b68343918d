//! A client of either: HTTP/1.1 by hand over one connection, so that it costs next to nothing and the same for both.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Context as _, Error, Result};
use crate::http::Reply;

/// The most bytes of an answer's head.
const MAX_HEAD: usize = 16 * 1024;

/// How much is read at once, in bytes.
const CHUNK: usize = 4096;

/// Where a member listens for clients.
#[derive(Debug, Clone)]
pub enum Door {
    /// A socket in the file system.
    Unix(PathBuf),
    /// A port in the member's network.
    Tcp(SocketAddr),
}

/// Something to be posted.
#[derive(Debug, Clone)]
pub struct Post {
    /// Where.
    pub path: &'static str,
    /// The JSON document.
    pub body: String,
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A connection that is kept.
pub struct Client {
    stream: Box<dyn Stream>,
    /// What was read and belongs to no answer yet.
    unread: Vec<u8>,
}

impl Client {
    /// Connects; the calling thread must be in the member's network. No answer takes longer than `limit`.
    pub fn open(door: &Door, limit: Duration) -> Result<Self> {
        let stream: Box<dyn Stream> = match door {
            Door::Unix(path) => {
                let stream = UnixStream::connect(path).context("connect to the daemon")?;
                let limited = stream.set_read_timeout(Some(limit));
                limited.and(stream.set_write_timeout(Some(limit))).context("set a timeout")?;
                Box::new(stream)
            }
            Door::Tcp(address) => {
                let stream =
                    TcpStream::connect_timeout(address, limit).context("connect to the member")?;
                let limited = stream.set_read_timeout(Some(limit));
                let limited = limited.and(stream.set_write_timeout(Some(limit)));
                limited.and(stream.set_nodelay(true)).context("set a timeout")?;
                Box::new(stream)
            }
        };
        Ok(Self { stream, unread: Vec::new() })
    }

    /// Posts and waits for the answer, whose length must be in its head.
    pub fn post(&mut self, post: &Post) -> Result<Reply> {
        let Post { path, body } = post;
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes()).context("write a request")?;
        let head_ends = loop {
            if let Some(at) = find(&self.unread, b"\r\n\r\n") {
                break at + 4;
            }
            if self.unread.len() > MAX_HEAD {
                return Err(Error::Failed("an answer whose head does not end".to_owned()));
            }
            self.read_more()?;
        };
        let (status, length) = understand(&self.unread[..head_ends])
            .ok_or_else(|| Error::Failed("an answer without status and length".to_owned()))?;
        while self.unread.len() < head_ends + length {
            self.read_more()?;
        }
        let rest = self.unread.split_off(head_ends + length);
        let answer = std::mem::replace(&mut self.unread, rest);
        let body = String::from_utf8_lossy(&answer[head_ends..]).into_owned();
        Ok(Reply { status, body })
    }

    fn read_more(&mut self) -> Result<()> {
        let mut chunk = [0; CHUNK];
        match self.stream.read(&mut chunk).context("read an answer")? {
            0 => Err(Error::Failed("the member hung up".to_owned())),
            read => {
                self.unread.extend_from_slice(&chunk[..read]);
                Ok(())
            }
        }
    }
}

/// Posts on a connection that ends with the answer, however long that is.
pub fn post_once(door: &Door, post: &Post, limit: Duration) -> Result<Reply> {
    let mut client = Client::open(door, limit)?;
    let Post { path, body } = post;
    let length = body.len();
    // Of 1.0, so that nobody cuts the answer into chunks.
    let request = format!(
        "POST {path} HTTP/1.0\r\nHost: bench\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    client.stream.write_all(request.as_bytes()).context("write a request")?;
    let mut answer = Vec::new();
    client.stream.read_to_end(&mut answer).context("read an answer")?;
    let head_ends = find(&answer, b"\r\n\r\n").ok_or("an answer without a head")? + 4;
    let status = status(&String::from_utf8_lossy(&answer[..head_ends]));
    let status = status.ok_or("an answer without a status")?;
    Ok(Reply { status, body: String::from_utf8_lossy(&answer[head_ends..]).into_owned() })
}

/// The status and the length of the body.
fn understand(head: &[u8]) -> Option<(u16, usize)> {
    let head = String::from_utf8_lossy(head);
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Some((status(&head)?, length?))
}

fn status(head: &str) -> Option<u16> {
    head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn answers_that_come_in_pieces_and_together_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for piece in
                ["HTTP/1.1 200 OK\r\ncontent-", "length: 3\r\n\r\nab", "cHTTP/1.1 503 No\r\n"]
            {
                stream.write_all(piece.as_bytes()).unwrap();
            }
            stream.write_all(b"Content-Length: 0\r\n\r\n").unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
        });
        let mut client = Client::open(&Door::Unix(path), Duration::from_secs(10)).unwrap();
        let post = Post { path: "/", body: "{}".to_owned() };
        let first = client.post(&post).unwrap();
        assert_eq!((first.status, first.body.as_str()), (200, "abc"));
        let second = client.post(&post).unwrap();
        assert_eq!((second.status, second.body.as_str()), (503, ""));
        drop(client);
        server.join().unwrap();
    }

    #[test]
    fn a_head_without_a_length_is_not_understood() {
        assert_eq!(understand(b"HTTP/1.1 200 OK\r\n\r\n"), None);
        assert_eq!(understand(b"HTTP/1.0 404 No\r\nContent-Length: 7\r\n\r\n"), Some((404, 7)));
    }
}
