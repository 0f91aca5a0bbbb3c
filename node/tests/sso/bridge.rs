//! The tokens that a bridge issues which speaks SAML to the other side: Keycloak as a broker, and Dex with its SAML connector.
//! No bridge runs here. What is held is that what these two say beside the claims that count neither hinders a sign-in
//! nor is worth anything: groups, roles, levels of assurance, and an address that nobody has verified.

use ocmt_types::UserId;
use serde_json::{Value, json};
use tonic::Code;

use crate::{
    kit::{ANN, Kit},
    provider::Wrong,
};

/// What Keycloak says of itself beyond the least.
fn keycloak_metadata() -> Value {
    json!({
        "acr_values_supported": ["0", "1"],
        "authorization_encryption_alg_values_supported": ["RSA-OAEP", "RSA-OAEP-256", "RSA1_5", "ECDH-ES"],
        "backchannel_authentication_endpoint": "https://localhost/ext/ciba/auth",
        "backchannel_logout_session_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_token_delivery_modes_supported": ["poll", "ping"],
        "claim_types_supported": ["normal"],
        "claims_parameter_supported": true,
        "claims_supported": ["aud", "sub", "iss", "auth_time", "name", "given_name", "family_name",
            "preferred_username", "email", "acr"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "grant_types_supported": ["authorization_code", "implicit", "refresh_token", "password",
            "client_credentials", "urn:openid:params:grant-type:ciba",
            "urn:ietf:params:oauth:grant-type:device_code"],
        "id_token_encryption_alg_values_supported": ["RSA-OAEP", "RSA-OAEP-256", "RSA1_5"],
        "id_token_signing_alg_values_supported": ["PS384", "RS384", "EdDSA", "ES384", "HS256", "HS512",
            "ES256", "RS256", "HS384", "ES512", "PS256", "PS512", "RS512"],
        "mtls_endpoint_aliases": { "token_endpoint": "https://localhost/protocol/openid-connect/token" },
        "request_uri_parameter_supported": true,
        "response_modes_supported": ["query", "fragment", "form_post", "query.jwt", "fragment.jwt",
            "form_post.jwt", "jwt"],
        "response_types_supported": ["code", "none", "id_token", "token", "id_token token",
            "code id_token", "code token", "code id_token token"],
        "subject_types_supported": ["public", "pairwise"],
        "tls_client_certificate_bound_access_tokens": true,
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic",
            "client_secret_post", "tls_client_auth", "client_secret_jwt"],
    })
}

/// The word of Keycloak for who came through a SAML provider. It has verified an address if that provider is set to
/// "Trust Email", and has none if the attribute is not mapped.
fn keycloak(email_verified: &Value) -> Value {
    json!({
        "acr": "1", "at_hash": "ypeBEsobvcr6wjGzmiPcTQ", "auth_time": 1_700_000_000, "azp": "ocmt", "typ": "ID",
        "jti": "1ac6b8a4-6a5f-4b54-93b9-3c5c2f6d6ef3", "sid": "8f4d1a52-30e5-49c7-8d8c-3a0f1b0b3a55",
        "session_state": "8f4d1a52-30e5-49c7-8d8c-3a0f1b0b3a55", "name": "Ann Other", "given_name": "Ann",
        "family_name": "Other", "preferred_username": "ann", "email_verified": email_verified,
        "realm_access": { "roles": ["admin", "owner"] }, "groups": ["/owners"],
    })
}

/// The word of Dex: its connector has every address verified that a SAML provider names, and its subject is the
/// assertion's NameID with the connector's.
fn dex() -> Value {
    json!({
        "at_hash": "ypeBEsobvcr6wjGzmiPcTQ", "c_hash": "eYF6E1qOdMjzXjLvBQ3T8A", "name": "Ann Other",
        "preferred_username": "ann", "groups": ["owners", "admins"], "email_verified": true,
        "acr": "urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorContract", "amr": ["mfa"],
        "federated_claims": { "connector_id": "saml", "user_id": "ann" },
    })
}

/// Who is signed in: user and role.
async fn who(kit: &Kit) -> Option<(UserId, String)> {
    match kit.sign_in().await {
        Ok(client) => {
            let me = client.who_am_i().await.unwrap();
            Some((me.user, me.role))
        }
        Err(error) => {
            assert_eq!(error.code(), Some(Code::Unauthenticated), "{error}");
            None
        }
    }
}

#[tokio::test]
async fn the_tokens_that_a_bridge_issues_find_an_account_by_an_address_that_it_has_verified_alone() {
    let kit = Kit::start(Wrong::Nothing).await;
    let ann = kit.ann.who_am_i().await.unwrap();
    for unverified in [json!(false), Value::Null] {
        kit.provider.says_beside(keycloak(&unverified), keycloak_metadata());
        assert_eq!(who(&kit).await, None, "{unverified}");
    }
    let mut no_address = keycloak(&json!(true));
    no_address["email"] = Value::Null;
    kit.provider.says_beside(no_address.clone(), keycloak_metadata());
    assert_eq!(who(&kit).await, None, "no address at all");
    // the provider behind it is trusted with addresses
    kit.provider.says_beside(keycloak(&json!(true)), keycloak_metadata());
    assert_eq!(who(&kit).await, Some((ann.user, ann.role.clone())));
    // known from now on by the subject, whatever becomes of the address
    for later in [keycloak(&json!(false)), no_address] {
        kit.provider.says_beside(later, keycloak_metadata());
        assert_eq!(who(&kit).await, Some((ann.user, ann.role.clone())));
    }
}

#[tokio::test]
async fn the_tokens_that_a_bridge_issues_give_no_role_and_no_factor_and_a_passing_name_id_is_nobody() {
    let kit = Kit::start(Wrong::Nothing).await;
    let ann = kit.ann.who_am_i().await.unwrap();
    // a NameID and the connector's id, as Dex writes them
    kit.provider.person("CgNhbm4SBHNhbWw", ANN);
    kit.provider.says_beside(dex(), json!({}));
    let there = kit.sign_in().await.unwrap().who_am_i().await.unwrap();
    assert_eq!((there.user, there.role.as_str()), (ann.user, "member"));
    assert_eq!(
        there.session.unwrap().kind,
        "full",
        "a factor that the SAML provider asked for is none of ours"
    );
    // a transient NameID is another one each time, and the address has found its account
    kit.provider.person("Cgdhbm90aGVyEgRzYW1s", ANN);
    assert_eq!(who(&kit).await, None);
}
