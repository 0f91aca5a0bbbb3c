//! Whose call is it: the tenant, read from what the caller shows, before a byte of the message.
//!
//! It only says where to go. The node that gets the call authenticates the caller for itself, so a tag that
//! lies costs its sender a detour.

use http::request::Parts;
use ocmt_crypto::{gateway_token, token::Token};
use ocmt_types::TenantId;

use super::names::ROUTE;
use crate::{
    edge::{call, cookies},
    gateway, web,
};

/// The tenant that a request is about; none for what any node answers (pages, sign-up, asking for a link).
pub fn tenant_of(request: &Parts) -> Option<TenantId> {
    if request.uri.path().starts_with(gateway::PATH) {
        return gateway_token::routing_tag(gateway::token_of(&request.headers)?);
    }
    if request.headers.contains_key(http::header::AUTHORIZATION) {
        return token_of(request)?.tenant();
    }
    if web::is_page(request.uri.path()) {
        return match web::link_token(request) {
            Some(token) => Token::parse(token).ok()?.tenant(),
            None => token_of(request)?.tenant(),
        };
    }
    let mut routes = request.headers.get_all(ROUTE).iter();
    match (routes.next(), routes.next()) {
        (Some(tenant), None) => tenant.to_str().ok()?.parse().ok(),
        _ => None,
    }
}

/// The token that a request shows, if it has the form of one. Pages have it in a cookie.
pub fn token_of(request: &Parts) -> Option<Token> {
    let shown = match call::bearer(&request.headers) {
        Ok(token) => token,
        Err(_) if web::is_page(request.uri.path()) => cookies::one(&request.headers, cookies::SESSION)?,
        Err(_) => return None,
    };
    Token::parse(shown).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http::Request;
    use ocmt_crypto::{gateway_token::GatewayClaims, sign::SigningKey, token::TokenKind};
    use ocmt_types::{Id as _, Timestamp};

    use super::*;

    const TENANT: [u8; 16] = [0xa7; 16];

    fn tag(request: http::request::Builder) -> Option<TenantId> {
        tenant_of(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn a_credential_names_its_tenant() {
        let tenant = TenantId::from_bytes(TENANT);
        let token = Token::issue(TokenKind::Session, tenant, &mut rand::rng());
        let bearer = format!("Bearer {}", token.expose());
        assert_eq!(tag(Request::get("/x").header("authorization", &bearer)), Some(tenant));
        let damaged = format!("{bearer}A");
        assert_eq!(tag(Request::get("/x").header("authorization", damaged)), None);
        // a credential counts before a hint
        let other = TenantId::from_bytes([1; 16]).to_string();
        let both = Request::get("/x").header("authorization", &bearer).header("ocmt-route", other);
        assert_eq!(tag(both), Some(tenant));
    }

    #[test]
    fn a_page_is_of_the_tenant_of_its_cookie_and_a_link_of_its_own() {
        let tenant = TenantId::from_bytes(TENANT);
        let token = |kind| Token::issue(kind, tenant, &mut rand::rng()).expose().to_owned();
        let cookie = format!("{}={}", cookies::SESSION, token(TokenKind::Session));
        assert_eq!(tag(Request::get("/").header("cookie", &cookie)), Some(tenant));
        assert_eq!(tag(Request::post("/auth/sign-out").header("cookie", &cookie)), Some(tenant));
        assert_eq!(tag(Request::get("/x").header("cookie", &cookie)), None, "it is no page");
        assert_eq!(tag(Request::get("/").header("cookie", "__Host-ocmt-session=x")), None);
        let link = format!("/auth/link/{}", token(TokenKind::Link));
        assert_eq!(tag(Request::post(&link)), Some(tenant));
        assert_eq!(tag(Request::get(&link)), None, "to look at it takes no tenant");
    }

    #[test]
    fn a_gateway_token_names_its_tenant_unverified() {
        let claims = GatewayClaims {
            container: ocmt_types::ContainerId::from_bytes([1; 16]),
            tenant: TenantId::from_bytes(TENANT),
            user: ocmt_types::UserId::from_bytes([2; 16]),
            session: ocmt_types::SessionId::from_bytes([3; 16]),
            issued_at: Timestamp(0),
            expires_at: Timestamp(60_000),
        };
        let key = SigningKey::from_bytes(&[9; 32]);
        let token = gateway_token::issue(&claims, &key, &mut rand::rng()).unwrap();
        let offered = format!("ocmt.v1, ocmt.token.{token}");
        let request = Request::get("/gateway/x").header("sec-websocket-protocol", &offered);
        assert_eq!(tag(request), Some(claims.tenant));
        let plain = format!("ocmt.plain.v1, ocmt.token.{token}");
        let request = Request::get("/gateway/x/y").header("sec-websocket-protocol", plain);
        assert_eq!(tag(request.header("authorization", "Basic x")), Some(claims.tenant));
        assert_eq!(
            tag(Request::post("/gateway/x/y").header("ocmt-gateway-token", &token)),
            Some(claims.tenant)
        );
        assert_eq!(tag(Request::post("/x").header("ocmt-gateway-token", &token)), None);
        // only there: elsewhere the header means nothing
        assert_eq!(tag(Request::get("/x").header("sec-websocket-protocol", offered)), None);
    }

    #[test]
    fn a_hint_is_one_uuid() {
        let tenant = TenantId::from_bytes(TENANT);
        let hint = tenant.to_string();
        assert_eq!(tag(Request::get("/x").header("ocmt-route", &hint)), Some(tenant));
        assert_eq!(tag(Request::get("/x").header("ocmt-route", &hint).header("ocmt-route", &hint)), None);
        assert_eq!(tag(Request::get("/x").header("ocmt-route", "x")), None);
        assert_eq!(tag(Request::get("/x")), None);
    }
}
