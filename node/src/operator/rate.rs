//! A bound on what a stranger may get wrong, in this process.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Most addresses that are kept in mind; past it the one whose window began first is forgotten.
const MOST_ADDRESSES: usize = 4096;

/// So many failures of one address within a window that begins with the first of them. Whoever succeeds is not
/// counted, and strangers lock nobody out but themselves.
pub(super) struct Failures {
    most: u32,
    window: Duration,
    seen: Mutex<HashMap<IpAddr, (Duration, u32)>>,
}

impl Failures {
    pub(super) fn new(most: u32, window: Duration) -> Self {
        Self { most, window, seen: Mutex::default() }
    }

    /// Whether the address may try at `now` (boot time); if not, how long to wait.
    pub(super) fn check(&self, address: IpAddr, now: Duration) -> Result<(), Duration> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(&subscriber(address)) {
            Some((begun, failed)) if *failed >= self.most && self.lasts(*begun, now) => {
                Err(self.window.saturating_sub(now.saturating_sub(*begun)))
            }
            _ => Ok(()),
        }
    }

    /// Counts a failure.
    pub(super) fn count(&self, address: IpAddr, now: Duration) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let address = subscriber(address);
        if let Some((begun, failed)) = seen.get_mut(&address)
            && self.lasts(*begun, now)
        {
            *failed += 1;
            return;
        }
        if seen.len() >= MOST_ADDRESSES {
            seen.retain(|_, (begun, _)| self.lasts(*begun, now));
        }
        if seen.len() >= MOST_ADDRESSES
            && let Some(oldest) = seen.iter().min_by_key(|(_, (begun, _))| *begun).map(|(ip, _)| *ip)
        {
            seen.remove(&oldest);
        }
        seen.insert(address, (now, 1));
    }

    fn lasts(&self, begun: Duration, now: Duration) -> bool {
        now.saturating_sub(begun) < self.window
    }
}

/// Of IPv6 the /64: whoever has one address there has them all.
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_that_fails_waits_for_its_next_window_and_others_do_not() {
        let (failures, s) = (Failures::new(2, MINUTE), Duration::from_secs);
        failures.count(ip("203.0.113.1"), s(100));
        assert_eq!(failures.check(ip("203.0.113.1"), s(101)), Ok(()));
        failures.count(ip("203.0.113.1"), s(101));
        assert_eq!(failures.check(ip("203.0.113.1"), s(110)), Err(s(50)));
        assert_eq!(failures.check(ip("::ffff:203.0.113.1"), s(110)), Err(s(50)), "the same in another form");
        assert_eq!(failures.check(ip("203.0.113.2"), s(110)), Ok(()));
        assert_eq!(failures.check(ip("203.0.113.1"), s(160)), Ok(()));
        failures.count(ip("203.0.113.1"), s(160));
        assert_eq!(failures.check(ip("203.0.113.1"), s(160)), Ok(()), "a window counts from nothing");
    }

    #[test]
    fn of_ipv6_a_subscriber_counts_and_not_the_address() {
        let failures = Failures::new(1, MINUTE);
        failures.count(ip("2001:db8:0:1::1"), MINUTE);
        assert!(failures.check(ip("2001:db8:0:1:ffff::2"), MINUTE).is_err());
        assert!(failures.check(ip("2001:db8:0:2::1"), MINUTE).is_ok());
    }

    #[test]
    fn what_is_kept_in_mind_is_bounded() {
        let failures = Failures::new(1, MINUTE);
        for n in 0..u32::try_from(MOST_ADDRESSES).unwrap() + 10 {
            failures.count(std::net::Ipv4Addr::from_bits(n).into(), MINUTE + Duration::from_millis(n.into()));
        }
        assert_eq!(failures.seen.lock().unwrap().len(), MOST_ADDRESSES);
        assert!(failures.check(ip("0.0.0.0"), MINUTE * 2).is_ok(), "the oldest was forgotten");
    }
}
