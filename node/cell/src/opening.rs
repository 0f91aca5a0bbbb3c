//! From a payload and the ciphertext the node brought to the workload's variables.

use std::collections::HashMap;

use bytes::Bytes;
use ocmt_crypto::{
    datakey::{ObjectPlace, VaultScope},
    entry::Entry,
    object,
    unlock::UnlockPayload,
};
use ocmt_types::{Digest32, Secret, TenantId};

use crate::{CellError, environment::Variables};

/// Most objects that one unlock brings.
pub const MAX_OBJECTS: usize = 256;

/// Ciphertext of one object version, as the node brought it: not believed before it opens.
#[derive(Debug, Clone)]
pub struct SealedObject {
    /// Which object.
    pub object: Digest32,
    /// Which version of it.
    pub version: u64,
    /// Its body.
    pub body: Bytes,
}

/// Opens what the payload maps, each under its own data key. Every mapped entry must be among
/// `objects`, in exactly the version that the payload names.
///
/// # Errors
/// [`CellError::NotForThisCell`] if one is missing, of another version, or does not open; and what
/// [`Variables::insert`] refuses.
pub fn open_entries(
    tenant: TenantId,
    payload: &UnlockPayload,
    objects: &[SealedObject],
) -> Result<Variables, CellError> {
    if objects.len() > MAX_OBJECTS {
        return Err(CellError::Exhausted("objects in an unlock"));
    }
    let scope = VaultScope { tenant, vault: payload.vault };
    let bodies: HashMap<(Digest32, u64), &Bytes> =
        objects.iter().map(|object| ((object.object, object.version), &object.body)).collect();
    let mut variables = Variables::default();
    for entry in &payload.entries {
        let body = bodies.get(&(entry.object, entry.version)).ok_or(CellError::NotForThisCell)?;
        let place = ObjectPlace { scope, object: entry.object, version: entry.version };
        let plaintext =
            object::open_body(&entry.data_key, &place, body).map_err(|_| CellError::NotForThisCell)?;
        let mut opened = Entry::decode(&plaintext).map_err(|_| CellError::NotForThisCell)?;
        variables.insert(&entry.name, Secret::new(std::mem::take(&mut *opened.value)))?;
    }
    Ok(variables)
}
