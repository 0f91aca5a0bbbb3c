//! The pages as templates (`node/templates`): what is put into them is escaped by construction.

use askama::Template;
use ocmt_types::Timestamp;

use super::frame::Frame;

/// A time as people write it.
pub(super) fn at(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(time.millis()).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// The form that asks for a link.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub(super) struct SignIn<'a> {
    pub(super) frame: Frame,
    pub(super) csrf: &'a str,
}

/// After it: the same for every address.
#[derive(Template)]
#[template(path = "sent.html")]
pub(super) struct Sent<'a> {
    pub(super) frame: Frame,
    /// Which words say it.
    pub(super) what: &'a str,
    pub(super) email: &'a str,
    pub(super) minutes: i64,
}

/// A link that may be used here.
#[derive(Template)]
#[template(path = "link.html")]
pub(super) struct Link<'a> {
    pub(super) frame: Frame,
    pub(super) title: &'a str,
    pub(super) text: &'a str,
    pub(super) button: &'a str,
    pub(super) token: &'a str,
    pub(super) csrf: &'a str,
}

/// What a tenant's provider has sent back.
#[derive(Template)]
#[template(path = "came_back.html")]
pub(super) struct CameBack {
    pub(super) frame: Frame,
}

/// What a container's provider has sent back.
#[derive(Template)]
#[template(path = "connected_back.html")]
pub(super) struct ConnectedBack {
    pub(super) frame: Frame,
}

/// A link that another device or browser has asked for.
#[derive(Template)]
#[template(path = "elsewhere.html")]
pub(super) struct Elsewhere {
    pub(super) frame: Frame,
}

/// Who one is.
#[derive(Template)]
#[template(path = "home.html")]
pub(super) struct Home<'a> {
    pub(super) frame: Frame,
    pub(super) email: &'a str,
    pub(super) tenant: &'a str,
    pub(super) role: &'a str,
    pub(super) until: &'a str,
    pub(super) csrf: &'a str,
}

/// The second factor is due.
#[derive(Template)]
#[template(path = "code.html")]
pub(super) struct Code<'a> {
    pub(super) frame: Frame,
    pub(super) email: &'a str,
    /// Whether the account has one to show.
    pub(super) has_one: bool,
    /// Whether one of them is a passkey.
    pub(super) passkey: bool,
    /// Why the one shown before was not taken.
    pub(super) why: &'a str,
    pub(super) csrf: &'a str,
}

/// Why not.
#[derive(Template)]
#[template(path = "refused.html")]
pub(super) struct Refused<'a> {
    pub(super) frame: Frame,
    pub(super) title: &'a str,
    pub(super) text: &'a str,
    /// Whether `text` is in English on a page that is not.
    pub(super) english: bool,
    /// The same in English, if `text` is not.
    pub(super) detail: &'a str,
    pub(super) request: &'a str,
}

/// The form that asks for an account.
#[derive(Template)]
#[template(path = "sign_up.html")]
pub(super) struct SignUpForm<'a> {
    pub(super) frame: Frame,
    pub(super) csrf: &'a str,
}

/// Where one is signed in.
#[derive(Template)]
#[template(path = "sessions.html")]
pub(super) struct Sessions<'a> {
    pub(super) frame: Frame,
    pub(super) email: &'a str,
    pub(super) sessions: Vec<OneSession>,
    pub(super) csrf: &'a str,
}

/// The passkeys of the account.
#[derive(Template)]
#[template(path = "passkeys.html")]
pub(super) struct Passkeys<'a> {
    pub(super) frame: Frame,
    pub(super) email: &'a str,
    pub(super) passkeys: Vec<OnePasskey>,
    pub(super) csrf: &'a str,
}

/// One of them.
pub(super) struct OnePasskey {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) added: String,
    pub(super) used: String,
}

/// Requests for one's own vault.
#[derive(Template)]
#[template(path = "recovery.html")]
pub(super) struct Recovery<'a> {
    pub(super) frame: Frame,
    pub(super) ceremonies: Vec<OneCeremony>,
    /// Of the slots that are not handed out unheard.
    pub(super) asked: Option<OneAsked>,
    pub(super) circle: Circle,
    /// One was stopped just now, after guardians had agreed.
    pub(super) deal_anew: bool,
    pub(super) csrf: &'a str,
}

/// One of them.
pub(super) struct OneCeremony {
    pub(super) id: String,
    pub(super) requester: String,
    pub(super) state: String,
    pub(super) since: String,
    pub(super) agreed: String,
    pub(super) opens: String,
    pub(super) ends: String,
    /// What comes next, and when.
    pub(super) coming: String,
    pub(super) acts: Vec<String>,
    /// Why no veto ends it, where none does.
    pub(super) unstopped: Option<String>,
    /// That the mailbox is said to be lost, where it is.
    pub(super) lost: Option<String>,
}

