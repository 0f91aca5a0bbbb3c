//! What an unlock gives the workload, as people write it.

use ocmt_crypto::connect::RESERVED_VARIABLES;

/// A variable of the workload and the secret it is filled from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Name of the environment variable.
    pub variable: String,
    /// Name of the secret in the vault.
    pub secret: String,
}

impl std::str::FromStr for Mapping {
    type Err = String;
    /// `VARIABLE=SECRET`, or `SECRET` alone where both have the same name.
    fn from_str(text: &str) -> Result<Self, String> {
        let (variable, secret) = text.split_once('=').unwrap_or((text, text));
        if variable.starts_with(RESERVED_VARIABLES) {
            return Err(format!(
                "`{text}`: names that begin with {RESERVED_VARIABLES} are kept for the cell"
            ));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let starts = variable.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts || !variable.chars().all(plain) || secret.is_empty() {
            return Err(format!(
                "`{text}` is no mapping: write VARIABLE=SECRET, the variable in letters, digits and _"
            ));
        }
        Ok(Self { variable: variable.to_owned(), secret: secret.to_owned() })
    }
}

impl From<(&str, &str)> for Mapping {
    fn from((variable, secret): (&str, &str)) -> Self {
        Self { variable: variable.to_owned(), secret: secret.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_mapping_names_a_variable_and_a_secret() {
        assert_eq!("KEY=api key".parse::<Mapping>().unwrap(), ("KEY", "api key").into());
        assert_eq!("KEY".parse::<Mapping>().unwrap(), ("KEY", "KEY").into());
        assert_eq!("KEY=a=b".parse::<Mapping>().unwrap(), ("KEY", "a=b").into());
        for bad in ["", "=x", "KEY=", "1KEY=x", "A-B=x", "A B", "LD\u{e9}=x", "OCMT_CELL=x"] {
            assert!(bad.parse::<Mapping>().is_err(), "{bad} was taken");
        }
    }
}
