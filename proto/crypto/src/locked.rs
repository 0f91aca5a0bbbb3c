//! Keys in memory that the kernel keeps out of swap.
//!
//! A key that lives longer than a call stands alone in a box whose page is locked (`mlock`) before the key is
//! put there. Pages are never unlocked: several keys share one, and unlocking it for the first that goes would
//! unlock it for all. The allocator uses the page again, so a process has no more of them than it had keys at
//! once. Where the system allows no more (`RLIMIT_MEMLOCK`), the key is kept all the same: refusing to work
//! would help nobody. Against reading by other processes and core dumps this does nothing; the client's and the
//! cell's guard do (ADR 0019).

use std::ops::Deref;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::{CryptoError, Result};

/// 32 secret bytes in a locked page, wiped when dropped.
#[derive(Clone)]
pub(crate) struct LockedKey(Locked<Zeroizing<[u8; 32]>>);

impl From<Zeroizing<[u8; 32]>> for LockedKey {
    /// Copies the key into its place; the source is wiped.
    fn from(key: Zeroizing<[u8; 32]>) -> Self {
        let mut place = Locked::new(Zeroizing::new([0; 32]));
        place.0.copy_from_slice(key.as_slice());
        Self(place)
    }
}

impl LockedKey {
    /// The key of these bytes, which are wiped.
    pub(crate) fn of(mut bytes: [u8; 32]) -> Self {
        let key = Self::from(Zeroizing::new(bytes));
        bytes.zeroize();
        key
    }

    /// A key for one purpose: HKDF-SHA256 without a salt, as this key has its 32 bytes from a generator or a derivation.
    pub(crate) fn derive(&self, purpose: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, self.as_slice())
            .expand(purpose, key.as_mut_slice())
            .map_err(|_| CryptoError::Refused)?;
        Ok(key)
    }
}

impl Deref for LockedKey {
    type Target = [u8; 32];
    fn deref(&self) -> &[u8; 32] {
        &self.0.0
    }
}

/// A secret in a box whose page is locked. It wipes itself when dropped.
pub(crate) struct Locked<T>(Box<T>);

impl<T> Locked<T> {
    /// Boxes it. What it is moved from is the compiler's, and not wiped: put the secret in afterwards where
    /// that can be.
    pub(crate) fn new(secret: T) -> Self {
        let place = Box::new(secret);
        lock(&raw const *place, size_of::<T>());
        Self(place)
    }
}

impl<T: Clone> Clone for Locked<T> {
    fn clone(&self) -> Self {
        Self::new((*self.0).clone())
    }
}

impl<T> Deref for Locked<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Keeps the pages of these bytes out of swap from now on, if the system allows it.
pub(crate) fn lock<T>(start: *const T, bytes: usize) {
    if let Ok(guard) = region::lock(start, bytes) {
        // dropping it would unlock the page for its other keys
        std::mem::forget(guard);
    }
}
