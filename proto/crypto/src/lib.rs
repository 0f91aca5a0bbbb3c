//! The cryptography of OCMT: formats, keys and ceremonies, without I/O, clocks or a generator of its own.
//!
//! Client and cell use all of it; a node uses the half that parses and verifies. Every byte of every
//! format stands in `docs/formats.md` and `docs/formats-cell-and-recovery.md`. Randomness is injected
//! (`&mut impl rand::CryptoRng`); secret types are wiped when dropped and cannot be printed. What is
//! opened from bytes fails with one error only, [`CryptoError::Refused`], whatever was wrong with it.

mod aead;
pub mod audit;
pub mod backup_code;
pub mod backup_key;
pub mod cell;
pub mod ceremony;
pub mod channel;
pub mod codec;
pub mod connect;
pub mod datakey;
pub mod deletion;
pub mod entry;
pub mod envelope;
pub mod error;
pub mod export;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod gateway_token;
#[cfg(test)]
mod golden;
pub mod grant;
pub mod group;
pub mod group_cell;
pub mod guardian;
pub mod import;
pub mod join;
pub mod kdf;
pub mod keyring;
pub mod kind;
#[cfg(test)]
mod known_answers;
mod locked;
mod mac;
pub mod manifest;
pub mod merkle;
pub mod object;
#[cfg(test)]
mod parsing_tests;
pub mod pkce;
pub mod plaintext;
pub mod seal;
pub mod sealed_volume;
pub mod sealing;
pub mod sealing_backup;
pub mod shamir;
pub mod shared;
pub mod sign;
pub mod slot;
pub mod snapshot;
pub mod snapshot_schedule;
pub mod succession;
#[cfg(test)]
mod testing;
pub mod token;
pub mod totp;
pub mod transcript;
mod typed;
pub mod unlock;
pub mod vault;
pub mod words;

pub use error::{CryptoError, Result};

/// A fresh id: a version-4 UUID from the generator given.
pub fn random_id<I: ocmt_types::Id>(rng: &mut impl rand::CryptoRng) -> I {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    I::from_bytes(bytes)
}
