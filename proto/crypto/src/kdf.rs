//! From what a person remembers or keeps on paper to a key: Argon2id, in clients only.
//!
//! Parameters come from storage, so they are bounded before anything is allocated: too small is a
//! downgrade, too big an attack.

use argon2::{Algorithm, Argon2, Params as Argon2Params, Version};
use rand::CryptoRng;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    locked,
};

const MIB: u32 = 1024;
/// Lawful memory, in KiB: 19 MiB to 1 GiB.
pub const MEMORY_KIB: std::ops::RangeInclusive<u32> = 19 * MIB..=1024 * MIB;
/// Lawful passes.
pub const PASSES: std::ops::RangeInclusive<u32> = 2..=10;
/// Lawful lanes.
pub const LANES: std::ops::RangeInclusive<u32> = 1..=16;
/// Lawful salts, in bytes.
pub const SALT_LEN: std::ops::RangeInclusive<usize> = 16..=64;
/// The longest passphrase, in bytes after normalisation.
pub const MAX_PASSPHRASE_LEN: usize = 1024;

/// Argon2id's costs, within their bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// What new slots take: 64 MiB, 3 passes, 4 lanes.
    pub const DEFAULT: Self = Self { memory_kib: 64 * MIB, passes: 3, lanes: 4 };
    /// The least that is lawful: for tests, where hundreds of slots are opened.
    pub const LEAST: Self = Self { memory_kib: 19 * MIB, passes: 2, lanes: 1 };

    /// Takes the costs if they are lawful. Allocates nothing.
    ///
    /// # Errors
    /// [`CryptoError::OutOfRange`] naming the one that is not.
    pub const fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self> {
        if memory_kib < *MEMORY_KIB.start() || memory_kib > *MEMORY_KIB.end() {
            return Err(CryptoError::OutOfRange { what: "argon2 memory", rule: "19 MiB to 1 GiB" });
        }
        if passes < *PASSES.start() || passes > *PASSES.end() {
            return Err(CryptoError::OutOfRange { what: "argon2 passes", rule: "2 to 10" });
        }
        if lanes < *LANES.start() || lanes > *LANES.end() {
            return Err(CryptoError::OutOfRange { what: "argon2 lanes", rule: "1 to 16" });
        }
        Ok(Self { memory_kib, passes, lanes })
    }

    /// These costs, each raised to what `least` has; never lowered.
    #[must_use]
    pub fn at_least(self, least: Self) -> Self {
        Self {
            memory_kib: self.memory_kib.max(least.memory_kib),
            passes: self.passes.max(least.passes),
            lanes: self.lanes.max(least.lanes),
        }
    }

    /// Memory in KiB, passes, lanes.
    pub const fn parts(self) -> (u32, u32, u32) {
        (self.memory_kib, self.passes, self.lanes)
    }
}

/// A salt with its costs: what is stored in clear beside whatever a passphrase locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    cost: Cost,
    salt: Vec<u8>,
}

impl Stretch {
    /// A fresh 16-byte salt at `cost`.
    pub fn generate(cost: Cost, rng: &mut impl CryptoRng) -> Self {
        let mut salt = vec![0; 16];
        rng.fill_bytes(&mut salt);
        Self { cost, salt }
    }

    /// The salt and costs given.
    ///
    /// # Errors
    /// [`CryptoError::OutOfRange`] if the salt is not 16 to 64 bytes.
    pub fn new(cost: Cost, salt: &[u8]) -> Result<Self> {
        if SALT_LEN.contains(&salt.len()) {
            Ok(Self { cost, salt: salt.to_vec() })
        } else {
            Err(CryptoError::OutOfRange { what: "argon2 salt", rule: "16 to 64 bytes" })
        }
    }

    /// The costs.
    pub const fn cost(&self) -> Cost {
        self.cost
    }

    /// Appends memory `u32` (KiB), passes `u32`, lanes `u32`, salt.
    pub fn write(&self, out: &mut Writer) {
        out.u32(self.cost.memory_kib).u32(self.cost.passes).u32(self.cost.lanes).var(&self.salt);
    }

