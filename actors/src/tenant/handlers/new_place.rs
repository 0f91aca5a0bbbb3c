//! A sign-in from a device or a network that its user was not seen on lately is told to them.
//!
//! Lately is as long as rows are kept: of sessions a day beyond their end, of such a letter 30 days, so one letter a month comes
//! of a place, and none of a place that is used day by day. Nothing else is written down of where somebody was.

use std::{net::IpAddr, time::Duration};

use data_encoding::HEXLOWER;
use ocmt_store::tables::{Notice, Session, User};
use sha2::{Digest as _, Sha256};

use super::notices::{self, NoticeText};
use crate::{error::ActorError, work::Work};

/// What the letter is called.
pub(crate) const KIND: &str = "session.new_place";
/// So long after an account was made its own sign-ins are no news.
const FIRST: Duration = Duration::from_secs(15 * 60);

/// Tells `user` of a session that was just written, if it is from where they were not.
pub(super) async fn tell(work: &mut Work, user: &User, session: &Session) -> Result<(), ActorError> {
    if session.created_at.since(user.created_at) < FIRST {
        return Ok(());
    }
    let place = place(session);
    let known = work.tx.find::<Session>(Session::user_id.eq(user.user_id)).await?;
    if known.iter().any(|other| other.session_id != session.session_id && self::place(other) == place) {
        return Ok(());
    }
    let subject = name(user, &place);
    let told = Notice::subject.eq(&subject).and(Notice::kind.eq(KIND));
    if work.tx.first::<Notice>(told).await?.is_some() {
        return Ok(());
    }
    let facts = [
        ("device", session.client.clone()),
        ("from address", session.address.clone().unwrap_or_else(|| "unknown".to_owned())),
        ("if it was not you", "end the session (`ocmt sessions ls`, `ocmt sessions revoke`)".to_owned()),
    ];
    let facts = facts.map(|(name, value)| (name.to_owned(), value));
    let text = NoticeText {
        user: Some(user.user_id),
        address: &user.email,
        kind: KIND,
        subject: &subject,
        facts: &facts,
    };
    notices::write(work, text).await.map(drop)
}

/// What the client calls itself, and the network that it is in: an address changes where nobody has moved.
fn place(session: &Session) -> (&str, Option<IpAddr>) {
    (&session.client, session.address.as_deref().and_then(|text| text.parse().ok()).map(network))
}

/// Of IPv4 a /24, of IPv6 a /48.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::from((u32::from(v4) & (u32::MAX << 8)).to_be_bytes()),
        IpAddr::V6(v6) => IpAddr::from((u128::from(v6) & (u128::MAX << 80)).to_be_bytes()),
    }
}

/// The place as the subject of a letter.
fn name(user: &User, (client, network): &(&str, Option<IpAddr>)) -> String {
    let network = network.map(|network| network.to_string()).unwrap_or_default();
    let digest = Sha256::new()
        .chain_update(user.user_id.as_bytes())
        .chain_update(network.as_bytes())
        .chain_update([0])
        .chain_update(client.as_bytes())
        .finalize();
    HEXLOWER.encode(digest.get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_network_is_a_24_or_a_48() {
        for (address, expected) in [
            ("192.0.2.77", "192.0.2.0"),
            ("198.51.100.255", "198.51.100.0"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ] {
            assert_eq!(network(address.parse().unwrap()), expected.parse::<IpAddr>().unwrap());
        }
    }
}
