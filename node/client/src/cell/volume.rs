//! What an unlock gives the cell of a container with a sealed volume.

use std::time::Duration;

use ocmt_crypto::{
    CryptoError,
    datakey::DataKey,
    object::volume_key_id,
    sealed_volume::sealing_key,
    unlock::{MAX_EARLIER, VolumeUnlock},
};
use ocmt_types::{Clock as _, ContainerId, SystemClock};

use super::{Given, UnlockedCell};
use crate::{ClientError, vault::Vault};

/// A serial is a clock's milliseconds: what its host says is beyond this from now is no device's, and would use up those that are left.
const FOLLOWED: Duration = Duration::from_secs(10 * 366 * 24 * 3600);
/// Reason of a cell that has found a sealing of a serial that is not below the unlock's.
const SERIAL: &str = "VOLUME_SERIAL";

impl Vault {
    /// Wakes a container, checks its cell, and gives it all of this. Where a sealed volume is of a device whose clock is ahead of this one's, it does so
    /// once more, above the serial that is there.
    pub(crate) async fn unlock_given(
        &mut self,
        container: ContainerId,
        given: Given<'_>,
        lease: Duration,
        accept_host: bool,
    ) -> Result<UnlockedCell, ClientError> {
        let first = Box::pin(self.unlock_above(container, given, lease, accept_host, 0)).await;
        match first.as_ref().err().and_then(found_serial) {
            Some(found) => {
                let above = followed(found, now())?;
                Box::pin(self.unlock_above(container, given, lease, accept_host, above)).await
            }
            None => first,
        }
    }

    /// Whether a container has a sealed volume: its node says so, or this device has made or unlocked it. A node that takes its word back has the
    /// unlock refused by the cell, and no empty volume shown.
    pub(super) fn has_sealed_volume(&self, container: ContainerId, said: u64) -> Result<bool, ClientError> {
        Ok(said > 0 || self.state().volume_serial(container)?.is_some())
    }

    /// The keys of a sealed volume, and which sealing of it is good: one that this device has not unlocked yet may be any, and none only if the vault
    /// had no key for it so far. With `accept_older` whatever is there is good, under whichever version; else none from before the one that this device
    /// has sealed it under, which somebody may have the key of since.
    pub(super) async fn volume_unlock(
        &mut self,
        container: ContainerId,
        accept_older: bool,
        above: u64,
    ) -> Result<VolumeUnlock, ClientError> {
        let object = volume_key_id(container);
        let there = self.keys().leaves().find(|leaf| leaf.object_id == object).map(|leaf| leaf.body_hash);
        let is_first = match there {
            None => true,
            // this device has made it before, and did not hear that it is there
            Some(body_hash) => self.state().has_sent_volume_key(container, body_hash)?,
        };
        let versions = self.volume_key(container, true).await?;
        if is_first {
            self.state().made_volume_key(container, versions.current.0)?;
        }
        let (known, tried) = (self.state().volume_serial(container)?, self.state().tried_serial(container)?);
        let is_first = is_first || self.state().has_made_volume_key(container)?;
        let least = demanded(known, is_first, accept_older);
        let from = if accept_older { 0 } else { self.state().volume_version(container)? };
        let earlier = readable(&versions.earlier, from).iter().map(sealing).collect::<Result<_, _>>()?;
        let serial = next_serial(now(), [known.unwrap_or(0), tried, above]);
        // before it goes out: it may be sealed so, and its answer lost
        self.state().tries_volume(container, serial)?;
        Ok(VolumeUnlock { current: sealing(&versions.current)?, earlier, serial, least })
    }
}

fn now() -> u64 {
    u64::try_from(SystemClock.now().millis()).unwrap_or(0)
}

/// Above all that was answered, sent or found.
fn next_serial(now: u64, before: [u64; 3]) -> u64 {
    before.into_iter().fold(now, |next, before| next.max(before.saturating_add(1)))
}

/// A serial that was found, where it is to be gone above.
fn followed(found: u64, now: u64) -> Result<u64, ClientError> {
    let farthest = now.saturating_add(u64::try_from(FOLLOWED.as_millis()).unwrap_or(0));
    if found > farthest {
        return Err(ClientError::Answer(
            "the host says that the sealed volume was sealed more than ten years ahead of this device's clock; unless that clock is wrong, its word is not believable, and it was not followed",
        ));
    }
    Ok(found)
}

/// `is_first`: no unlock of it was answered to the device that has made its key.
fn demanded(known: Option<u64>, is_first: bool, accept_older: bool) -> u64 {
    match known {
        _ if accept_older => 0,
        Some(serial) if serial > 0 => serial,
        // not unlocked here yet
        _ if is_first => 0,
        _ => 1,
    }
}

