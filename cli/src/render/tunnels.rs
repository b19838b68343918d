//! The WireGuard tunnels, as `wg show` tells them.

use mesh_model::api::v1::Tunnels;

use super::peers::with_post_quantum;
use super::table::{Cell, Table};
use super::theme::Theme;
use super::{or_nothing, unit};

/// `mesh tunnels`.
pub(crate) fn page(tunnels: &Tunnels, theme: Theme) -> String {
    let mut own = Table::facts();
    own.fact(theme, "public key", tunnels.public_key.to_string());
    own.fact(theme, "listening port", tunnels.listen_port.to_string());
    let mut text = own.lines("");
    text.push('\n');
    if tunnels.tunnels.is_empty() {
        text += "no tunnels: there are no other members yet\n";
        return text;
    }
    let mut table = Table::new(
        theme,
        &[
            "PEER",
            "ID",
            "PUBLIC KEY",
            "ENDPOINT",
            "ALLOWED IPS",
            "SESSION",
            ">HANDSHAKE",
            ">RX",
            ">TX",
            ">KEEPALIVE",
        ],
    );
    for tunnel in &tunnels.tunnels {
        let allowed: Vec<String> = tunnel.allowed_ips.iter().map(ToString::to_string).collect();
        let session = match tunnel.established {
            true => {
                let word = with_post_quantum("up", tunnel.post_quantum);
                Cell::styled(word, theme.good_style())
            }
            false => Cell::styled("down", theme.bad_style()),
        };
        table.row([
            tunnel.name.as_str().into(),
            tunnel.member.to_string().into(),
            tunnel.public_key.to_string().into(),
            or_nothing(tunnel.endpoint).into(),
            allowed.join(",").into(),
            session,
            unit::ago(tunnel.last_handshake_ms).into(),
            unit::bytes(tunnel.rx_bytes).into(),
            unit::bytes(tunnel.tx_bytes).into(),
            tunnel
                .keepalive_s
                .map_or_else(|| "off".to_owned(), |seconds| format!("{seconds}s"))
                .into(),
        ]);
    }
    text + &table.lines("")
}
