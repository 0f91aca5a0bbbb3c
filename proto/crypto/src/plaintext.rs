//! What a cipher opened.

use std::ops::Deref;

use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

/// Opened bytes, wiped when dropped, all at once. `Zeroizing<Vec<u8>>` wipes byte by byte, which took longer than a third
/// of opening 64 KiB.
#[derive(Default)]
pub struct Plaintext(Vec<u8>);

impl Plaintext {
    /// Ciphertext that is to be opened in place. It never grows: nothing of it stays elsewhere.
    pub(crate) fn in_place_of(ciphertext: &[u8]) -> Self {
        Self(ciphertext.to_vec())
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Plaintext {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

impl ZeroizeOnDrop for Plaintext {}

impl Deref for Plaintext {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl From<Plaintext> for Zeroizing<Vec<u8>> {
    /// The same bytes in the same place.
    fn from(mut opened: Plaintext) -> Self {
        Self::new(std::mem::take(&mut opened.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_handed_on_without_a_copy() {
        let opened = Plaintext::in_place_of(b"content");
        assert_eq!(opened.capacity(), opened.len(), "nothing beside what is wiped");
        let place = opened.as_ptr();
        let kept = Zeroizing::<Vec<u8>>::from(opened);
        assert_eq!((kept.as_slice(), kept.as_ptr()), (b"content".as_slice(), place));
    }
}
