//! The cell's side: from what was released to the data keys of the appointed entries.

use std::time::Duration;

use ocmt_types::{Digest32, Id as _, Timestamp, UnlockId};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    cell::CellPlace,
    ceremony::{BadApproval, Ceremony, Collection, Purpose, collect},
    codec::{Reader, Writer},
    guardian::GuardianSet,
    kind::Kind,
    manifest::{self, Leaf},
    object::VaultObject,
    seal::SealSecretKey,
    slot::{self, SlotSecret},
    succession,
    unlock::{MIN_LEASE_MS, MappedEntry, UnlockKey, UnlockPayload},
    vault::{LockedVault, Rollback, UnlockedVault},
};

use super::{Appointment, MAX_APPOINTED, MAX_APPOINTMENT, ORDER_LEN, Order};

const VERSION: u8 = 1;
/// The longest handover, in bytes: every slot, succession and leaf that a vault may have, and the largest entries.
pub const MAX_HANDOVER: usize = 24 << 20;
const MAX_SET: usize = 8192;
const MAX_APPROVALS: usize = 20;
const MAX_APPROVAL: usize = 4096;
const MAX_PARAMS: usize = 512;
const MAX_OBJECT: usize = 72 * 1024;
const LEAF_LEN: usize = 72;

/// All that a cell is handed by its node, which was released the parts and has the vault's ciphertext. Nothing of it is
/// believed.
pub struct Handover {
    /// The ceremony's parameters.
    pub params: Vec<u8>,
    /// The order.
    pub order: Vec<u8>,
    /// The appointment.
    pub appointment: Vec<u8>,
    /// Who holds parts, signed.
    pub signed_set: Vec<u8>,
    /// Private half of the release key.
    pub release: SealSecretKey,
    /// What was approved.
    pub approvals: Vec<Vec<u8>>,
    /// The vault's slots.
    pub slots: Vec<Vec<u8>>,
    /// Its successions, oldest first.
    pub successions: Vec<Vec<u8>>,
    /// Its signed manifest.
    pub manifest: Vec<u8>,
    /// A leaf of every object.
    pub leaves: Vec<Leaf>,
    /// Its keyring.
    pub keyring: VaultObject,
    /// The appointed entries.
    pub objects: Vec<VaultObject>,
}

/// What came of it. The vault's keys are gone.
pub struct Opened {
    /// As if a client had sent it: data keys of the appointed entries, with a channel key and an unlock key of nobody. None
    /// if too few of the parts were good.
    pub payload: Option<UnlockPayload>,
    /// Approvals that were left out: somebody is to be told.
    pub bad: Vec<BadApproval>,
}

/// The unlock that a ceremony is, for host and cell: the same for the same ceremony.
pub fn unlock_id(ceremony: &Ceremony) -> UnlockId {
    let mut id = [0; 16];
    id.copy_from_slice(&ceremony.hash().0[..16]);
    id[6] = (id[6] & 0x0f) | 0x40;
    id[8] = (id[8] & 0x3f) | 0x80;
    UnlockId::from_bytes(id)
}

