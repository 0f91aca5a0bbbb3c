//! Whether the port of the egress proxies is ours to open.
//!
//! The packet filter lets a container speak to one port of its own bridge's address. A program that listens on that port
//! of every address would be reached too, so then the port stays closed.

use crate::egress::EGRESS_PORT;

/// State of a listening socket in `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// Whether somebody listens on the port at every address. A file that cannot be read says no: there is none without IPv6.
pub(super) fn is_taken_everywhere() -> bool {
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    tables.iter().any(|table| listens_everywhere(table, EGRESS_PORT))
}

fn listens_everywhere(table: &str, port: u16) -> bool {
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next().unwrap_or_default(), fields.nth(1).unwrap_or_default());
        let everywhere =
            local.split_once(':').filter(|(address, _)| address.bytes().all(|byte| byte == b'0'));
        state == LISTENS && everywhere.is_some_and(|(_, at)| u16::from_str_radix(at, 16) == Ok(port))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_seen_and_one_on_a_bridge_is_not() {
        let head = "  sl  local_address rem_address   st\n";
        let line =
            |local: &str, state: &str| format!("{head}   0: {local} 00000000:0000 {state} 00000000:00000000");
        assert!(listens_everywhere(&line("00000000:1D1B", "0A"), 7451));
        assert!(listens_everywhere(&line("00000000000000000000000000000000:1D1B", "0A"), 7451));
        assert!(!listens_everywhere(&line("010014D5:1D1B", "0A"), 7451));
        assert!(!listens_everywhere(&line("00000000:1D1B", "01"), 7451));
        assert!(!listens_everywhere(&line("00000000:1D1C", "0A"), 7451));
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        assert!(listens_everywhere(&table, listener.local_addr().unwrap().port()));
    }
}
