//! What a vault says of the cell that it may be opened into.

use std::collections::BTreeSet;

use ocmt_types::{ContainerId, Digest32, GroupId, NodeId, Timestamp};
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    connect::RESERVED_VARIABLES,
    datakey::VaultScope,
    keyring::Keyring,
    kind::Kind,
    seal::{self, SealSecretKey},
    sign::{Purpose, Signature, VerifyKey},
    unlock::{MAX_NAME, is_variable_name},
};

const VERSION: u8 = 1;
pub(crate) const PURPOSE: Purpose = Purpose::new("group cell appointment");
const PRESENT: Purpose = Purpose::new("group cell present");
const MAPPING: &[u8] = b"OCMT group cell mapping v1";
const SIGNATURE: usize = 64;

/// The most variables of an appointment.
pub const MAX_APPOINTED: usize = 256;
/// The shortest and the longest time that an unlock into a cell lasts, in milliseconds.
pub const SHORTEST_MS: u64 = 5 * 60 * 1_000;
/// See [`SHORTEST_MS`].
pub const LONGEST_MS: u64 = 24 * 60 * 60 * 1_000;
const MAX_MAPPING: usize = 4 + MAX_APPOINTED * (4 + MAX_NAME + 32) + seal::OVERHEAD;
/// The longest appointment, in bytes.
pub const MAX_APPOINTMENT: usize =
    6 + 5 * 16 + 3 * 8 + 32 + 4 + MAX_APPOINTED * 32 + 4 + MAX_MAPPING + 2 * SIGNATURE;

/// An appointment on its way to being signed.
#[derive(Debug, Clone, Copy)]
pub struct NewAppointment<'a> {
    /// The group's vault.
    pub scope: VaultScope,
    /// The group.
    pub group: GroupId,
    /// Whose cell.
    pub container: ContainerId,
    /// The host that the container is pinned to.
    pub node: NodeId,
    /// Grows from one appointment of a vault to the next.
    pub number: u64,
    /// The longest that one unlock lasts, in milliseconds: [`SHORTEST_MS`] to [`LONGEST_MS`].
    pub longest_ms: u64,
    /// By the clock of whoever signs.
    pub appointed_at: Timestamp,
    /// Variables of the workload with the entries that they are filled from.
    pub mapping: &'a [(String, Digest32)],
}

impl NewAppointment<'_> {
    /// Signs it with the vault's present signing key, then with its own identity key, and seals the mapping to the vault: which
    /// names go where is nobody else's business. The identity key is what administrators were told of; it never changes, and
    /// whoever ever had the vault open has it. The signing key is made anew with each rotation, so they appoint nothing.
    ///
    /// # Errors
    /// [`CryptoError::OutOfRange`] past a bound; [`CryptoError::Exists`] if a variable is there twice.
    pub fn sign(&self, keyring: &Keyring, rng: &mut impl CryptoRng) -> Result<Vec<u8>> {
        check_mapping(self.mapping)?;
        let objects: BTreeSet<Digest32> = self.mapping.iter().map(|(_, object)| *object).collect();
        let mut out = Writer::object(Kind::CELL_APPOINTMENT, VERSION);
        self.scope.write(&mut out);
        out.id(self.group).id(self.container).id(self.node).u64(self.number).u64(self.longest_ms);
        out.i64(self.appointed_at.0).fixed(&keyring.vault_signing.verify_key().0).count(objects.len());
        for object in &objects {
            out.fixed(&object.0);
        }
        let mut mapping = Writer::new();
        mapping.count(self.mapping.len());
        for (variable, object) in self.mapping {
            mapping.var(variable.as_bytes()).fixed(&object.0);
        }
        let to = keyring.identity_seal.public();
        let sealed = seal::seal(&to, MAPPING, out.as_bytes(), mapping.as_bytes(), rng)?;
        out.var(&sealed);
        for (key, purpose) in [(&keyring.vault_signing, PRESENT), (&keyring.identity_signing, PURPOSE)] {
            let signature = key.sign(purpose, out.as_bytes());
            out.fixed(&signature.0);
        }
        let bytes = out.into_vec();
        // what it says is held against the same bounds as everybody's
        Appointment::verify(&bytes, &keyring.identity_signing.verify_key()).map_err(|_| {
            CryptoError::OutOfRange { what: "appointment", rule: "a number, and 5 minutes to 24 hours" }
        })?;
        Ok(bytes)
    }
}