    /// Reads what [`Self::write`] wrote.
    ///
    /// # Errors
    /// [`CryptoError::Refused`], also for costs and salts out of bounds.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let cost =
            Cost::new(reader.u32()?, reader.u32()?, reader.u32()?).map_err(|_| CryptoError::Refused)?;
        Self::new(cost, reader.var(*SALT_LEN.end())?).map_err(|_| CryptoError::Refused)
    }

    /// Derives 32 bytes from `secret`. Takes about 0.1 s and the memory of the costs: off the async
    /// threads, and bounded by a semaphore.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if Argon2 refuses (it does not, within the bounds).
    pub fn derive(&self, secret: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
        let Cost { memory_kib, passes, lanes } = self.cost;
        let params =
            Argon2Params::new(memory_kib, passes, lanes, Some(32)).map_err(|_| CryptoError::Refused)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(secret, &self.salt, key.as_mut_slice())
            .map_err(|_| CryptoError::Refused)?;
        Ok(key)
    }
}

/// A passphrase, normalised to NFC so that every keyboard gives the same bytes. Wiped when dropped.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes what the person typed.
    ///
    /// # Errors
    /// [`CryptoError::OutOfRange`] if it is empty or over 1,024 bytes.
    pub fn new(typed: &str) -> Result<Self> {
        // composed text is never longer than twice its parts plus a character: no reallocation, no copy
        let mut text = Zeroizing::new(String::with_capacity(typed.len().min(MAX_PASSPHRASE_LEN) * 3 + 4));
        locked::lock(text.as_ptr(), text.capacity());
        if typed.len() <= MAX_PASSPHRASE_LEN * 3 {
            text.extend(typed.nfc());
        }
        if text.is_empty() || text.len() > MAX_PASSPHRASE_LEN {
            return Err(CryptoError::OutOfRange { what: "passphrase", rule: "1 to 1,024 bytes" });
        }
        Ok(Self(text))
    }

    /// The normalised bytes.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn v6_costs_out_of_bounds_are_refused_before_allocation() {
        for (m, t, p) in [
            (u32::MAX, 3, 4),
            (65_536, u32::MAX, 4),
            (65_536, 3, 0),
            (65_536, 3, 1 << 24),
            (8, 3, 1),
            (19 * 1024 - 1, 2, 1),
            (65_536, 1, 4),
            (65_536, 11, 4),
            (65_536, 3, 17),
            (1024 * 1024 + 1, 3, 4),
        ] {
            assert!(
                matches!(Cost::new(m, t, p), Err(CryptoError::OutOfRange { .. })),
                "{m} {t} {p} was taken"
            );
            let mut stored = Writer::new();
            stored.u32(m).u32(t).u32(p).var(&[0; 16]);
            assert_eq!(Stretch::read(&mut Reader::new(stored.as_bytes())), Err(CryptoError::Refused));
        }
        for len in (0..16).chain([65, 1000]) {
            assert!(Stretch::new(Cost::DEFAULT, &vec![0; len]).is_err());
        }
        assert_eq!(Cost::new(64 * 1024, 3, 4), Ok(Cost::DEFAULT));
    }

    #[test]
    fn composed_and_decomposed_letters_are_one_passphrase() {
        let (composed, decomposed) =
            (Passphrase::new("caf\u{e9}").unwrap(), Passphrase::new("cafe\u{301}").unwrap());
        assert_eq!(composed.expose(), decomposed.expose());
        assert!(Passphrase::new("").is_err() && Passphrase::new(&"x".repeat(1025)).is_err());
        assert!(Passphrase::new(&"x".repeat(1024)).is_ok() && Passphrase::new(&"x".repeat(100_000)).is_err());
    }

    #[test]
    fn another_salt_gives_another_key() {
        let rng = &mut rand::rng();
        let (one, two) = (Stretch::generate(Cost::LEAST, rng), Stretch::generate(Cost::LEAST, rng));
        let key = one.derive(b"secret").unwrap();
        assert!(*key == *one.derive(b"secret").unwrap());
        assert!(*key != *two.derive(b"secret").unwrap() && *key != *one.derive(b"secres").unwrap());
    }
}
