//! A ceremony as its parties see it.

use ocmt_crypto::ceremony as crypto;
use ocmt_proto::v1 as pb;
use ocmt_types::{Digest32, Timestamp, VaultId};
use serde::Serialize;

use super::ceremony_words;
use crate::{
    Client, ClientError,
    client::{id, present},
    pages::Pages,
    wire::time,
};

/// What the owner alone does.
const VETOED: &str = "vetoed";

/// Where a ceremony stands. It only moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CeremonyState {
    /// Goes on over a stop, or is of an owner who has lost the mailbox too: waits for guardians to sign for it.
    Proposed,
    /// Waits for approvals.
    Open,
    /// Has the approvals, waits for the delay.
    Ready,
    /// Can be collected.
    Released,
    /// Done.
    Completed,
    /// Too many guardians refused.
    Denied,
    /// Stopped by the owner.
    Vetoed,
    /// Stopped by a guardian's lock.
    Locked,
    /// Ran out of time.
    Expired,
    /// Given up by the requester.
    Cancelled,
}

impl CeremonyState {
    /// Whether it can still come to a recovery.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Proposed | Self::Open | Self::Ready | Self::Released)
    }

    /// As the wire has it.
    pub(crate) fn of(from: i32) -> Result<Self, ClientError> {
        state(pb::CeremonyState::try_from(from).unwrap_or_default())
    }
}

/// Something done in a ceremony.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Act {
    /// `approved`, `denied`, `doubted`, `locked`, `vetoed`, `overrode` or `bad share`.
    pub kind: String,
    /// By whom; empty for the owner, and for a guardian where the session is not told who.
    pub guardian_email: String,
    /// Units it counts for.
    pub units: u32,
    /// When.
    pub at: Option<Timestamp>,
}

impl Act {
    /// By whom, in words.
    pub fn by(&self) -> &str {
        match (self.guardian_email.as_str(), self.kind.as_str()) {
            ("", VETOED) => "the owner",
            ("", _) => "a guardian",
            (address, _) => address,
        }
    }
}

/// One ceremony. Its id is the hash of what the requester chose, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ceremony {
    /// Its name everywhere.
    #[serde(serialize_with = "crate::wire::as_text")]
    pub id: Digest32,
    /// Where it stands.
    pub state: CeremonyState,
    /// The vault to be recovered.
    pub vault: VaultId,
    /// Address of its owner; empty where guardians have not signed for the session yet.
    pub owner_email: String,
    /// Address the requester signed in with.
    pub requester_email: String,
    /// The owner has lost the mailbox too, and is reached at `requester_email`.
    pub lost_mailbox: bool,
    /// When it was opened.
    pub opened_at: Option<Timestamp>,
    /// When the delay began to count.
    pub delay_started_at: Option<Timestamp>,
    /// Earliest release.
    pub releasable_at: Option<Timestamp>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Units needed.
    pub units_needed: u32,
    /// Units approved.
    pub units_approved: u32,
    /// Everything done so far, in order.
    pub acts: Vec<Act>,
    #[serde(skip)]
    signed: u32,
    #[serde(skip)]
    pub(super) params: crypto::Ceremony,
    #[serde(skip)]
    pub(super) release_statement: Option<pb::NodeStatement>,
}

impl Ceremony {
    /// The six words to compare by telephone.
    ///
    /// # Errors
    /// None in practice.
    pub async fn words(&self) -> Result<String, ClientError> {
        ceremony_words(self.id).await
    }

    /// Whether it goes on over a veto or a lock: then neither stops it.
    pub fn is_override(&self) -> bool {
        self.params.overrides.is_some()
    }

    /// Units whose guardians have to sign for it before it opens; none of one that opens by itself.
    pub fn units_to_sign(&self) -> Option<u32> {
        match (self.is_override(), self.lost_mailbox) {
            (true, _) => Some(self.units_needed + 1),
            (false, true) => Some(self.units_needed),
            (false, false) => None,
        }
    }

    /// Units whose guardians signed for it to open. As long as it has not, a denial takes the guardian's own back.
    pub fn units_signed(&self) -> u32 {
        self.signed
    }

    /// What the requester chose.
    pub fn params(&self) -> &crypto::Ceremony {
        &self.params
    }
}

