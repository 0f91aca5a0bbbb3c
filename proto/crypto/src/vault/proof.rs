//! Proofs to a node that whoever asks has opened the vault: signatures by its signing key over a
//! challenge of the node's.

use ocmt_types::Digest32;

use super::UnlockedVault;
use crate::{
    Result,
    codec::Writer,
    datakey::VaultScope,
    sign::{Purpose, Signature, VerifyKey},
};

const PURPOSE: Purpose = Purpose::new("vault proof");

/// What is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofOf {
    /// The vault was unlocked.
    Unlock,
    /// Stands for step-up in a recovery session.
    StepUp,
    /// A ceremony is completed, by its hash.
    Completion(Digest32),
    /// A guardian set is retired, by its hash.
    Retirement(Digest32),
}

/// A proof and the challenge it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// What it proves.
    pub of: ProofOf,
    /// 32 bytes of the node's choosing, used once.
    pub challenge: Digest32,
    /// By the vault signing key.
    pub signature: Signature,
}

impl Proof {
    /// Verifies it under the vault's verify key.
    ///
    /// # Errors
    /// [`crate::CryptoError::Refused`].
    pub fn verify(&self, scope: &VaultScope, key: &VerifyKey) -> Result<()> {
        key.verify(PURPOSE, &message(scope, self.of, &self.challenge), &self.signature)
    }
}

impl UnlockedVault {
    /// Answers a node's challenge.
    pub fn prove(&self, of: ProofOf, challenge: Digest32) -> Proof {
        let signature = self.keyring.vault_signing.sign(PURPOSE, &message(&self.scope, of, &challenge));
        Proof { of, challenge, signature }
    }
}

fn message(scope: &VaultScope, of: ProofOf, challenge: &Digest32) -> Vec<u8> {
    let mut out = Writer::with_capacity(128);
    scope.write(&mut out);
    match of {
        ProofOf::Unlock => out.u8(1),
        ProofOf::StepUp => out.u8(2),
        ProofOf::Completion(ceremony) => out.u8(3).fixed(&ceremony.0),
        ProofOf::Retirement(set) => out.u8(4).fixed(&set.0),
    };
    out.fixed(&challenge.0);
    out.into_vec()
}
