//! A token bucket (tc-tbf(8)) at an interface, by netlink, whose library knows the message but not this discipline.

use futures_util::StreamExt as _;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};
use rtnetlink::packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use rtnetlink::{Error, Handle};

use super::{index, with_netlink};
use crate::error::{Context as _, Result};
use crate::netns::Netns;

/// What waits before a limited rate, at most, in bytes: enough for nothing to be lost there.
const QUEUE: u32 = 4 << 20;

/// What may leave at once after a pause, in bytes: the longest packet.
const BURST: u32 = 64 << 10;

/// The attributes of the discipline (linux/pkt_sched.h): its parameters, and what a burst is.
const PARAMETERS: u16 = 1;
const BURST_BYTES: u16 = 6;

/// TC_LINKLAYER_ETHERNET: lengths count as they are, and no table of them is wanted.
const ETHERNET: u8 = 1;

/// Limits what leaves an interface to `mbit` Mbit/s.
pub fn limit_rate(netns: &Netns, name: &str, mbit: u32) -> Result<()> {
    netns.run(|| {
        let mut message = TcMessage::with_index(index(name)?.cast_signed());
        message.header.parent = TcHandle::ROOT;
        let option = |kind, value| TcOption::Other(DefaultNla::new(kind, value));
        let options = vec![
            option(PARAMETERS, parameters(mbit * 125_000)),
            option(BURST_BYTES, BURST.to_ne_bytes().into()),
        ];
        message.attributes = vec![TcAttribute::Kind("tbf".into()), TcAttribute::Options(options)];
        with_netlink(async |netlink| {
            let done = replace(netlink, message).await;
            done.context(format!("limit {name} to {mbit} Mbit/s"))
        })
    })?
}

/// A `tc_tbf_qopt` with a rate in bytes a second.
fn parameters(rate: u32) -> Vec<u8> {
    // A `tc_ratespec`: one byte, the link layer, three shorts, the rate. There is no higher one for bursts.
    let mut usual = [0; 12];
    usual[1] = ETHERNET;
    usual[8..].copy_from_slice(&rate.to_ne_bytes());
    let peak = [0; 12];
    // What a burst is, is said in bytes elsewhere; how long a packet may be counts for the peak only.
    let (burst, longest) = ([0; 4], [0; 4]);
    [&usual[..], &peak, &QUEUE.to_ne_bytes(), &burst, &longest].concat()
}

/// Puts the discipline in the place of the interface's own.
async fn replace(mut netlink: Handle, message: TcMessage) -> Result<(), Error> {
    let mut request = NetlinkMessage::from(RouteNetlinkMessage::NewQueueDiscipline(message));
    request.header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
    let mut answers = netlink.request(request)?;
    while let Some(answer) = answers.next().await {
        if let NetlinkPayload::Error(error) = answer.payload
            && error.code.is_some()
        {
            return Err(Error::NetlinkError(error));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{IpAddr, TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use super::super::{End, add_address, veth};
    use super::*;

    /// What is sent: a second's worth of 8 Mbit/s.
    const BYTES: usize = 1_000_000;

    /// How long that takes over TCP from one of two hosts to the other.
    fn time_of([(from, _), (to, at)]: [(&Netns, IpAddr); 2]) -> Duration {
        let listener = to.run(|| TcpListener::bind((at, 0)).unwrap()).unwrap();
        let target = listener.local_addr().unwrap();
        let mut sender = from.run(|| TcpStream::connect(target).unwrap()).unwrap();
        let (mut receiver, _) = listener.accept().unwrap();
        let started = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(move || sender.write_all(&[0; BYTES]).unwrap());
            assert_eq!(receiver.read_to_end(&mut Vec::new()).unwrap(), BYTES);
        });
        started.elapsed()
    }

    #[test]
    fn no_more_leaves_than_the_rate_and_a_burst() {
        crate::needs_namespaces!();
        let [one, two] = ["one", "two"].map(|label| Netns::anonymous(label).unwrap());
        let [a, b] = [&one, &two].map(|netns| End { netns, name: "cable", mac: None });
        veth(&a, &b).unwrap();
        let hosts = [(&one, 1), (&two, 2)].map(|(netns, n)| (netns, IpAddr::from([10, 0, 0, n])));
        hosts.iter().for_each(|(netns, at)| add_address(netns, "cable", *at, 24).unwrap());
        // The second takes the place of the first.
        for mbit in [80, 8] {
            limit_rate(&one, "cable", mbit).unwrap();
        }
        // However slow the machine is, it cannot be sooner.
        let least = Duration::from_secs(1) - Duration::from_micros(BURST.into());
        let took = time_of(hosts);
        assert!(took >= least, "{took:?}");
    }
}
