//! Which image: by the digest of its content, so that what was reviewed is what runs.

use std::{fmt, str::FromStr};

use crate::Mode;

/// The text names no image by digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an image by digest (name@sha256:<64 hex digits> or sha256:<64 hex digits>); tags are taken in dev only"
)]
pub struct ParseImageError(pub String);

/// An image: `name@sha256:…` (from a registry), `sha256:…` (an image id, which is the digest of its
/// configuration: what an import gives), or in `dev` a tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef(String);

impl ImageRef {
    /// Takes tags too in [`Mode::Dev`] and [`Mode::Demo`].
    ///
    /// # Errors
    /// The text is neither.
    pub fn parse(text: &str, mode: Mode) -> Result<Self, ParseImageError> {
        match text.parse() {
            Err(_) if mode.is_development() && is_name(text) => Ok(Self(text.to_owned())),
            parsed => parsed,
        }
    }

    /// The text, as the engine takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the text pins the content.
    pub fn is_digest(&self) -> bool {
        digest_of(&self.0).is_some()
    }
}

impl FromStr for ImageRef {
    type Err = ParseImageError;
    fn from_str(text: &str) -> Result<Self, ParseImageError> {
        digest_of(text).map(|_| Self(text.to_owned())).ok_or_else(|| ParseImageError(text.to_owned()))
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn digest_of(text: &str) -> Option<&str> {
    let digest = match text.split_once('@') {
        Some((name, digest)) if is_name(name) => digest,
        Some(_) => return None,
        None => text,
    };
    let hex = digest.strip_prefix("sha256:")?;
    (hex.len() == 64 && hex.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))).then_some(digest)
}

/// What may stand in an image's name or tag; no more, since the text goes into a URL.
fn is_name(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-/:".contains(&c))
        && !text.contains("..")
        && !text.contains("//")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn only_digests_are_taken_outside_dev() {
        for good in [
            format!("sha256:{HEX}"),
            format!("ocmt/cell@sha256:{HEX}"),
            format!("r.example:5000/a/b@sha256:{HEX}"),
        ] {
            assert_eq!(good.parse::<ImageRef>().unwrap().as_str(), good);
        }
        for bad in [
            "ocmt/cell:1",
            "ocmt/cell",
            "",
            "latest",
            &format!("sha256:{}", &HEX[1..]),
            &format!("sha256:{}", HEX.to_uppercase()),
        ] {
            assert!(
                bad.parse::<ImageRef>().is_err() && ImageRef::parse(bad, Mode::Production).is_err(),
                "{bad} was taken"
            );
        }
    }

    #[test]
    fn dev_takes_tags_but_nothing_that_would_leave_its_place_in_a_url() {
        assert!(!ImageRef::parse("ocmt/cell:1", Mode::Dev).unwrap().is_digest());
        for bad in ["../../etc", "a b", "a?x=1", "a#b", "a%2e", "@sha256:0", "-x"] {
            assert!(ImageRef::parse(bad, Mode::Demo).is_err(), "{bad} was taken");
        }
    }
}
