//! A well-formed request for every method that is served, with ids of somebody's choice.

use ocmt_crypto::{ceremony, datakey::VaultScope, seal::SealSecretKey};
use ocmt_types::{Digest32, GuardianSetId, IdGen, RandomIds, Timestamp, VaultId};

/// Ids to put into requests.
#[derive(Clone)]
pub(crate) struct Ids {
    pub(crate) tenant: String,
    pub(crate) user: String,
    pub(crate) role: String,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) pairing: String,
    pub(crate) sender: String,
    pub(crate) program: String,
    pub(crate) share: String,
    pub(crate) capability: String,
    pub(crate) session: String,
    pub(crate) api_key: String,
    pub(crate) channel: String,
    pub(crate) vault: String,
    pub(crate) object: [u8; 32],
    pub(crate) conversation: String,
    pub(crate) slot: String,
    pub(crate) rotation: String,
    pub(crate) container: String,
    pub(crate) schedule: String,
    pub(crate) guardianship: String,
    pub(crate) set: String,
    pub(crate) enrollment: String,
    pub(crate) ceremony: [u8; 32],
}

impl Ids {
    /// Ids of nothing at all.
    pub(crate) fn random() -> Self {
        Self {
            tenant: uuid(),
            user: uuid(),
            role: uuid(),
            group: uuid(),
            resource: uuid(),
            pairing: uuid(),
            sender: uuid(),
            program: uuid(),
            share: uuid(),
            capability: uuid(),
            session: uuid(),
            api_key: uuid(),
            channel: uuid(),
            vault: uuid(),
            object: rand::random(),
            conversation: uuid(),
            slot: uuid(),
            rotation: uuid(),
            container: uuid(),
            schedule: uuid(),
            guardianship: uuid(),
            set: uuid(),
            enrollment: uuid(),
            ceremony: rand::random(),
        }
    }

    fn params(&self) -> Vec<u8> {
        let parse = |text: &str| text.parse().unwrap();
        let scope = VaultScope { tenant: parse(&self.tenant), vault: self.vault.parse::<VaultId>().unwrap() };
        let set: GuardianSetId = self.set.parse().unwrap();
        let opened = ocmt_types::Clock::now(&ocmt_types::SystemClock);
        ceremony::Ceremony {
            nonce: [1; 32],
            scope,
            set,
            set_hash: Digest32([2; 32]),
            requester: SealSecretKey::from_bytes([3; 32]).public(),
            purpose: ceremony::Purpose::Recovery,
            opened_at: opened,
            delay_ms: 1000,
            expires_at: Timestamp(opened.0 + 86_400_000),
            overrides: None,
        }
        .encode()
    }
}

pub(crate) fn uuid() -> String {
    let ids: &dyn IdGen = &RandomIds;
    ids.id::<VaultId>().to_string()
}

/// One request.
pub(crate) struct Made {
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
    /// What of the ids it names, in words; empty if nothing.
    pub(crate) names: &'static str,
}

pub(crate) fn key() -> bytes::Bytes {
    rand::random::<[u8; 16]>().to_vec().into()
}

/// `Service/Method "what it names" => request;` for each.
macro_rules! made {
    ($($service:ident / $method:ident $names:literal => $request:expr;)+) => {
        vec![$(Made {
            path: concat!("/ocmt.v1.", stringify!($service), "/", stringify!($method)).to_owned(),
            bytes: prost::Message::encode_to_vec(&$request),
            names: $names,
        }),+]
    };
}
mod accounts;
mod containers;
mod operators;
mod recovery;
mod teams;
mod vaults;

/// A request for every method that is served.
pub(crate) fn all(ids: &Ids) -> Vec<Made> {
    [
        accounts::signing_in(ids),
        accounts::people(ids),
        teams::groups(ids),
        teams::senders(ids),
        teams::programs(ids),
        teams::shares(ids),
        teams::capabilities(ids),
        vaults::vaults(ids),
        vaults::rotation(ids),
        vaults::conversations(ids),
        containers::containers(ids),
        containers::cells(ids),
        containers::connections(ids),
        containers::schedules(ids),
        containers::snapshots(ids),
        recovery::guardians(ids),
        recovery::ceremonies(ids),
        operators::nodes(),
        operators::acts(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
