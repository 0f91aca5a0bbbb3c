//! Who holds how many connections.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OwnedSemaphorePermit;

/// Connections by address.
#[derive(Clone)]
pub(super) struct Slots {
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
    per_address: usize,
}

/// The place of one connection among all and among those of its address; free with the last clone.
#[derive(Clone)]
pub struct ConnectionSlot {
    _held: Arc<Held>,
}

struct Held {
    slots: Slots,
    /// None for one that is not counted.
    address: Option<IpAddr>,
    _place: OwnedSemaphorePermit,
}

impl Slots {
    pub(super) fn new(per_address: usize) -> Self {
        Self { open: Arc::default(), per_address }
    }

    /// A slot for a connection of `address`; none if that address has as many as it may.
    pub(super) fn take(&self, address: IpAddr, place: OwnedSemaphorePermit) -> Option<ConnectionSlot> {
        let address = network(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(ConnectionSlot {
            _held: Arc::new(Held { slots: self.clone(), address: Some(address), _place: place }),
        })
    }

    /// A slot for a connection of a proxy, which brings many people's requests.
    pub(super) fn uncounted(&self, place: OwnedSemaphorePermit) -> ConnectionSlot {
        ConnectionSlot { _held: Arc::new(Held { slots: self.clone(), address: None, _place: place }) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut open = self.slots.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&address);
            }
        }
    }
}

/// One subscriber has a whole /64 of IPv6 addresses.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::sync::Semaphore;

    use super::*;

    #[test]
    fn an_address_has_so_many_and_gets_them_back() {
        let (all, slots) = (Arc::new(Semaphore::new(10)), Slots::new(2));
        let place = || all.clone().try_acquire_owned().unwrap();
        let (a, b): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "2001:db8:0:1::1".parse().unwrap());
        let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
        let first = slots.take(a, place()).unwrap();
        let second = slots.take(neighbour, place()).unwrap();
        assert!(slots.take(a, place()).is_none(), "a third of one /64");
        assert!(slots.take(b, place()).is_some());
        let upgraded = first.clone();
        drop(first);
        assert!(slots.take(a, place()).is_none(), "an upgraded connection still holds it");
        drop((upgraded, second));
        assert!(slots.take(a, place()).is_some());
        assert_eq!(all.available_permits(), 10);
    }
}