/// Those of these versions, oldest first, that a volume may still be sealed under, where it was sealed under `from` once.
fn readable<K>(earlier: &[(u64, K)], from: u64) -> &[(u64, K)] {
    let before = earlier.partition_point(|(version, _)| *version < from);
    earlier.get(before.max(earlier.len().saturating_sub(MAX_EARLIER))..).unwrap_or_default()
}

/// The serial that a cell has found, where it is why it has refused: the last number of its text.
fn found_serial(refused: &ClientError) -> Option<u64> {
    if refused.reason()? != SERIAL {
        return None;
    }
    let text = refused.to_string();
    text.rsplit(|c: char| !c.is_ascii_digit()).find(|part| !part.is_empty())?.parse().ok()
}

fn sealing((version, key): &(u64, DataKey)) -> Result<(u32, DataKey), ClientError> {
    let version = u32::try_from(*version).map_err(|_| CryptoError::Refused)?;
    Ok((version, sealing_key(key)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    #[test]
    fn a_volume_may_be_empty_only_the_first_time_and_is_never_older_than_what_was_unlocked() {
        assert_eq!(demanded(None, true, false), 0, "the first time there is none");
        assert_eq!(demanded(None, false, false), 1, "another device has sealed one");
        assert_eq!(demanded(Some(7), false, false), 7);
        assert_eq!(demanded(Some(7), true, false), 7, "also of a vault that was put back");
        assert_eq!(demanded(Some(7), false, true), 0, "its user said so");
        assert_eq!(demanded(Some(0), true, false), 0, "made here, and unlocked nowhere");
        assert_eq!(demanded(Some(0), false, false), 1, "made here, and another device may have unlocked it");
    }

    #[test]
    fn an_unlock_goes_above_one_whose_answer_was_lost() {
        assert_eq!(next_serial(100, [0, 0, 0]), 100);
        assert_eq!(next_serial(100, [90, 99, 0]), 100);
        // the clock was put back since
        assert_eq!(next_serial(100, [90, 120, 0]), 121);
        assert_eq!(next_serial(100, [100, 0, 130]), 131);
    }

    #[test]
    fn no_serial_is_followed_beyond_what_a_clock_may_say() {
        let now = 1_800_000_000_000;
        assert_eq!(followed(now + 1, now).unwrap(), now + 1);
        assert_eq!(followed(9, now).unwrap(), 9);
        let ten_years = 10 * 366 * 24 * 3600 * 1000;
        assert_eq!(followed(now + ten_years, now).unwrap(), now + ten_years);
        for lie in [now + ten_years + 1, u64::MAX - 1, u64::MAX] {
            let refused = followed(lie, now).unwrap_err();
            assert!(refused.to_string().contains("not believable"), "{refused}");
        }
    }

    #[test]
    fn a_cell_gets_no_key_from_before_the_version_that_this_device_has_sealed_under() {
        let earlier = [(1, ()), (2, ()), (5, ())];
        let versions =
            |from| readable(&earlier, from).iter().map(|(version, ())| *version).collect::<Vec<_>>();
        assert_eq!(versions(0), [1, 2, 5], "none is known, or its user said so");
        assert_eq!(versions(2), [2, 5]);
        assert_eq!(versions(3), [5]);
        assert!(versions(6).is_empty(), "the present one alone");
        let many: Vec<_> = (1..=100).map(|version| (version, ())).collect();
        assert_eq!(readable(&many, 0).len(), MAX_EARLIER);
        assert_eq!(readable(&many, 98).len(), 3);
    }

    #[test]
    fn the_serial_that_a_cell_has_found_is_read_where_that_is_why_it_refused() {
        let refused = |reason: &str, text: &str| {
            let details = ErrorDetails::with_error_info(reason, "ocmt", []);
            found_serial(&Status::with_error_details(Code::FailedPrecondition, text, details).into())
        };
        // as the cell says it (node/cell/src/sealed/tests.rs)
        let text = "the sealed volume on the host was sealed by an unlock of serial 9: the next one's has to be greater";
        assert_eq!(refused("VOLUME_SERIAL", text), Some(9));
        assert_eq!(refused("VOLUME_OLDER", text), None);
        for none in ["", "of serial: greater", "of serial 99999999999999999999: greater"] {
            assert_eq!(refused("VOLUME_SERIAL", none), None, "{none}");
        }
        assert_eq!(found_serial(&Status::new(Code::FailedPrecondition, text).into()), None, "of no reason");
    }
}
