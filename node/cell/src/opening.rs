//! From a payload and the ciphertext the node brought to the workload's variables, and to what the cell keeps for
//! itself of it.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use ocmt_crypto::{
    connect::{
        MAX_CONNECTIONS, ProviderSettings, RESERVED_VARIABLES, SETTINGS_VARIABLE, TOKENS_VARIABLE, Tokens,
    },
    datakey::{ObjectPlace, VaultScope},
    entry::Entry,
    object,
    unlock::UnlockPayload,
};
use ocmt_types::{Digest32, Secret, TenantId};

use crate::{CellError, environment::Variables, oauth::Given};

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

/// What an unlock brought.
#[derive(Default)]
pub struct Opened {
    /// For the workload.
    pub variables: Variables,
    /// For the cell's own connections.
    pub connections: Vec<Given>,
}

/// Opens what the payload maps, each under its own data key. Every mapped entry must be among
/// `objects`, in exactly the version that the payload names.
///
/// # Errors
/// [`CellError::NotForThisCell`] if one is missing, of another version, or does not open; [`CellError::Invalid`] for a
/// reserved variable that the cell does not know; and what [`Variables::insert`] refuses.
pub fn open_entries(
    tenant: TenantId,
    payload: &UnlockPayload,
    objects: &[SealedObject],
) -> Result<Opened, CellError> {
    if objects.len() > MAX_OBJECTS {
        return Err(CellError::Exhausted("objects in an unlock"));
    }
    let scope = VaultScope { tenant, vault: payload.vault };
    let bodies: HashMap<(Digest32, u64), &Bytes> =
        objects.iter().map(|object| ((object.object, object.version), &object.body)).collect();
    let (mut variables, mut reserved) = (Variables::default(), BTreeMap::new());
    for entry in &payload.entries {
        let body = bodies.get(&(entry.object, entry.version)).ok_or(CellError::NotForThisCell)?;
        let place = ObjectPlace { scope, object: entry.object, version: entry.version };
        let plaintext =
            object::open_body(&entry.data_key, &place, body).map_err(|_| CellError::NotForThisCell)?;
        let mut opened = Entry::decode(&plaintext).map_err(|_| CellError::NotForThisCell)?;
        let value = Secret::new(std::mem::take(&mut *opened.value));
        if entry.name.starts_with(RESERVED_VARIABLES) {
            reserved.insert(entry.name.as_str(), value);
        } else {
            variables.insert(&entry.name, value)?;
        }
    }
    Ok(Opened { variables, connections: connections(reserved)? })
}

/// Settings, with the tokens of the same number. What else is reserved is of a newer client: refused, for it is
/// nothing that a workload may see.
fn connections(mut reserved: BTreeMap<&str, Secret<Vec<u8>>>) -> Result<Vec<Given>, CellError> {
    let mut given = Vec::new();
    for number in 0..MAX_CONNECTIONS {
        let Some(settings) = reserved.remove(format!("{SETTINGS_VARIABLE}{number}").as_str()) else {
            continue;
        };
        let settings = ProviderSettings::decode(settings.expose())
            .map_err(|_| CellError::Invalid("the settings of a provider cannot be read"))?;
        let tokens = reserved.remove(format!("{TOKENS_VARIABLE}{number}").as_str());
        // tokens that cannot be read are as good as none: a connection makes others
        let tokens = tokens.and_then(|tokens| Tokens::decode(tokens.expose()).ok());
        given.push(Given { settings, tokens });
    }
    if reserved.is_empty() {
        Ok(given)
    } else {
        Err(CellError::Invalid(
            "variables that begin with OCMT_ are the cell's own, and this cell does not know one of them",
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn given(names: &[&str]) -> Result<Vec<Given>, CellError> {
        let settings = br#"{"version":1,"name":"git","client_id":"c","issuer":"https://id.example"}"#;
        let tokens = br#"{"version":1,"provider":"git","client_id":"c","access_token":"t","scopes":[],"obtained_at_ms":1}"#;
        let value = |name: &str| {
            let value =
                if name.starts_with(TOKENS_VARIABLE) { tokens.as_slice() } else { settings.as_slice() };
            Secret::new(value.to_vec())
        };
        connections(names.iter().map(|name| (*name, value(name))).collect())
    }

    #[test]
    fn the_cell_keeps_what_is_reserved_and_refuses_what_it_does_not_know() {
        let both =
            given(&["OCMT_OAUTH_PROVIDER_0", "OCMT_OAUTH_TOKENS_0", "OCMT_OAUTH_PROVIDER_15"]).unwrap();
        assert_eq!(both.len(), 2);
        assert!(both[0].tokens.is_some() && both[1].tokens.is_none());
        for unknown in
            ["OCMT_", "OCMT_NEWER", "OCMT_OAUTH_PROVIDER_16", "OCMT_OAUTH_TOKENS_0", "OCMT_OAUTH_PROVIDER_00"]
        {
            assert!(given(&[unknown]).is_err(), "{unknown}");
        }
    }
}
