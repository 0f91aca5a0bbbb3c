//! Whether the port of the egress proxies is ours to open.
//!
//! The packet filter lets a container speak to one port of its own bridge's address. A program that listens on that port
//! of every address would be reached too, so then the port stays closed.

use std::io;

use crate::egress::EGRESS_PORT;

/// State of a listening socket in `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// Whether somebody listens on the port at every address, or nobody can tell.
pub(super) fn is_taken_everywhere() -> bool {
    is_taken(&std::fs::read_to_string("/proc/net/tcp"), &std::fs::read_to_string("/proc/net/tcp6"))
}

/// Without IPv6 there is no second table; without the first the port stays closed.
fn is_taken(v4: &io::Result<String>, v6: &io::Result<String>) -> bool {
    let Ok(v4) = v4 else { return true };
    let v6 = match v6 {
        Ok(table) => table.as_str(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => "",
        Err(_) => return true,
    };
    [v4.as_str(), v6].iter().any(|table| listens_everywhere(table, EGRESS_PORT))
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

    #[test]
    fn what_cannot_be_read_is_taken() {
        let (empty, refused) = (Ok(String::new()), Err(io::Error::from(io::ErrorKind::PermissionDenied)));
        let missing = Err(io::Error::from(io::ErrorKind::NotFound));
        assert!(!is_taken(&empty, &missing));
        assert!(!is_taken(&empty, &empty));
        assert!(is_taken(&refused, &missing));
        assert!(is_taken(&empty, &refused));
        assert!(is_taken(&missing, &missing));
    }
}
