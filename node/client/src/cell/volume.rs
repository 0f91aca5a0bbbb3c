//! What an unlock gives the cell of a container with a sealed volume.

use ocmt_crypto::{
    CryptoError,
    datakey::DataKey,
    object::volume_key_id,
    sealed_volume::sealing_key,
    unlock::{MAX_EARLIER, VolumeUnlock},
};
use ocmt_types::{Clock as _, ContainerId, SystemClock};

use crate::{ClientError, vault::Vault};

impl Vault {
    /// Whether a container has a sealed volume: its node says so, or this device has unlocked one. A node that takes its word back has the
    /// unlock refused by the cell, and no empty volume shown.
    pub(super) fn has_sealed_volume(&self, container: ContainerId, said: u64) -> Result<bool, ClientError> {
        Ok(said > 0 || self.state().volume_serial(container)?.is_some())
    }

    /// The keys of a sealed volume, and which sealing of it is good: one that this device has not unlocked yet may be any, and none only if the vault
    /// had no key for it so far. With `accept_older` whatever is there is good.
    pub(super) async fn volume_unlock(
        &mut self,
        container: ContainerId,
        accept_older: bool,
    ) -> Result<VolumeUnlock, ClientError> {
        let object = volume_key_id(container);
        let is_first = !self.keys().leaves().any(|leaf| leaf.object_id == object);
        let versions = self.volume_key(container, true).await?;
        let known = self.state().volume_serial(container)?;
        let least = demanded(known, is_first, accept_older);
        let skipped = versions.earlier.len().saturating_sub(MAX_EARLIER);
        let earlier = versions.earlier.iter().skip(skipped).map(sealing).collect::<Result<_, _>>()?;
        let now = u64::try_from(SystemClock.now().millis()).unwrap_or(0);
        Ok(VolumeUnlock {
            current: sealing(&versions.current)?,
            earlier,
            serial: now.max(known.unwrap_or(0).saturating_add(1)),
            least,
        })
    }
}

fn demanded(known: Option<u64>, is_first: bool, accept_older: bool) -> u64 {
    match known {
        _ if accept_older => 0,
        Some(serial) => serial,
        None if is_first => 0,
        None => 1,
    }
}

fn sealing((version, key): &(u64, DataKey)) -> Result<(u32, DataKey), ClientError> {
    let version = u32::try_from(*version).map_err(|_| CryptoError::Refused)?;
    Ok((version, sealing_key(key)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_may_be_empty_only_the_first_time_and_is_never_older_than_what_was_unlocked() {
        assert_eq!(demanded(None, true, false), 0, "the first time there is none");
        assert_eq!(demanded(None, false, false), 1, "another device has sealed one");
        assert_eq!(demanded(Some(7), false, false), 7);
        assert_eq!(demanded(Some(7), true, false), 7, "also of a vault that was put back");
        assert_eq!(demanded(Some(7), false, true), 0, "its user said so");
    }
}
