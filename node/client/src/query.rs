//! The query of an address, as browsers write it.

use std::collections::BTreeMap;

/// Names and values of an address's query; of a name that comes twice the first counts.
pub(crate) fn of(url: &str) -> BTreeMap<String, String> {
    let query = url.trim().split_once('?').map_or("", |(_, query)| query);
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let mut found = BTreeMap::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        found.entry(decoded(name)).or_insert_with(|| decoded(value));
    }
    found
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let hex = (*first == b'%').then(|| others.get(..2)).flatten();
        let byte = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(match (byte, first) {
            (Some(byte), _) => byte,
            (None, b'+') => b' ',
            (None, other) => *other,
        });
        rest = if byte.is_some() { &others[2..] } else { others };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_a_browser_ends_at_is_read_as_browsers_write_it() {
        let said = of(
            " https://node.example/auth/oidc?code=a%2Fb+c&state=ocmt_lnk_x&iss=https%3A%2F%2Fid.example&code=z#x\n",
        );
        assert_eq!(said["code"], "a/b c");
        assert_eq!((said["state"].as_str(), said["iss"].as_str()), ("ocmt_lnk_x", "https://id.example"));
        assert_eq!(of("nothing").get("code"), None);
        assert_eq!(decoded("%zz%4"), "%zz%4");
    }
}
