//! Routes and rules, by netlink.

use std::net::IpAddr;

use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::rule::RuleAction;
use rtnetlink::RouteMessageBuilder;

use crate::error::{Context as _, Error, Result};
use crate::link::{index, with_netlink};
use crate::netns::Netns;

/// Where packets to a prefix go.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    /// The first address of the prefix.
    pub to: IpAddr,
    /// How many bits of it count.
    pub prefix: u8,
    /// The interface they leave by.
    pub through: &'a str,
    /// The router they are handed to; none for neighbours and tunnels.
    pub gateway: Option<IpAddr>,
    /// The routing table; `None` is the main one.
    pub table: Option<u32>,
    /// The lower, the better. `None` leaves it to the kernel.
    pub metric: Option<u32>,
}

impl<'a> Route<'a> {
    /// Packets to `to`/`prefix` leave by `through`, the receiver being there.
    pub fn new(to: IpAddr, prefix: u8, through: &'a str) -> Self {
        Self { to, prefix, through, gateway: None, table: None, metric: None }
    }

    /// Packets to `to` alone leave by `through`.
    pub fn host(to: IpAddr, through: &'a str) -> Self {
        Self::new(to, bits_of(to), through)
    }

    /// They are handed to `gateway`.
    pub fn via(self, gateway: IpAddr) -> Self {
        Self { gateway: Some(gateway), ..self }
    }

    /// The route belongs to `table`.
    pub fn in_table(self, table: u32) -> Self {
        Self { table: Some(table), ..self }
    }

    /// Of several, the one with the lowest metric is taken.
    pub fn with_metric(self, metric: u32) -> Self {
        Self { metric: Some(metric), ..self }
    }

    /// Adds it.
    pub fn add(&self, netns: &Netns) -> Result<()> {
        let what = format!("add a route to {}/{} through {}", self.to, self.prefix, self.through);
        netns.run(|| {
            let message = self.message(index(self.through)?)?;
            with_netlink(async |netlink| netlink.route().add(message).execute().await.context(what))
        })?
    }

    fn message(&self, interface: u32) -> Result<RouteMessage> {
        let refused = |error| Error::Failed(format!("a route that cannot be: {error}"));
        let mut route = RouteMessageBuilder::<IpAddr>::new()
            .output_interface(interface)
            .destination_prefix(self.to, self.prefix)
            .map_err(refused)?;
        if let Some(gateway) = self.gateway {
            route = route.gateway(gateway).map_err(refused)?;
        }
        if let Some(table) = self.table {
            route = route.table_id(table);
        }
        if let Some(metric) = self.metric {
            route = route.priority(metric);
        }
        Ok(route.build())
    }
}

/// Packets with the mark `mark` look in `table` first, in both families.
pub fn add_rule_for_mark(netns: &Netns, mark: u32, table: u32) -> Result<()> {
    netns.run(|| {
        with_netlink(async |netlink| {
            let rule = || {
                let rule = netlink.rule().add().fw_mark(mark).table_id(table);
                rule.action(RuleAction::ToTable)
            };
            let what = format!("look up packets marked {mark} in table {table}");
            rule().v4().execute().await.context(&*what)?;
            rule().v6().execute().await.context(what)
        })
    })?
}

/// How many bits an address of this family has.
pub fn bits_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}