impl Handover {
    /// Its bytes.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let objects: usize = self.objects.iter().map(|object| object.body.len() + 256).sum();
        let mut out = Writer::with_capacity(512 * 1024 + objects + self.leaves.len() * LEAF_LEN);
        out.fixed(&crate::codec::MAGIC).u8(Kind::CELL_HANDOVER.0).u8(VERSION);
        out.var(&self.params).var(&self.order).var(&self.appointment).var(&self.signed_set);
        out.fixed(self.release.expose());
        for list in [&self.approvals, &self.slots, &self.successions] {
            out.count(list.len());
            for one in list {
                out.var(one);
            }
        }
        out.var(&self.manifest).count(self.leaves.len());
        for leaf in &self.leaves {
            out.fixed(&leaf.object_id.0).u64(leaf.version).fixed(&leaf.body_hash.0);
        }
        out.var(&self.keyring.to_bytes()).count(self.objects.len());
        for object in &self.objects {
            out.var(&object.to_bytes());
        }
        out.into_secret()
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::object(bytes, Kind::CELL_HANDOVER, VERSION)?;
        let handover = Self {
            params: reader.var(MAX_PARAMS)?.to_vec(),
            order: reader.var(ORDER_LEN)?.to_vec(),
            appointment: reader.var(MAX_APPOINTMENT)?.to_vec(),
            signed_set: reader.var(MAX_SET)?.to_vec(),
            release: SealSecretKey::from_slice(reader.take(32)?)?,
            approvals: read_list(&mut reader, MAX_APPROVALS, MAX_APPROVAL)?,
            slots: read_list(&mut reader, manifest::MAX_SLOTS, slot::MAX_LEN)?,
            successions: read_list(&mut reader, succession::MAX_CHAIN, MAX_PARAMS)?,
            manifest: reader.var(manifest::MAX_LEN)?.to_vec(),
            leaves: (0..reader.count(manifest::MAX_OBJECTS, LEAF_LEN)?)
                .map(|_| {
                    let (object_id, version) = (Digest32(reader.array()?), reader.u64()?);
                    Ok(Leaf { object_id, version, body_hash: Digest32(reader.array()?) })
                })
                .collect::<Result<_>>()?,
            keyring: VaultObject::from_bytes(reader.var(MAX_OBJECT)?)?,
            objects: (0..reader.count(MAX_APPOINTED, 4)?)
                .map(|_| VaultObject::from_bytes(reader.var(MAX_OBJECT)?))
                .collect::<Result<_>>()?,
        };
        reader.finish()?;
        Ok(handover)
    }

    /// Opens it with the key that the parts are sealed to, which was made `held` ago by a clock that does not jump.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] for whatever is not of this cell, this ceremony and one vault;
    /// [`CryptoError::RolledBack`] if the vault is older than the order's. Too few good parts are an outcome.
    pub(crate) fn open(
        &self,
        place: &CellPlace,
        key: &SealSecretKey,
        (held, now): (Duration, Timestamp),
        rng: &mut impl CryptoRng,
    ) -> Result<Opened> {
        let (ceremony, order) = (Ceremony::decode(&self.params)?, Order::decode(&self.order)?);
        let set = GuardianSet::verify(&self.signed_set, &GuardianSet::claimed_owner(&self.signed_set)?)?;
        let appointment = Appointment::verify(&self.appointment, &set.owner().identity)?;
        let bound = ceremony.purpose == Purpose::Cell
            && ceremony.nonce == order.nonce()
            && order.appointment == appointment.hash
            && appointment.scope == ceremony.scope
            && appointment.scope.tenant == place.tenant
            && appointment.container == place.container;
        if !bound {
            return Err(CryptoError::Refused);
        }
        let lease_ms = lease(&ceremony, &appointment, held, now)?;
        let (slots, successions) = (&self.slots, &self.successions);
        let (leaves, keyring) = (self.leaves.clone(), self.keyring.clone());
        let scope = ceremony.scope;
        let locked = LockedVault::parse(scope, slots, successions, &self.manifest, leaves, keyring)?;
        let given = Collection { ceremony: &ceremony, set: &set, release: &self.release, requester: key };
        let collected = collect(&given, &self.approvals, |recovery| {
            locked.open(&SlotSecret::Recovery(recovery), Some(&order.seen), Rollback::Refuse)
        })?;
        let bad = collected.bad;
        let vault = match collected.outcome {
            Ok(vault) => vault,
            Err(CryptoError::TooFewUnits { .. }) => return Ok(Opened { payload: None, bad }),
            Err(error) => return Err(error),
        };
        // whose set, whose appointment: that of the vault which opened
        let keyring = vault.keyring();
        let present = (keyring.identity_signing.verify_key(), keyring.vault_signing.verify_key());
        // and under its present keys: who had them before the last rotation has the identity key still, and appoints nothing
        if present != (set.owner().identity, appointment.verify_key) {
            return Err(CryptoError::Refused);
        }
        let entries = entries(&vault, &appointment, &self.objects)?;
        let payload = payload(&vault, unlock_id(&ceremony), entries, lease_ms, rng)?;
        Ok(Opened { payload: Some(payload), bad })
    }
}

fn read_list(reader: &mut Reader<'_>, most: usize, longest: usize) -> Result<Vec<Vec<u8>>> {
    (0..reader.count(most, 4)?).map(|_| Ok(reader.var(longest)?.to_vec())).collect()
}

/// What is left, by whichever clock says less: the wall's, or that which has run since the key was made, before the
/// unlock was asked for. So a clock that is set back makes it no longer.
fn lease(ceremony: &Ceremony, appointment: &Appointment, held: Duration, now: Timestamp) -> Result<u64> {
    let whole = ceremony.expires_at.since(ceremony.opened_at);
    let left = whole.saturating_sub(held).min(ceremony.expires_at.since(now));
    let left_ms = u64::try_from(left.as_millis()).map_err(|_| CryptoError::Refused)?;
    let lawful = whole.as_millis() <= u128::from(appointment.longest_ms) && left_ms >= MIN_LEASE_MS;
    if lawful { Ok(left_ms) } else { Err(CryptoError::Refused) }
}

fn entries(
    vault: &UnlockedVault,
    appointment: &Appointment,
    objects: &[VaultObject],
) -> Result<Vec<MappedEntry>> {
    let mapping = appointment.open_mapping(&vault.keyring().identity_seal)?;
    // room for all at once: a list that grows leaves copies of keys behind
    let mut entries = Vec::with_capacity(mapping.len());
    for (name, object) in mapping {
        let sealed = objects.iter().find(|one| one.object_id == object).ok_or(CryptoError::Refused)?;
        let data_key = vault.data_key(sealed)?;
        entries.push(MappedEntry { name, object, version: sealed.version, data_key });
    }
    Ok(entries)
}

fn payload(
    vault: &UnlockedVault,
    unlock: UnlockId,
    entries: Vec<MappedEntry>,
    lease_ms: u64,
    rng: &mut impl CryptoRng,
) -> Result<UnlockPayload> {
    let payload = UnlockPayload {
        unlock,
        vault: vault.scope().vault,
        entries,
        conversations: Vec::new(),
        volume_key: None,
        inbox: vault.keyring().inbox.public(),
        // nobody has it: there is no longer lease than this one
        unlock_key: UnlockKey::generate(rng),
        // nor the other half of this: nobody enters
        channel_key: SealSecretKey::generate(rng).public(),
        manifest_counter: vault.manifest().counter,
        manifest_root: vault.manifest().root,
        lease_ms,
        start_workload: true,
        may_write: Vec::new(),
        continued: Vec::new(),
        volume: None,
    };
    payload.check()?;
    Ok(payload)
}
