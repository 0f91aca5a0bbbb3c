//! What each route of HTTP is for: who adds one says so here.

/// What a route of HTTP is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    /// Shown to everybody, whatever they show.
    Public,
    /// Of whoever has a session: others are shown the form for signing in, and what is not theirs is not there.
    Own,
    /// Not there.
    Missing,
    /// A form's: it is posted to, and answers nothing that is asked of it otherwise.
    Form,
    /// A WebSocket, with the token of a gateway alone.
    Gateway,
}

/// Routes beside the methods, as the router has them (by the name of a constant where it is one), and one path of
/// each.
pub(super) const ROUTES: &[(&str, &str, Page)] = &[
    ("/", "/", Page::Public),
    ("/auth/link", "/auth/link", Page::Form),
    ("/auth/link/{token}", "/auth/link/ocmt_lnk_x", Page::Public),
    ("/auth/mfa", "/auth/mfa", Page::Form),
    ("/auth/oidc", "/auth/oidc?code=x&state=y", Page::Public),
    ("/auth/sign-out", "/auth/sign-out", Page::Form),
    ("/oauth/callback/{provider}", "/oauth/callback/git?code=x&state=y", Page::Public),
    ("/auth/sign-up", "/auth/sign-up", Page::Public),
    ("/auth/passkey", "/auth/passkey", Page::Form),
    ("/app/passkeys", "/app/passkeys", Page::Public),
    ("/app/passkeys/remove", "/app/passkeys/remove", Page::Form),
    ("/app/audit", "/app/audit", Page::Public),
    ("/app/recovery", "/app/recovery", Page::Public),
    ("/app/recovery/veto", "/app/recovery/veto", Page::Form),
    ("/app/sessions", "/app/sessions", Page::Public),
    ("/app/sessions/end", "/app/sessions/end", Page::Form),
    ("/app/sessions/end-others", "/app/sessions/end-others", Page::Form),
    ("/app/containers", "/app/containers", Page::Public),
    ("/app/containers/{id}", "/app/containers/x", Page::Own),
    ("/app/containers/wake", "/app/containers/wake", Page::Form),
    ("/app/containers/log", "/app/containers/log", Page::Form),
    ("/app/containers/pause", "/app/containers/pause", Page::Form),
    ("/app/connections", "/app/connections", Page::Public),
    ("/app/connections/end", "/app/connections/end", Page::Form),
    ("/app/groups", "/app/groups", Page::Public),
    ("/app/groups/{id}", "/app/groups/x", Page::Own),
    ("/app/groups/leave", "/app/groups/leave", Page::Form),
    ("/app/shares/accept", "/app/shares/accept", Page::Form),
    ("/app/shares/end", "/app/shares/end", Page::Form),
    ("/app/approvals", "/app/approvals", Page::Public),
    ("/app/approvals/{id}", "/app/approvals/x", Page::Own),
    ("/app/approvals/deny", "/app/approvals/deny", Page::Form),
    ("/app/pairing", "/app/pairing", Page::Public),
    ("/app/pairing/approve", "/app/pairing/approve", Page::Form),
    ("/app/pairing/refuse", "/app/pairing/refuse", Page::Form),
    ("/app/pairing/revoke", "/app/pairing/revoke", Page::Form),
    ("/app/alerts", "/app/alerts", Page::Public),
    ("/app/alerts/add", "/app/alerts/add", Page::Form),
    ("/app/alerts/test", "/app/alerts/test", Page::Form),
    ("/app/alerts/remove", "/app/alerts/remove", Page::Form),
    ("/app/vault", "/app/vault", Page::Public),
    ("/app/vault/keys", "/app/vault/keys", Page::Public),
    ("/app/vault/step-up", "/app/vault/step-up", Page::Form),
    ("/guardian", "/guardian", Page::Public),
    ("/guardian/invitations/{id}", "/guardian/invitations/x", Page::Own),
    ("/guardian/requests/{id}", "/guardian/requests/x", Page::Own),
    ("/guardian/drills/{id}", "/guardian/drills/x", Page::Own),
    ("/guardian/resign", "/guardian/resign", Page::Form),
    ("/guardian/lost-mailbox", "/guardian/lost-mailbox", Page::Form),
    ("/static/{version}/{*name}", "/static/x/page.css", Page::Missing),
    ("/gateway/{container}", "/gateway/0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11", Page::Gateway),
    ("/gateway/{container}/", "/gateway/0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11/", Page::Gateway),
    ("/gateway/{container}/{*path}", "/gateway/0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11/x/y", Page::Gateway),
    ("KEYS", ocmt::gateway::KEYS, Page::Public),
];
