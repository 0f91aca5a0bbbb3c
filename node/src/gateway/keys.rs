//! `GET /.well-known/ocmt-gateway-keys`: what gateway tokens are verified with, in the form of a JWK set (RFC 7517, 8037).
//!
//! Public keys, for whoever is given a token and has to know that it is one: a cell or a workload behind a gateway. While a new
//! key takes the place of one, both are there, the one that signs first; `exp` says until when the other is taken.

use axum::{Json, extract::State};
use data_encoding::BASE64URL_NOPAD;
use ocmt_actors::api::container::GatewayKey;
use serde_json::{Value, json};

use super::GatewayState;
use crate::edge::error::problem;

pub(super) async fn keys(State(state): State<GatewayState>) -> Result<Json<Value>, axum::response::Response> {
    let keys = state.system.gateway_keys().map_err(|error| problem(&error))?;
    Ok(Json(json!({ "keys": keys.iter().map(jwk).collect::<Vec<_>>() })))
}

fn jwk(key: &GatewayKey) -> Value {
    let mut jwk = json!({
        "kty": "OKP",
        "crv": "Ed25519",
        "use": "sig",
        "kid": key.id,
        "x": BASE64URL_NOPAD.encode(&key.public),
    });
    if let Some(until) = key.until {
        jwk["exp"] = json!(until.millis() / 1000);
    }
    jwk
}
