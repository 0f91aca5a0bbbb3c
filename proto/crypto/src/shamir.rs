//! Sharing a 32-byte secret so that any k of n shares rebuild it, and fewer tell nothing.
//!
//! Shamir over GF(2^8) with the polynomial 0x11D, computed by the crate `sharks` (its fixed fork
//! `blahaj`). That crate guards against nothing: measured, a share with x = 0 sets the result to the
//! attacker's value, a flipped byte or a repeated x returns garbage as `Ok`, k = 0 or 1 hands out the
//! secret itself, more than k shares are all interpolated, and nothing is zeroised. So this is the
//! only module that calls it, with all of that refused here. What is *not* told here is whether a
//! share is genuine: [`crate::guardian`] checks each against its commitment before it comes here, and
//! [`crate::ceremony::collect`] authenticates the result.
//!
//! The arithmetic looks tables up by secret bytes and is not constant time: it runs in the owner's
//! and the requester's client alone, never on a host that an attacker shares.

use sharks::{Share as RawShare, Sharks};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{CryptoError, Result};

/// Bytes of a secret, and of each share of it.
pub const SECRET_LEN: usize = 32;

const THRESHOLD: CryptoError =
    CryptoError::OutOfRange { what: "threshold", rule: "k of n shares, 2 <= k <= n <= 255" };

/// The most shares the field has room for (x = 0 is the secret itself).
pub const MAX_SHARES: u8 = 255;

/// One point of the polynomials: `x` is public, `y` is secret and zeroised on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Share {
    /// Which point, 1 to 255.
    pub x: u8,
    /// The value there.
    pub y: [u8; SECRET_LEN],
}

/// Deals `n` shares of `secret` with x = 1..=n, of which any `k` rebuild it.
///
/// # Errors
/// [`CryptoError::OutOfRange`] unless 2 ≤ k ≤ n ≤ 255.
pub fn split(secret: &[u8; SECRET_LEN], k: u8, n: u8, rng: &mut impl rand::CryptoRng) -> Result<Vec<Share>> {
    check_threshold(k, n)?;
    let mut shares = Vec::with_capacity(usize::from(n));
    for raw in Sharks(k).dealer_rng(secret, rng).take(usize::from(n)) {
        let bytes = Zeroizing::new(Vec::<u8>::from(&raw));
        let (x, y) = bytes.split_first().ok_or(THRESHOLD)?;
        let y = <[u8; SECRET_LEN]>::try_from(y).map_err(|_| THRESHOLD)?;
        shares.push(Share { x: *x, y });
    }
    if shares.len() != usize::from(n) || shares.iter().zip(1..=n).any(|(share, x)| share.x != x) {
        return Err(THRESHOLD);
    }
    Ok(shares)
}

/// Rebuilds the secret from exactly `k` shares.
///
/// The result is only as genuine as the shares: check each before and authenticate the secret after.
///
/// # Errors
/// [`CryptoError::OutOfRange`] if k < 2; [`CryptoError::Refused`] unless there are exactly k shares, with distinct x,
/// none of them 0.
pub fn combine(shares: &[Share], k: u8) -> Result<Zeroizing<[u8; SECRET_LEN]>> {
    check_threshold(k, MAX_SHARES)?;
    if shares.len() != usize::from(k) {
        return Err(CryptoError::Refused);
    }
    let mut seen = [false; 256];
    let mut raw = Vec::with_capacity(shares.len());
    for share in shares {
        if share.x == 0 || std::mem::replace(&mut seen[usize::from(share.x)], true) {
            return Err(CryptoError::Refused);
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + SECRET_LEN));
        bytes.push(share.x);
        bytes.extend_from_slice(&share.y);
        raw.push(RawShare::try_from(bytes.as_slice()).map_err(|_| CryptoError::Refused)?);
    }
    let secret = Zeroizing::new(Sharks(k).recover(&raw).map_err(|_| CryptoError::Refused)?);
    let secret = <[u8; SECRET_LEN]>::try_from(secret.as_slice()).map_err(|_| CryptoError::Refused)?;
    Ok(Zeroizing::new(secret))
}

