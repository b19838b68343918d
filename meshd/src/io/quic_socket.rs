//! A UDP socket that is none: QUIC datagrams come from and go to bounded channels.
//!
//! quinn runs over it as over a real socket. Used twice: on the overlay (agreement) and behind the
//! one real UDP port (joining). A full way out is reported as "would block", so that quinn waits
//! for room instead of burning packets; a full way in is the sender's business, who counts it.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::doorbell::Sender;

/// A QUIC datagram that arrived.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// Who sent it.
    pub(crate) from: SocketAddr,
    /// The UDP payload.
    pub(crate) payload: Vec<u8>,
}

/// Wraps a datagram for its destination into what the way out carries; `None` when that cannot be,
/// and then the datagram is lost like any that cannot be delivered.
pub(crate) type Wrap<T> = Box<dyn Fn(SocketAddr, &[u8]) -> Option<T> + Send + Sync>;

/// The socket. `T` is what its way out carries.
pub(crate) struct VirtualSocket<T> {
    local: SocketAddr,
    inbound: Mutex<mpsc::Receiver<Inbound>>,
    outbound: Sender<T>,
    wrap: Wrap<T>,
}

impl<T: Send + 'static> VirtualSocket<T> {
    pub(crate) fn new(
        local: SocketAddr,
        inbound: mpsc::Receiver<Inbound>,
        outbound: impl Into<Sender<T>>,
        wrap: Wrap<T>,
    ) -> Arc<Self> {
        Arc::new(Self { local, inbound: Mutex::new(inbound), outbound: outbound.into(), wrap })
    }
}

impl<T: Send + 'static> AsyncUdpSocket for VirtualSocket<T> {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Room { outbound: self.outbound.clone(), waiting: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let wrap = || (self.wrap)(transmit.destination, transmit.contents);
        match self.outbound.try_send_with(wrap) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(())) => Err(io::ErrorKind::WouldBlock.into()),
            // Nobody carries it any more: lost, as by a cable pulled. A connection may live a moment longer.
            Err(TrySendError::Closed(())) => Ok(()),
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut inbound = self.inbound.lock().unwrap_or_else(PoisonError::into_inner);
        let mut filled = 0;
        while filled < bufs.len().min(meta.len()) {
            // A closed channel means that the packet thread is gone: silence, like a cable pulled.
            let Poll::Ready(Some(datagram)) = inbound.poll_recv(cx) else { break };
            let len = datagram.payload.len();
            if let Some(room) = bufs[filled].get_mut(..len) {
                room.copy_from_slice(&datagram.payload);
                meta[filled] =
                    RecvMeta { addr: datagram.from, len, stride: len, ecn: None, dst_ip: None };
                filled += 1;
            }
        }
        if filled == 0 { Poll::Pending } else { Poll::Ready(Ok(filled)) }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

/// Waits until the way out has room.
struct Room<T> {
    outbound: Sender<T>,
    waiting: Option<Pin<Box<dyn Future<Output = bool> + Send + Sync>>>,
}

impl<T: Send + 'static> UdpPoller for Room<T> {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outbound = self.outbound.clone();
        let waiting =
            self.waiting.get_or_insert_with(|| Box::pin(async move { outbound.room().await }));
        // A closed way has room for everything that is lost on it.
        let _open = ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        Poll::Ready(Ok(()))
    }
}

impl<T> fmt::Debug for Room<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Room(..)")
    }
}

impl<T> fmt::Debug for VirtualSocket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtualSocket({})", self.local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::fixture::wire;

    fn addr(last: u8) -> SocketAddr {
        SocketAddr::from(([1, 0, 0, last], 1))
    }

    fn datagram(contents: &[u8]) -> Transmit<'_> {
        Transmit { destination: addr(2), ecn: None, contents, segment_size: None, src_ip: None }
    }

    async fn receive(socket: &VirtualSocket<Inbound>, room: usize) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut storage = vec![vec![0; room]; 4];
        let mut metas = [RecvMeta::default(); 4];
        let count = std::future::poll_fn(|cx| {
            let mut bufs: Vec<_> = storage.iter_mut().map(|buf| IoSliceMut::new(buf)).collect();
            socket.poll_recv(cx, &mut bufs, &mut metas)
        })
        .await
        .expect("received");
        let filled = storage.iter().zip(&metas).take(count);
        filled.map(|(buf, meta)| (meta.addr, buf[..meta.len].to_vec())).collect()
    }

    #[tokio::test]
    async fn a_full_way_out_makes_quic_wait_and_room_wakes_it() {
        let (near, far) = wire(addr(1), addr(2), 2);
        for contents in [b"a", b"b"] {
            near.try_send(&datagram(contents)).expect("room");
        }
        let full = near.try_send(&datagram(b"c")).expect_err("full");
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);

        let mut poller = near.clone().create_io_poller();
        let mut room =
            tokio_test_poll(std::future::poll_fn(|cx| poller.as_mut().poll_writable(cx)));
        assert!(room.is_none(), "room where there is none");
        let got = receive(&far, 10).await;
        assert_eq!(got, [(addr(1), b"a".to_vec()), (addr(1), b"b".to_vec())]);
        room = Some(std::future::poll_fn(|cx| poller.as_mut().poll_writable(cx)).await);
        assert!(matches!(room, Some(Ok(()))));
        near.try_send(&datagram(b"c")).expect("room again");
    }

    #[tokio::test]
    async fn what_is_too_long_for_the_buffer_is_skipped() {
        let (near, far) = wire(addr(1), addr(2), 8);
        near.try_send(&datagram(&[7; 100])).expect("room");
        near.try_send(&datagram(b"short")).expect("room");
        assert_eq!(receive(&far, 10).await, [(addr(1), b"short".to_vec())]);
    }

    #[tokio::test]
    async fn a_way_that_is_gone_loses_what_is_sent_and_brings_nothing() {
        let (near, far) = wire(addr(1), addr(2), 8);
        drop(far);
        near.try_send(&datagram(b"x")).expect("lost");
        let mut poller = near.clone().create_io_poller();
        let room = tokio_test_poll(std::future::poll_fn(|cx| poller.as_mut().poll_writable(cx)));
        assert!(matches!(room, Some(Ok(()))), "{room:?}");
        assert!(tokio_test_poll(receive(&near, 10)).is_none());
    }

    /// One look at `future`.
    fn tokio_test_poll<T>(future: impl Future<Output = T>) -> Option<T> {
        futures_util::FutureExt::now_or_never(future)
    }
}
