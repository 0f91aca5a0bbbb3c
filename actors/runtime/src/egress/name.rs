//! Names of hosts, in the one form in which they are compared and looked up.
//!
//! A name is letters, digits, hyphens and underscores in at least two labels, the last of which begins with a letter.
//! So nothing that some program reads as an address passes (`127.1`, `0x7f000001`, `2130706433`, `[::1]`), nor what
//! would have to be decoded first (`%31`, `①`, `user@`). Names in other scripts are written in their `xn--` form.

use std::{fmt, str::FromStr};

const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;

/// A host name, in small letters and without the dot at its end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

/// The text is no host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not a host name of at least two labels, such as api.example.com; addresses are not taken, and other scripts in xn-- form alone"
)]
pub struct ParseNameError;

impl FromStr for HostName {
    type Err = ParseNameError;
    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let bare = text.strip_suffix('.').unwrap_or(text);
        let labels: Vec<&str> = bare.split('.').collect();
        let last_is_a_word =
            labels.last().is_some_and(|last| last.starts_with(|first: char| first.is_ascii_alphabetic()));
        if bare.len() > LONGEST
            || labels.len() < 2
            || !last_is_a_word
            || !labels.iter().all(|it| is_label(it))
        {
            return Err(ParseNameError);
        }
        Ok(Self(bare.to_ascii_lowercase()))
    }
}

fn is_label(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    (1..=LONGEST_LABEL).contains(&text.len()) && plain && !text.starts_with('-') && !text.ends_with('-')
}

impl HostName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For a resolver: with the dot that keeps search domains out.
    pub fn absolute(&self) -> String {
        format!("{}.", self.0)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name, or all names below one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HostPattern {
    /// This name.
    Exact(HostName),
    /// `*.` and this name: every name below it, and not itself.
    Below(HostName),
}

impl HostPattern {
    /// Whether the name is one of it.
    pub fn takes(&self, host: &HostName) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Below(name) => host
                .0
                .strip_suffix(name.as_str())
                .is_some_and(|before| before.len() > 1 && before.ends_with('.')),
        }
    }
}

impl FromStr for HostPattern {
    type Err = ParseNameError;
    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        match text.strip_prefix("*.") {
            Some(below) => Ok(Self::Below(below.parse()?)),
            None => Ok(Self::Exact(text.parse()?)),
        }
    }
}

impl TryFrom<String> for HostPattern {
    type Error = ParseNameError;
    fn try_from(text: String) -> Result<Self, ParseNameError> {
        text.parse()
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => name.fmt(f),
            Self::Below(name) => write!(f, "*.{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_notation_of_an_address_is_a_name() {
        for bad in [
            "127.0.0.1",
            "127.0.0.1.",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0x0.0x0.0x1",
            "0177.0.0.1",
            "017700000001",
            "0",
            "0.",
            "1.2.3.4.5",
            "[::1]",
            "::1",
            "::ffff:127.0.0.1",
            "fe80::1%eth0",
            "127.0.0.1%00",
            "%31%32%37.0.0.1",
            "①②⑦.⓪.⓪.①",
            "127。0。0。1",
            "ｌocalhost.example",
            "localhost",
            "metadata",
            "user@host.example",
            "host.example:80",
            "host.example/",
            "host..example",
            ".host.example",
            "host.example..",
            "-a.example",
            "a-.example",
            "*.example.com",
            "a b.example",
            "",
            ".",
            "..",
            "a.0x1",
            "a.1",
            "exa\u{0}mple.com",
            "host.example\r\n",
        ] {
            assert!(bad.parse::<HostName>().is_err(), "{bad:?} was taken");
        }
        let long = format!("{}.example", "a".repeat(64));
        assert!(long.parse::<HostName>().is_err());
    }

    #[test]
    fn names_are_compared_in_one_form() {
        let name: HostName = "API.Example.COM.".parse().unwrap();
        assert_eq!((name.as_str(), name.absolute().as_str()), ("api.example.com", "api.example.com."));
        assert_eq!("xn--bcher-kva.example".parse::<HostName>().unwrap().as_str(), "xn--bcher-kva.example");
    }

    #[test]
    fn a_star_stands_for_names_below_alone() {
        let below: HostPattern = "*.Example.com".parse().unwrap();
        let takes = |text: &str| below.takes(&text.parse().unwrap());
        assert!(takes("a.example.com") && takes("a.b.example.com"));
        assert!(!takes("example.com") && !takes("badexample.com") && !takes("a.example.com.evil.org"));
        for bad in
            ["*", "*.com", "a.*.com", "**.example.com", "*example.com", "*.*.example.com", "*.127.0.0.1"]
        {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad} was taken");
        }
        let exact: HostPattern = "example.com".parse().unwrap();
        assert!(
            exact.takes(&"example.com".parse().unwrap()) && !exact.takes(&"a.example.com".parse().unwrap())
        );
    }

    proptest! {
        #[test]
        fn whatever_is_a_name_is_no_address_and_stays_itself(text in "[ -~]{0,40}|[0-9a-fx.:]{1,20}") {
            if let Ok(name) = text.parse::<HostName>() {
                prop_assert!(name.as_str().parse::<IpAddr>().is_err());
                prop_assert_eq!(name.as_str().parse::<HostName>(), Ok(name.clone()));
                prop_assert!(name.as_str().rsplit('.').next().unwrap().starts_with(|c: char| c.is_ascii_lowercase()));
            }
        }
    }
}
