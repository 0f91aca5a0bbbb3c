//! TOTP (RFC 6238): SHA-1, six digits, steps of 30 s, as every authenticator takes it.

use data_encoding::{BASE32_NOPAD, HEXUPPER};
use ocmt_types::Timestamp;
use rand::CryptoRng;
use totp_rs::{Algorithm, Builder, Totp};
use zeroize::Zeroizing;

use crate::{CryptoError, Result};

/// Seconds of a step.
pub const STEP_SECS: u64 = 30;
/// Steps before and after the present one whose codes are taken: clocks drift.
pub const WINDOW: u16 = 1;
/// Bytes of a secret.
pub const SECRET_LEN: usize = 20;

/// The secret shared with an authenticator, wiped when dropped.
pub struct TotpSecret(Zeroizing<[u8; SECRET_LEN]>);

impl TotpSecret {
    /// A fresh secret.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut secret = Zeroizing::new([0; SECRET_LEN]);
        rng.fill_bytes(secret.as_mut_slice());
        Self(secret)
    }

    /// The secret of these bytes.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if they are not 20.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        let secret: &[u8; SECRET_LEN] = bytes.try_into().map_err(|_| CryptoError::Refused)?;
        Ok(Self(Zeroizing::new(*secret)))
    }

    /// What an authenticator reads from the URI, or a person types into it.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is no secret of ours.
    pub fn from_base32(text: &str) -> Result<Self> {
        let bytes = BASE32_NOPAD.decode(text.as_bytes()).map_err(|_| CryptoError::Refused)?;
        Self::from_slice(&Zeroizing::new(bytes))
    }

    /// The bytes, for storing them wrapped.
    pub fn expose(&self) -> &[u8; SECRET_LEN] {
        &self.0
    }

    /// The secret as a person types it into an authenticator: base32.
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(self.0.as_slice()))
    }

    /// The URI that an authenticator reads from a QR code.
    pub fn to_uri(&self, issuer: &str, account: &str) -> Zeroizing<String> {
        let (issuer, account) = (percent(issuer), percent(account));
        let secret = self.to_base32();
        Zeroizing::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period=30",
            secret.as_str()
        ))
    }

    /// The code of the step that `now` lies in.
    ///
    /// # Errors
    /// None in practice.
    pub fn code(&self, now: Timestamp) -> Result<String> {
        Ok(self.totp()?.generate(seconds(now)).to_string())
    }

    /// Checks a code at `now`, one step of drift either way. Returns the step it belongs to, which the
    /// caller stores: a code of that step or an earlier one (`last_step`) is a replay and is refused.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn check(&self, code: &str, now: Timestamp, last_step: Option<u64>) -> Result<u64> {
        if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(CryptoError::Refused);
        }
        match self.totp()?.check(code, seconds(now)) {
            Some(step) if last_step.is_none_or(|last| step > last) => Ok(step),
            _ => Err(CryptoError::Refused),
        }
    }

    fn totp(&self) -> Result<Totp> {
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(6)
            .with_skew(WINDOW)
            .with_step_duration(STEP_SECS)
            .with_secret(*self.0)
            .build()
            .map_err(|_| CryptoError::Refused)
    }
}

fn seconds(now: Timestamp) -> u64 {
    u64::try_from(now.millis() / 1000).unwrap_or(0)
}

/// Percent-encodes all but RFC 3986's unreserved characters.
fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            HEXUPPER.encode_append(&[byte], &mut out);
        }
        out
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn at_step(offset: i64) -> Timestamp {
        Timestamp(NOW.0 + offset * 30_000)
    }

    #[test]
    fn m2_only_one_step_of_drift_is_taken() {
        let secret = TotpSecret::generate(&mut rand::rng());
        for (offset, taken) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let code = secret.code(at_step(offset)).unwrap();
            // two steps may share a code by chance: then the taken one must be inside the window
            match secret.check(&code, NOW, None) {
                Ok(step) => assert!(taken || (NOW.0 as u64 / 30_000).abs_diff(step) <= 1),
                Err(_) => assert!(!taken),
            }
        }
    }

    #[test]
    fn a_code_is_taken_once() {
        let secret = TotpSecret::generate(&mut rand::rng());
        let code = secret.code(NOW).unwrap();
        let step = secret.check(&code, NOW, None).unwrap();
        assert_eq!(secret.check(&code, NOW, Some(step)), Err(CryptoError::Refused));
        assert_eq!(secret.check(&code, NOW, Some(step - 1)), Ok(step));
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let secret = TotpSecret::generate(&mut rand::rng());
        let code = secret.code(NOW).unwrap();
        for bad in
            [String::new(), format!(" {code}"), format!("{code}0"), code[1..].to_owned(), "١٢٣٤٥٦".into()]
        {
            assert!(secret.check(&bad, NOW, None).is_err());
        }
        assert!(TotpSecret::from_slice(&[0; 19]).is_err());
        assert!(
            secret
                .to_uri("OCMT", "a:b@example.org")
                .starts_with("otpauth://totp/OCMT:a%3Ab%40example.org?secret=")
        );
    }
}
