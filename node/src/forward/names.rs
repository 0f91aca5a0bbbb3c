//! The headers that calls carry between nodes.

use http::{HeaderMap, HeaderName, header};

use crate::telemetry::trace;

/// How often a call was forwarded: `1` or `2`. Between nodes only.
pub const HOP: HeaderName = HeaderName::from_static("ocmt-hop");
/// Address and port of the client at the first node. Between nodes only.
pub const CLIENT_ADDR: HeaderName = HeaderName::from_static("ocmt-client-addr");
/// On an answer between nodes: nobody read the call; the id of the node to ask, or `-`.
pub const NOT_OWNER: HeaderName = HeaderName::from_static("ocmt-not-owner");
/// On an answer between nodes: whether the token that the call showed is good, `1` or `0`; absent if nobody looked.
pub const TOKEN_GOOD: HeaderName = HeaderName::from_static("ocmt-token-good");
/// On an answer to a client: the endpoint of the node that answered, to go there next time.
pub const OWNER: HeaderName = HeaderName::from_static("ocmt-owner");
/// From a client that has no session yet: the tenant its one-time token is of. A hint, and nothing more.
pub const ROUTE: HeaderName = HeaderName::from_static("ocmt-route");

/// Most forwards of one call. The second serves a call whose tenant moved while it was on its way.
pub const MAX_HOPS: u8 = 2;

/// Takes away what only nodes may say.
pub(super) fn strip(headers: &mut HeaderMap) {
    for name in [HOP, CLIENT_ADDR, NOT_OWNER, TOKEN_GOOD].iter().chain(&trace::CONTEXT) {
        headers.remove(name);
    }
}

/// Takes away what belongs to one connection (RFC 9110, 7.6.1).
pub(crate) fn unhop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    let fixed = [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::EXPECT];
    for name in fixed.into_iter().chain(["keep-alive", "proxy-connection"].map(HeaderName::from_static)) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn no_client_says_what_nodes_alone_may_say() {
        let mut headers = HeaderMap::new();
        for name in ["ocmt-hop", "ocmt-client-addr", "ocmt-token-good", "traceparent", "tracestate", "x-mine"]
        {
            headers.insert(name, HeaderValue::from_static("1"));
        }
        strip(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["x-mine"]);
    }

    #[test]
    fn what_a_connection_header_names_goes_with_it() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive, X-Mine"));
        headers.insert("x-mine", HeaderValue::from_static("1"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        unhop(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), [header::TE]);
    }
}
