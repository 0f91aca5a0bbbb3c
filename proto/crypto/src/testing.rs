//! What the tests of several formats ask of all of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

/// Asserts that `opens` takes `bytes`, and neither any bit flip, nor any prefix, nor one byte more.
pub(crate) fn assert_brittle(bytes: &[u8], opens: impl Fn(&[u8]) -> bool) {
    assert!(opens(bytes), "the good bytes are refused");
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!opens(&flipped), "bit {bit} flipped is taken");
    }
    for len in 0..bytes.len() {
        assert!(!opens(&bytes[..len]), "the first {len} bytes are taken");
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert!(!opens(&longer), "one byte more is taken");
}