fn check_threshold(k: u8, n: u8) -> Result<()> {
    if k < 2 || k > n { Err(THRESHOLD) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

    use super::*;

    fn secret(rng: &mut StdRng) -> [u8; SECRET_LEN] {
        let mut secret = [0; SECRET_LEN];
        rng.fill_bytes(&mut secret);
        secret
    }

    fn copy(share: &Share) -> Share {
        Share { x: share.x, y: share.y }
    }

    #[test]
    fn any_k_of_n_rebuild_and_fewer_are_refused() {
        let mut rng = StdRng::seed_from_u64(1);
        for (k, n) in [(2, 2), (2, 3), (3, 5), (5, 5), (7, 20), (20, 20), (2, 255), (255, 255)] {
            let secret = secret(&mut rng);
            let mut shares = split(&secret, k, n, &mut rng).unwrap();
            for _ in 0..4 {
                let turn = usize::from(rng.next_u32().to_le_bytes()[0]) % shares.len();
                shares.rotate_left(turn);
                let chosen = &shares[..usize::from(k)];
                assert_eq!(*combine(chosen, k).unwrap(), secret, "{k} of {n}");
                assert_eq!(combine(&chosen[1..], k).err(), Some(CryptoError::Refused), "{k} - 1 of {n}");
            }
        }
    }

    /// R4: k - 1 shares, filled up with a guess, give the secret no more often than chance.
    #[test]
    fn r4_k_minus_1_shares_and_a_guess_do_not_rebuild() {
        let mut rng = StdRng::seed_from_u64(2);
        let secret = secret(&mut rng);
        let mut shares = split(&secret, 3, 5, &mut rng).unwrap();
        for guess in 0..=255_u8 {
            shares[2].y = [guess; SECRET_LEN];
            assert_ne!(*combine(&shares[..3], 3).unwrap(), secret);
        }
    }

    /// R4: to who holds k - 1 shares every secret is possible, and none likelier: each guess of the
    /// missing share's byte gives another secret byte.
    #[test]
    fn r4_k_minus_1_shares_leave_every_secret_possible() {
        let mut rng = StdRng::seed_from_u64(8);
        let mut shares = split(&secret(&mut rng), 3, 5, &mut rng).unwrap();
        let mut seen = [false; 256];
        for guess in 0..=255_u8 {
            shares[2].y[0] = guess;
            seen[usize::from(combine(&shares[..3], 3).unwrap()[0])] = true;
        }
        assert!(seen.iter().all(|seen| *seen));
    }

    /// R1: with the plain crate the guardian who sends x = 0 chooses the result.
    #[test]
    fn r1_share_at_zero_is_refused() {
        let mut rng = StdRng::seed_from_u64(3);
        let mut shares = split(&secret(&mut rng), 3, 5, &mut rng).unwrap();
        shares[0] = Share { x: 0, y: [0x42; SECRET_LEN] };
        assert_eq!(combine(&shares[..3], 3).err(), Some(CryptoError::Refused));
    }

    /// R3: the same x twice, with the same and with another value.
    #[test]
    fn r3_repeated_x_is_refused() {
        let mut rng = StdRng::seed_from_u64(4);
        let mut shares = split(&secret(&mut rng), 3, 5, &mut rng).unwrap();
        shares[1] = copy(&shares[0]);
        assert_eq!(combine(&shares[..3], 3).err(), Some(CryptoError::Refused));
        shares[1].y[7] ^= 1;
        assert_eq!(combine(&shares[..3], 3).err(), Some(CryptoError::Refused));
    }

    /// R5: every threshold that hands out the secret or can never be met.
    #[test]
    fn r5_bad_thresholds_are_refused() {
        let mut rng = StdRng::seed_from_u64(5);
        let secret = secret(&mut rng);
        for (k, n) in [(0, 0), (0, 5), (1, 1), (1, 5), (6, 5), (2, 0), (2, 1), (255, 254)] {
            assert_eq!(split(&secret, k, n, &mut rng).err(), Some(THRESHOLD), "{k} of {n}");
        }
        let shares = split(&secret, 2, 3, &mut rng).unwrap();
        for k in [0, 1] {
            assert_eq!(combine(&shares[..usize::from(k)], k).err(), Some(THRESHOLD));
        }
    }

    #[test]
    fn more_than_k_shares_are_not_interpolated() {
        let mut rng = StdRng::seed_from_u64(6);
        let shares = split(&secret(&mut rng), 2, 3, &mut rng).unwrap();
        assert_eq!(combine(&shares, 2).err(), Some(CryptoError::Refused));
    }

    /// RUSTSEC-2024-0398: in `sharks` 0.5 no share byte ever equals its secret byte, so that each
    /// re-sharing of one secret rules values out. Unbiased, 1 in 256 does: 64,000 × 3 / 256 = 750 here.
    #[test]
    fn two_thousand_resharings_show_no_bias() {
        let mut rng = StdRng::seed_from_u64(7);
        let secret = secret(&mut rng);
        let mut equal = 0_u32;
        let mut seen = [[false; 256]; SECRET_LEN];
        for _ in 0..2_000 {
            for share in split(&secret, 2, 3, &mut rng).unwrap() {
                for (at, (y, s)) in share.y.iter().zip(&secret).enumerate() {
                    equal += u32::from(y == s);
                    seen[at][usize::from(*y)] = true;
                }
            }
        }
        // five standard deviations (27.3) around 750
        assert!((613..=887).contains(&equal), "{equal} share bytes equal their secret byte");
        assert!(seen.iter().flatten().all(|seen| *seen), "a value never came up");
    }
}