/// Who guards it.
pub(super) struct Circle {
    pub(super) guards: Vec<OneGuard>,
    /// How many parts open it; empty before any were dealt.
    pub(super) need: String,
    /// That a guardian has locked recovery; empty most of the time.
    pub(super) locked: String,
}

/// One of them.
pub(super) struct OneGuard {
    pub(super) email: String,
    pub(super) state: String,
    pub(super) units: u32,
    pub(super) drilled: String,
}

/// Somebody wants to open it with a backup key or a hardware token.
pub(super) struct OneAsked {
    pub(super) id: String,
    pub(super) with: String,
    pub(super) state: String,
    /// As the client that asked called itself.
    pub(super) client: String,
    pub(super) since: String,
    pub(super) opens: String,
    pub(super) ends: String,
    pub(super) refused: bool,
    pub(super) handed_out: bool,
}

/// What one has done.
#[derive(Template)]
#[template(path = "audit.html")]
pub(super) struct Audit<'a> {
    pub(super) frame: Frame,
    pub(super) email: &'a str,
    pub(super) records: Vec<OneRecord>,
    /// Earlier ones are before this number.
    pub(super) next: Option<i64>,
    /// Whether records may be verified, which takes the right to read all of the audit.
    pub(super) verifies: bool,
    pub(super) csrf: &'a str,
}

/// A record of it with what proves it, in hexadecimal where it is no text.
#[derive(Template)]
#[template(path = "audit_record.html")]
pub(super) struct Verify {
    pub(super) frame: Frame,
    pub(super) tenant: String,
    pub(super) user: String,
    pub(super) sequence: u64,
    pub(super) canonical: String,
    /// Hashes from the leaf to the root, apart by spaces.
    pub(super) path: String,
    /// The signed head.
    pub(super) note: String,
    pub(super) node: String,
    pub(super) node_key: String,
}

/// One record of it.
pub(super) struct OneRecord {
    pub(super) number: i64,
    pub(super) at: String,
    pub(super) method: String,
    pub(super) object: String,
    pub(super) result: String,
    /// It was refused, or failed.
    pub(super) bad: bool,
    /// The API key that did it.
    pub(super) key: String,
}

/// One of the sessions.
pub(super) struct OneSession {
    pub(super) id: String,
    /// The one that asks.
    pub(super) here: bool,
    pub(super) device: String,
    pub(super) place: String,
    pub(super) since: String,
    pub(super) seen: String,
    pub(super) until: String,
}

#[cfg(test)]
mod tests {
    use super::{
        super::hostile::{EVIL, frame, harmless},
        *,
    };

    fn asked(text: &str) -> OneAsked {
        let text = || text.to_owned();
        OneAsked {
            id: text(),
            with: text(),
            state: text(),
            client: text(),
            since: text(),
            opens: text(),
            ends: text(),
            refused: false,
            handed_out: true,
        }
    }

    #[test]
    fn what_people_typed_is_text_and_nothing_else() {
        let (frame, evil) = (frame(), EVIL);
        harmless(&Home { frame, email: evil, tenant: evil, role: evil, until: evil, csrf: evil });
        harmless(&Code { frame, email: evil, has_one: true, passkey: true, why: evil, csrf: evil });
        harmless(&Link { frame, title: evil, text: evil, button: evil, token: evil, csrf: evil });
        harmless(&Sent { frame, what: "sent.link", email: evil, minutes: 1 });
        harmless(&Refused { frame, title: evil, text: evil, english: true, detail: evil, request: evil });
        let text = || evil.to_owned();
        let one = OneSession {
            id: text(),
            here: false,
            device: text(),
            place: text(),
            since: text(),
            seen: text(),
            until: text(),
        };
        harmless(&Sessions { frame, email: evil, sessions: vec![one], csrf: evil });
        let one = OneCeremony {
            id: text(),
            requester: text(),
            state: text(),
            since: text(),
            agreed: text(),
            opens: text(),
            ends: text(),
            coming: text(),
            acts: vec![text()],
            unstopped: Some(text()),
            lost: Some(text()),
        };
        let (ceremonies, asked) = (vec![one], Some(asked(evil)));
        let guard = OneGuard { email: text(), state: text(), units: 1, drilled: text() };
        let circle = Circle { guards: vec![guard], need: text(), locked: text() };
        harmless(&Recovery { frame, ceremonies, asked, circle, deal_anew: true, csrf: evil });
        let one = OneRecord {
            number: 1,
            at: text(),
            method: text(),
            object: text(),
            result: text(),
            bad: true,
            key: text(),
        };
        harmless(&Audit { frame, email: evil, records: vec![one], next: None, verifies: true, csrf: evil });
        harmless(&Verify {
            frame,
            tenant: text(),
            user: text(),
            sequence: 1,
            canonical: text(),
            path: text(),
            note: text(),
            node: text(),
            node_key: text(),
        });
        let one = OnePasskey { id: text(), name: text(), added: text(), used: text() };
        harmless(&Passkeys { frame, email: evil, passkeys: vec![one], csrf: evil });
    }
}
