//! A backup of the cluster's sealing key, under an operator's passphrase.
//!
//! ```text
//! head 6 | costs 12 | salt 4 + 16 | fingerprint of the authority 32 | envelope of kind SEALING_BACKUP_BODY
//! ```
//!
//! All that stands before the envelope is in its key and its context. Who has such a file and its passphrase, and a
//! copy of the database from the same time, has what a node has: keep it away from dumps.

use hkdf::Hkdf;
use ocmt_types::Digest32;
use rand::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    envelope, join,
    kdf::{Cost, Passphrase, Stretch},
    kind::Kind,
    sealing::SealingKeys,
};

const VERSION: u8 = 1;
const SALT_LEN: usize = 16;
/// Bytes before the envelope.
const HEADER_LEN: usize = 6 + 12 + 4 + SALT_LEN + 32;
const DOMAIN: &[u8] = b"OCMT sealing backup v1\0";
/// The most bytes of a backup: one with [`join::MAX_GENERATIONS`] generations.
pub const MAX_LEN: usize = HEADER_LEN + 128 + 4 + 36 * join::MAX_GENERATIONS;

/// Writes a backup of all generations, of the cluster whose authority's certificate has the fingerprint `ca`. Runs Argon2id.
///
/// # Errors
/// [`CryptoError::TooLarge`] past [`join::MAX_GENERATIONS`].
pub fn seal(
    keys: &SealingKeys,
    ca: Digest32,
    passphrase: &Passphrase,
    cost: Cost,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>> {
    let plain = join::write_keys(keys)?;
    let stretch = Stretch::generate(cost, rng);
    let mut out = Writer::object(Kind::SEALING_BACKUP, VERSION);
    stretch.write(&mut out);
    out.fixed(&ca.0);
    let mut out = out.into_vec();
    let key = key(&stretch, passphrase, &out)?;
    let sealed = envelope::seal(Kind::SEALING_BACKUP_BODY, 0, &key, &context(&out), &plain, rng)?;
    out.extend_from_slice(&sealed);
    Ok(out)
}

/// The fingerprint of the authority whose cluster a backup says it is of. Believed only once [`open`] has opened it.
///
/// # Errors
/// [`CryptoError::Refused`] for what is no backup, [`CryptoError::UnsupportedVersion`] for that of a later program.
pub fn authority(backup: &[u8]) -> Result<Digest32> {
    header(backup).map(|(_, ca)| ca)
}

/// Opens a backup. Runs Argon2id at the costs that it names, which are bounded.
///
/// # Errors
/// [`CryptoError::Refused`]: another passphrase, or a damaged file; nobody can tell which.
pub fn open(backup: &[u8], passphrase: &Passphrase) -> Result<SealingKeys> {
    let (stretch, _) = header(backup)?;
    let (header, sealed) = backup.split_at(HEADER_LEN);
    let key = key(&stretch, passphrase, header)?;
    let plain = envelope::open(Kind::SEALING_BACKUP_BODY, &key, &context(header), sealed)?;
    join::read_keys(&plain.plaintext)
}

fn header(backup: &[u8]) -> Result<(Stretch, Digest32)> {
    let header = backup.get(..HEADER_LEN).filter(|_| backup.len() <= MAX_LEN).ok_or(CryptoError::Refused)?;
    let mut reader = Reader::object(header, Kind::SEALING_BACKUP, VERSION)?;
    let (stretch, ca) = (Stretch::read(&mut reader)?, Digest32(reader.array()?));
    reader.finish()?;
    Ok((stretch, ca))
}

/// HKDF over the stretched passphrase, with all of the header in its info.
fn key(stretch: &Stretch, passphrase: &Passphrase, header: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
    let stretched = stretch.derive(passphrase.expose())?;
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, stretched.as_slice())
        .expand(&[b"OCMT sealing backup key v1\0", header].concat(), key.as_mut_slice())
        .map_err(|_| CryptoError::Refused)?;
    Ok(key)
}

fn context(header: &[u8]) -> Vec<u8> {
    [DOMAIN, header].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sealing::SealingKey;

    fn small() -> Cost {
        Cost::LEAST
    }

    fn words() -> Passphrase {
        Passphrase::new("violin ledger umbrella quartz").unwrap()
    }

    fn of_three() -> (SealingKeys, Vec<u8>) {
        let keys = SealingKeys::new((2..5).map(|n| SealingKey::generate(n, &mut rand::rng())));
        let backup = seal(&keys, Digest32([7; 32]), &words(), small(), &mut rand::rng()).unwrap();
        (keys, backup)
    }

    fn shown(keys: &SealingKeys) -> Vec<(u32, [u8; 32])> {
        keys.generations().map(|key| (key.generation(), *key.expose())).collect()
    }

    #[test]
    fn every_generation_comes_back_and_nothing_is_in_clear() {
        let (keys, backup) = of_three();
        assert_eq!(authority(&backup).unwrap(), Digest32([7; 32]));
        assert_eq!(shown(&open(&backup, &words()).unwrap()), shown(&keys));
        for key in keys.generations() {
            assert!(!backup.windows(8).any(|window| key.expose().starts_with(window)));
        }
    }

    #[test]
    fn another_passphrase_opens_nothing() {
        let (_, backup) = of_three();
        let other = Passphrase::new("tramway-Okapi-39-lantern").unwrap();
        assert!(matches!(open(&backup, &other), Err(CryptoError::Refused)));
    }

    #[test]
    fn v1_v2_every_changed_byte_and_every_other_length_is_refused() {
        let (_, backup) = of_three();
        // each try stretches the passphrase: all of the header, and a part of the rest
        for at in (0..HEADER_LEN).chain((HEADER_LEN..backup.len()).step_by(5)) {
            let mut changed = backup.clone();
            changed[at] ^= 1;
            assert!(open(&changed, &words()).is_err(), "byte {at}");
        }
        for length in [0, 1, HEADER_LEN - 1, HEADER_LEN, backup.len() - 1] {
            assert!(open(&backup[..length], &words()).is_err(), "{length} bytes");
        }
        let longer = [backup.as_slice(), &[0]].concat();
        assert!(open(&longer, &words()).is_err());
        assert!(open(&vec![0; MAX_LEN + 1], &words()).is_err());
    }
}
