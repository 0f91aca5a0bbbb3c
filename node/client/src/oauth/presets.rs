//! Providers that many use, as they were on 2026-11-29.

use std::collections::BTreeMap;

use ocmt_crypto::connect::{Endpoints, ProviderName, ProviderSettings, SecretBy};

/// The names of [`preset`].
pub const PRESETS: [&str; 3] = ["github", "google", "microsoft"];

/// A provider that is known here, without a client; none for another name.
pub fn preset(preset: &str, name: ProviderName) -> Option<ProviderSettings> {
    let parameters = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let blank = ProviderSettings {
        name,
        client_id: String::new(),
        client_secret: None,
        secret_by: Some(SecretBy::Body),
        issuer: None,
        endpoints: None,
        hosts: Vec::new(),
        scopes: Vec::new(),
        parameters: BTreeMap::new(),
        ca_pem: None,
        // all three hold a code to its verifier
        pkce_assumed: true,
    };
    match preset {
        // no place for revocations that OAuth knows of
        "github" => Some(ProviderSettings {
            issuer: Some("https://github.com/login/oauth".to_owned()),
            endpoints: Some(Endpoints {
                authorization: "https://github.com/login/oauth/authorize".to_owned(),
                token: "https://github.com/login/oauth/access_token".to_owned(),
                revocation: None,
            }),
            ..blank
        }),
        "google" => Some(ProviderSettings {
            issuer: Some("https://accounts.google.com".to_owned()),
            hosts: vec!["oauth2.googleapis.com".to_owned()],
            // a refresh token is given for these alone
            parameters: parameters(&[("access_type", "offline"), ("prompt", "consent")]),
            ..blank
        }),
        // its issuer is another for each organisation
        "microsoft" => Some(ProviderSettings {
            endpoints: Some(Endpoints {
                authorization: "https://login.microsoftonline.com/common/oauth2/v2.0/authorize".to_owned(),
                token: "https://login.microsoftonline.com/common/oauth2/v2.0/token".to_owned(),
                revocation: None,
            }),
            scopes: vec!["offline_access".to_owned()],
            ..blank
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_preset_makes_settings_once_it_has_a_client() {
        for known in PRESETS {
            let mut settings = preset(known, ProviderName::new(known).unwrap()).unwrap();
            settings.client_id = "ocmt".to_owned();
            ProviderSettings::decode(&settings.encode().unwrap()).unwrap();
        }
        assert!(preset("other", ProviderName::new("other").unwrap()).is_none());
    }
}