impl Client {
    /// One ceremony, as requester, owner or guardian.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn ceremony(&self, ceremony: Digest32) -> Result<Ceremony, ClientError> {
        let answer = self.ceremony_detail(ceremony).await?;
        expect(present(answer.ceremony, "ceremony")?, ceremony)
    }

    pub(super) async fn ceremony_detail(
        &self,
        ceremony: Digest32,
    ) -> Result<pb::GetCeremonyResponse, ClientError> {
        let request = pb::GetCeremonyRequest { ceremony_id: ceremony.0.to_vec().into() };
        Ok(self.recovery().get_ceremony(request).await?.into_inner())
    }

    /// Ceremonies that the caller has to do with, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn ceremonies(&self, only_live: bool) -> Result<Vec<Ceremony>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request = pb::ListCeremoniesRequest { page_size: 100, page_token, only_live };
            let page = self.recovery().list_ceremonies(request).await?.into_inner();
            for ceremony in page.ceremonies {
                all.push(parse(ceremony)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }
}

/// The ceremony of an answer, if it is the one asked for.
pub(super) fn expect(from: pb::Ceremony, asked: Digest32) -> Result<Ceremony, ClientError> {
    let ceremony = parse(from)?;
    if ceremony.id == asked { Ok(ceremony) } else { Err(ClientError::Answer("ceremony_id")) }
}

pub(super) fn parse(from: pb::Ceremony) -> Result<Ceremony, ClientError> {
    let params = crypto::Ceremony::decode(&from.params).map_err(|_| ClientError::Answer("params"))?;
    let ceremony_id =
        Digest32::try_from(from.ceremony_id.as_ref()).map_err(|_| ClientError::Answer("ceremony_id"))?;
    let vault: VaultId = id(&from.vault_id, "vault_id")?;
    // an unlock has no delay: nobody approves one as a recovery
    let recovers = params.purpose == crypto::Purpose::Recovery;
    if !recovers || params.hash() != ceremony_id || params.scope.vault != vault {
        return Err(ClientError::Answer("params"));
    }
    Ok(Ceremony {
        id: ceremony_id,
        state: state(from.state())?,
        vault,
        opened_at: from.opened_at.as_ref().map(time),
        delay_started_at: from.delay_started_at.as_ref().map(time),
        releasable_at: from.releasable_at.as_ref().map(time),
        expires_at: from.expires_at.as_ref().map(time),
        units_needed: from.units_needed,
        units_approved: from.units_approved,
        signed: signed(&from),
        acts: from.acts.iter().map(act).collect(),
        owner_email: from.owner_email,
        requester_email: from.requester_email,
        lost_mailbox: from.lost_mailbox,
        params,
        release_statement: from.release_statement,
    })
}

fn state(state: pb::CeremonyState) -> Result<CeremonyState, ClientError> {
    Ok(match state {
        pb::CeremonyState::Unspecified => return Err(ClientError::Answer("state")),
        pb::CeremonyState::Proposed => CeremonyState::Proposed,
        pb::CeremonyState::Open => CeremonyState::Open,
        pb::CeremonyState::Ready => CeremonyState::Ready,
        pb::CeremonyState::Released => CeremonyState::Released,
        pb::CeremonyState::Completed => CeremonyState::Completed,
        pb::CeremonyState::Denied => CeremonyState::Denied,
        pb::CeremonyState::Vetoed => CeremonyState::Vetoed,
        pb::CeremonyState::Locked => CeremonyState::Locked,
        pb::CeremonyState::Expired => CeremonyState::Expired,
        pb::CeremonyState::Cancelled => CeremonyState::Cancelled,
    })
}

fn signed(from: &pb::Ceremony) -> u32 {
    let undone = |by: &pb::CeremonyAct| {
        let denied = |act: &pb::CeremonyAct| {
            act.kind() == pb::CeremonyActKind::Denied && act.guardianship_id == by.guardianship_id
        };
        from.state() == pb::CeremonyState::Proposed && from.acts.iter().any(denied)
    };
    let signed = from.acts.iter().filter(|act| act.kind() == pb::CeremonyActKind::Overrode);
    signed.filter(|act| !undone(act)).map(|act| act.units).sum()
}

