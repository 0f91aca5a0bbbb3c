//! A guardian's pages as templates. What is sealed or signed stands in them in hexadecimal, for the page's script.

use askama::Template;

use super::{super::frame::Frame, request::May};

/// All that waits, and whom one guards.
#[derive(Template)]
#[template(path = "guardian.html")]
pub(super) struct Overview<'a> {
    pub(super) frame: Frame,
    pub(super) requests: Vec<Waiting>,
    /// Requests of which the visitor has said what there is to say.
    pub(super) under_way: Vec<Waiting>,
    pub(super) invitations: Vec<Waiting>,
    pub(super) drills: Vec<Waiting>,
    pub(super) held: Vec<Held>,
    /// Whose words.
    pub(super) user: String,
    /// The keys that the node has for the visitor, in hexadecimal, apart by spaces. No words are made of them: the browser holds
    /// them against those of the vault.
    pub(super) keys: String,
    pub(super) csrf: &'a str,
    /// A link was sent just now to somebody who has lost the mailbox.
    pub(super) lost_sent: bool,
}

/// Something that waits.
pub(super) struct Waiting {
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) state: String,
}

/// Somebody who is guarded.
pub(super) struct Held {
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) state: String,
    pub(super) units: u32,
    pub(super) drilled: String,
    /// A part of the vault's key.
    pub(super) holds: bool,
}

/// An invitation.
#[derive(Template)]
#[template(path = "guardian_accept.html")]
pub(super) struct Accept {
    pub(super) frame: Frame,
    pub(super) id: String,
    pub(super) owner: String,
    /// As the owner's tenant says; may be empty.
    pub(super) owner_key: String,
    pub(super) email: String,
    pub(super) tenant: String,
    pub(super) user: String,
    /// The visitor's own vault; empty if there is none yet.
    pub(super) vault: String,
    pub(super) until: String,
    pub(super) csrf: String,
}

/// A drill.
#[derive(Template)]
#[template(path = "guardian_drill.html")]
pub(super) struct Drill {
    pub(super) frame: Frame,
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) tenant: String,
    pub(super) user: String,
    pub(super) challenge_id: String,
    pub(super) challenge: String,
    pub(super) signed_set: String,
    pub(super) sealed_units: String,
    pub(super) until: String,
}

/// A request.
#[derive(Template)]
#[template(path = "guardian_request.html")]
pub(super) struct Request {
    pub(super) frame: Frame,
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) requester: String,
    pub(super) state: String,
    pub(super) since: String,
    pub(super) agreed: String,
    pub(super) opens: String,
    pub(super) ends: String,
    /// What comes next, and when; empty once it is over.
    pub(super) coming: String,
    pub(super) acts: Vec<String>,
    /// What the visitor has said.
    pub(super) mine: Option<String>,
    /// What there still is to say.
    pub(super) may: May,
    /// Guardians sign for it first: it goes on over a stop.
    pub(super) proposed: bool,
    /// It goes on over a stop: no veto and no lock ends it.
    pub(super) over_a_stop: bool,
    /// The address that its owner is reached at, who has lost the mailbox too; empty otherwise.
    pub(super) lost: String,
    /// Whether it can be agreed to.
    pub(super) approves: bool,
    pub(super) tenant: String,
    pub(super) guardianship: String,
    pub(super) params: String,
    pub(super) signed_set: String,
    pub(super) sealed_units: String,
    pub(super) statement: String,
    /// Whose statement it is, and the key in that node's certificate.
    pub(super) node: String,
    pub(super) node_key: String,
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::hostile::{EVIL, frame, harmless},
        *,
    };

    fn evil() -> String {
        EVIL.to_owned()
    }

    fn request(frame: Frame) -> Request {
        Request {
            frame,
            id: evil(),
            owner: evil(),
            requester: evil(),
            state: evil(),
            since: evil(),
            agreed: evil(),
            opens: evil(),
            ends: evil(),
            coming: evil(),
            acts: vec![evil()],
            mine: Some(evil()),
            may: May { decide: true, deny: true, doubt: true, lock: true },
            proposed: false,
            over_a_stop: false,
            lost: evil(),
            approves: true,
            tenant: evil(),
            guardianship: evil(),
            params: evil(),
            signed_set: evil(),
            sealed_units: evil(),
            statement: evil(),
            node: evil(),
            node_key: evil(),
        }
    }

    #[test]
    fn what_others_wrote_is_text_and_nothing_else() {
        let frame = frame().of_user();
        let waiting = || vec![Waiting { id: evil(), owner: evil(), state: evil() }];
        let held = Held { id: evil(), owner: evil(), state: evil(), units: 1, drilled: evil(), holds: true };
        let overview = Overview {
            frame,
            requests: waiting(),
            under_way: waiting(),
            invitations: waiting(),
            drills: waiting(),
            held: vec![held],
            user: evil(),
            keys: evil(),
            csrf: "x",
            lost_sent: true,
        };
        let accept = |vault: &str| Accept {
            frame,
            id: evil(),
            owner: evil(),
            owner_key: evil(),
            email: evil(),
            tenant: evil(),
            user: evil(),
            vault: vault.to_owned(),
            until: evil(),
            csrf: evil(),
        };
        let drill = Drill {
            frame,
            id: evil(),
            owner: evil(),
            tenant: evil(),
            user: evil(),
            challenge_id: evil(),
            challenge: evil(),
            signed_set: evil(),
            sealed_units: evil(),
            until: evil(),
        };
        harmless(&overview);
        harmless(&accept(""));
        harmless(&accept("x"));
        harmless(&drill);
        harmless(&request(frame));
    }
}