/// Which container's cell a vault may be opened into, and what of it. Exists only verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appointment {
    /// The group's vault.
    pub scope: VaultScope,
    /// The group.
    pub group: GroupId,
    /// Whose cell.
    pub container: ContainerId,
    /// Its host.
    pub node: NodeId,
    /// Grows from one appointment of a vault to the next.
    pub number: u64,
    /// The longest that one unlock lasts, in milliseconds.
    pub longest_ms: u64,
    /// By the clock of whoever signed.
    pub appointed_at: Timestamp,
    /// The vault's signing key of then: with the next rotation the appointment is over.
    pub verify_key: VerifyKey,
    /// The entries that are mapped, ascending.
    pub objects: Vec<Digest32>,
    /// SHA-256 of all of it.
    pub hash: Digest32,
    /// What the mapping is bound to, and the mapping.
    bound: Vec<u8>,
    mapping: Vec<u8>,
}

impl Appointment {
    /// Verifies one of the vault with this identity key.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn verify(bytes: &[u8], identity: &VerifyKey) -> Result<Self> {
        if bytes.len() > MAX_APPOINTMENT {
            return Err(CryptoError::Refused);
        }
        let (body, signature) = bytes.split_last_chunk::<SIGNATURE>().ok_or(CryptoError::Refused)?;
        identity.verify(PURPOSE, body, &Signature(*signature))?;
        let (body, signature) = body.split_last_chunk::<SIGNATURE>().ok_or(CryptoError::Refused)?;
        let mut reader = Reader::object(body, Kind::CELL_APPOINTMENT, VERSION)?;
        let appointment = Self {
            scope: VaultScope { tenant: reader.id()?, vault: reader.id()? },
            group: reader.id()?,
            container: reader.id()?,
            node: reader.id()?,
            number: reader.u64()?,
            longest_ms: reader.u64()?,
            appointed_at: Timestamp(reader.i64()?),
            verify_key: VerifyKey(reader.array()?),
            objects: (0..reader.count(MAX_APPOINTED, 32)?)
                .map(|_| Ok(Digest32(reader.array()?)))
                .collect::<Result<_>>()?,
            hash: Digest32(Sha256::digest(bytes).into()),
            bound: body.get(..body.len() - reader.remaining()).ok_or(CryptoError::Refused)?.to_vec(),
            mapping: reader.var(MAX_MAPPING)?.to_vec(),
        };
        reader.finish()?;
        appointment.verify_key.verify(PRESENT, body, &Signature(*signature))?;
        let lawful = appointment.number > 0
            && (SHORTEST_MS..=LONGEST_MS).contains(&appointment.longest_ms)
            && !appointment.objects.is_empty()
            && appointment.objects.is_sorted_by(|one, next| one < next);
        if lawful { Ok(appointment) } else { Err(CryptoError::Refused) }
    }

    /// The mapping, with the vault open: of exactly the entries that everybody can see are appointed.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn open_mapping(&self, vault: &SealSecretKey) -> Result<Vec<(String, Digest32)>> {
        let plain = seal::open(vault, MAPPING, &self.bound, &self.mapping)?;
        let mut reader = Reader::new(&plain);
        let mapping = (0..reader.count(MAX_APPOINTED, 36)?)
            .map(|_| Ok((reader.text(MAX_NAME)?.to_owned(), Digest32(reader.array()?))))
            .collect::<Result<Vec<_>>>()?;
        reader.finish()?;
        check_mapping(&mapping).map_err(|_| CryptoError::Refused)?;
        let named: BTreeSet<Digest32> = mapping.iter().map(|(_, object)| *object).collect();
        if named.iter().eq(&self.objects) { Ok(mapping) } else { Err(CryptoError::Refused) }
    }
}

fn check_mapping(mapping: &[(String, Digest32)]) -> Result<()> {
    if mapping.is_empty() || mapping.len() > MAX_APPOINTED {
        return Err(CryptoError::OutOfRange { what: "appointment", rule: "1 to 256 variables" });
    }
    let mut names = BTreeSet::new();
    for (name, _) in mapping {
        if !is_variable_name(name) || name.starts_with(RESERVED_VARIABLES) {
            let rule =
                "a letter or _, then letters, digits and _, at most 128 bytes, and none of the cell's own";
            return Err(CryptoError::OutOfRange { what: "variable name", rule });
        }
        if !names.insert(name.as_str()) {
            return Err(CryptoError::Exists("variable name"));
        }
    }
    Ok(())
}