fn act(act: &pb::CeremonyAct) -> Act {
    let kind = match act.kind() {
        pb::CeremonyActKind::Unspecified => "something",
        pb::CeremonyActKind::Approved => "approved",
        pb::CeremonyActKind::Denied => "denied",
        pb::CeremonyActKind::Doubted => "doubted",
        pb::CeremonyActKind::Locked => "locked",
        pb::CeremonyActKind::Vetoed => VETOED,
        pb::CeremonyActKind::Overrode => "overrode",
        pb::CeremonyActKind::BadShare => "bad share",
    };
    Act {
        kind: kind.to_owned(),
        guardian_email: act.guardian_email.clone(),
        units: act.units,
        at: act.at.as_ref().map(time),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_crypto::{datakey::VaultScope, seal::SealSecretKey};
    use ocmt_types::{GuardianSetId, Id as _, TenantId};

    use super::*;
    use crate::recovery::RecoveryRequest;

    fn request() -> RecoveryRequest {
        let secret = SealSecretKey::from_bytes([7; 32]);
        let ceremony = crypto::Ceremony {
            nonce: [1; 32],
            scope: VaultScope { tenant: TenantId::from_bytes([1; 16]), vault: VaultId::from_bytes([2; 16]) },
            set: GuardianSetId::from_bytes([3; 16]),
            set_hash: Digest32([4; 32]),
            requester: secret.public(),
            purpose: crypto::Purpose::Recovery,
            opened_at: Timestamp(1),
            delay_ms: 2,
            expires_at: Timestamp(4),
            overrides: None,
        };
        RecoveryRequest { ceremony, secret }
    }

    /// What a node tells a guardian of `request`.
    fn told(request: &RecoveryRequest) -> pb::Ceremony {
        pb::Ceremony {
            ceremony_id: request.id().0.to_vec().into(),
            params: request.ceremony.encode().into(),
            state: pb::CeremonyState::Open.into(),
            vault_id: request.ceremony.scope.vault.to_string(),
            ..Default::default()
        }
    }

    #[tokio::test]
    async fn requester_and_guardian_see_the_same_six_words() {
        let at_guardian = parse(told(&request())).unwrap().words().await.unwrap();
        assert_eq!(at_guardian, request().words().await.unwrap());
        assert_eq!(at_guardian.split(' ').count(), 6);
    }

    /// It has no delay in which its owner could stop it.
    #[test]
    fn an_unlock_is_not_shown_as_a_recovery() {
        for purpose in [crypto::Purpose::Unlock, crypto::Purpose::Cell] {
            let mut unlock = request();
            unlock.ceremony.purpose = purpose;
            assert!(matches!(parse(told(&unlock)), Err(ClientError::Answer("params"))), "{purpose:?}");
        }
    }

    #[test]
    fn who_denies_what_is_proposed_has_not_signed() {
        let act = |kind: pb::CeremonyActKind, by: &str| pb::CeremonyAct {
            kind: kind.into(),
            guardianship_id: by.to_owned(),
            units: 1,
            ..Default::default()
        };
        let (overrode, denied) = (pb::CeremonyActKind::Overrode, pb::CeremonyActKind::Denied);
        let signed = |state: pb::CeremonyState| {
            let acts = vec![act(overrode, "a"), act(denied, "a"), act(overrode, "b"), act(denied, "c")];
            let told = pb::Ceremony { state: state.into(), acts, ..told(&request()) };
            parse(told).unwrap().units_signed()
        };
        assert_eq!(signed(pb::CeremonyState::Proposed), 1);
        assert_eq!(signed(pb::CeremonyState::Open), 2, "it has opened by them");
    }

    #[tokio::test]
    async fn a_node_that_puts_its_own_key_into_a_ceremony_cannot_keep_its_name_or_its_words() {
        let mut forged = request();
        forged.ceremony.requester = SealSecretKey::from_bytes([9; 32]).public();
        let swapped = pb::Ceremony { params: forged.ceremony.encode().into(), ..told(&request()) };
        assert!(matches!(parse(swapped), Err(ClientError::Answer("params"))));
        assert!(expect(told(&forged), request().id()).is_err());
        let words = parse(told(&forged)).unwrap().words().await.unwrap();
        assert_ne!(words, request().words().await.unwrap());
    }
}
