//! The host's side of agent policies.

use ocmt_crypto::{
    cell::{AgentPolicyStatement, CellPlace, PolicyAuthority, StartSecret, policy_digest},
    sign::SigningKey,
};
use ocmt_proto::cell::v1::PutAgentPolicyRequest;
use ocmt_types::{Clock as _, SystemClock};

use super::{TestCell, id};

/// Who signs policies, and vouches for the key with a start secret.
pub struct Host {
    pub key: SigningKey,
    pub place: CellPlace,
    authority: PolicyAuthority,
}

impl Host {
    pub fn of(cell: &TestCell) -> Self {
        Self::with(&cell.start, cell.place)
    }

    pub fn with(start: &StartSecret, place: CellPlace) -> Self {
        let authority = PolicyAuthority::of(start, place).unwrap();
        Self { key: SigningKey::generate(&mut rand::rng()), place, authority }
    }

    /// The same with a key that nobody has seen yet.
    pub fn another_key(self) -> Self {
        Self { key: SigningKey::generate(&mut rand::rng()), ..self }
    }

    pub fn states(&self, version: u64, document: &str) -> AgentPolicyStatement {
        AgentPolicyStatement {
            tenant: self.place.tenant,
            user: Some(id()),
            container: Some(self.place.container),
            version,
            digest: policy_digest(document.as_bytes()),
            stated_at: SystemClock.now(),
            node: id(),
        }
    }

    pub fn gives(&self, version: u64, document: &str) -> PutAgentPolicyRequest {
        self.sends(&self.states(version, document), document)
    }

    pub fn sends(&self, stated: &AgentPolicyStatement, document: &str) -> PutAgentPolicyRequest {
        let statement = stated.sign_by(|purpose, message| self.key.sign(purpose, message));
        let signer = self.key.verify_key();
        PutAgentPolicyRequest {
            document: document.as_bytes().to_vec().into(),
            statement: statement.into(),
            signer: signer.0.to_vec().into(),
            voucher: self.authority.vouch(&signer).to_vec().into(),
        }
    }
}
