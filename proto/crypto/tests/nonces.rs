//! No nonce is drawn twice: 2^20 seals under one key, with either cipher.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ocmt_crypto::{envelope::Cipher, kind::Kind};

const SEALS: usize = 1 << 20;
const HEADER: usize = 12;

/// In order, each once.
fn nonces<const LEN: usize>(kind: Kind) -> Vec<[u8; LEN]> {
    let (cipher, rng) = (Cipher::new(kind, 1, &[7; 32]), &mut rand::rng());
    let one = |_| cipher.seal(b"context", b"", rng).unwrap()[HEADER..HEADER + LEN].try_into().unwrap();
    let mut all: Vec<[u8; LEN]> = (0..SEALS).map(one).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// How often each bit of the nonces is set: a counter or a short clock in them would show.
fn assert_random<const LEN: usize>(nonces: &[[u8; LEN]]) {
    for bit in 0..LEN * 8 {
        let set = nonces.iter().filter(|nonce| nonce[bit / 8] >> (bit % 8) & 1 == 1).count();
        // seven standard deviations of a fair coin
        let most = 7 * 512;
        assert!(set.abs_diff(SEALS / 2) < most, "bit {bit} is set in {set} of {SEALS}");
    }
}

#[test]
fn no_nonce_of_aes_gcm_repeats_in_a_million_seals() {
    let nonces = nonces::<12>(Kind::OBJECT_BODY);
    assert_eq!(nonces.len(), SEALS);
    assert_random(&nonces);
}

#[test]
fn no_nonce_of_xchacha_repeats_in_a_million_seals() {
    let nonces = nonces::<24>(Kind::TRANSCRIPT_RECORD);
    assert_eq!(nonces.len(), SEALS);
    assert_random(&nonces);
}
