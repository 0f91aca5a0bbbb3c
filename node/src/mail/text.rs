//! What letters say: plain words, plain text.

use std::fmt::Write as _;

use ocmt_actors::{Mail, MailBody, api::auth::LinkPurpose};
use ocmt_types::{NoticeId, Secret, Timestamp};

/// A letter ready to go.
pub struct Letter {
    /// The address.
    pub to: String,
    /// One line.
    pub subject: String,
    /// Lines, each ended.
    pub body: String,
}

impl Letter {
    /// The letter for `mail`, with links under `base_url`; none if the address could break a header.
    pub fn of(mail: &Mail, base_url: &str) -> Option<Self> {
        if mail.to.is_empty() || mail.to.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return None;
        }
        let (subject, body) = match &mail.body {
            MailBody::SignUp { token } => ("Finish your sign-up".to_owned(), sign_up(base_url, token)),
            MailBody::SignIn { links, purpose } => {
                let subject = match purpose {
                    LinkPurpose::SignIn => "Your sign-in link",
                    LinkPurpose::Recovery => "Your recovery link",
                    LinkPurpose::StepUp => "Confirm that it is you",
                };
                (subject.to_owned(), sign_in(base_url, links, *purpose))
            }
            MailBody::EmailChange { tenant, token } => {
                ("Confirm your new address".to_owned(), email_change(base_url, tenant, token))
            }
            MailBody::Invite { tenant, token } => {
                ("You are invited".to_owned(), invite(base_url, tenant, token))
            }
            MailBody::Notice { kind, facts, .. } => (subject_of(kind), notice(kind, facts)),
            _ => return None,
        };
        Some(Self { to: mail.to.clone(), subject, body })
    }

    /// RFC 5322 text.
    pub fn to_eml(&self, from: &str, now: Timestamp, id: NoticeId) -> String {
        let date = jiff::Timestamp::from_millisecond(now.millis())
            .ok()
            .and_then(|at| jiff::fmt::rfc2822::to_string(&at.to_zoned(jiff::tz::TimeZone::UTC)).ok())
            .unwrap_or_default();
        let from = if from.is_empty() { "ocmt@localhost" } else { from };
        format!(
            "From: {from}\r\nTo: {}\r\nSubject: {}\r\nDate: {date}\r\nMessage-ID: <{id}@ocmt>\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nAuto-Submitted: auto-generated\r\n\r\n{}",
            self.to,
            self.subject,
            self.body.replace('\n', "\r\n")
        )
    }
}

fn link(base_url: &str, token: &Secret<String>) -> String {
    format!("{base_url}/auth/link/{}", token.expose())
}

fn sign_up(base_url: &str, token: &Secret<String>) -> String {
    format!(
        "Somebody, hopefully you, asked for an account with this address. To finish, open\n\n    {}\n\nIf it was not you, do nothing.\n",
        link(base_url, token)
    )
}

fn sign_in(base_url: &str, links: &[(String, Secret<String>)], purpose: LinkPurpose) -> String {
    let how = match purpose {
        LinkPurpose::SignIn => "To sign in, open this link where you asked for it.",
        LinkPurpose::Recovery => "To recover a vault, open this link where you asked for it.",
        LinkPurpose::StepUp => {
            "To confirm what you are about to do, paste this link where you are asked for it."
        }
    };
    let mut text = format!("{how} It works once.\n\n");
    for (tenant, token) in links {
        // writing to a string does not fail
        let _ = writeln!(text, "    {}: {}", one_line(tenant), link(base_url, token));
    }
    text.push_str("\nIf you did not ask for it, do nothing.\n");
    text
}

fn email_change(base_url: &str, tenant: &str, token: &Secret<String>) -> String {
    format!(
        "Somebody, hopefully you, wants to use this address in {}. To confirm that it is yours, paste this link where you are \
         asked for it (`ocmt email confirm`); opening it does nothing. It works once.\n\n    {}\n\nIf it was not you, do nothing.\n",
        one_line(tenant),
        link(base_url, token)
    )
}

fn invite(base_url: &str, tenant: &str, token: &Secret<String>) -> String {
    format!("You are invited to {}. To join, open\n\n    {}\n", one_line(tenant), link(base_url, token))
}

fn subject_of(kind: &str) -> String {
    format!("OCMT: {}", one_line(&in_words(kind)))
}

fn notice(kind: &str, facts: &[(String, String)]) -> String {
    let mut text = format!("{}\n\n", in_words(kind));
    for (name, value) in facts {
        let _ = writeln!(text, "    {}: {}", one_line(name), one_line(value));
    }
    text
}

/// `email.change_asked` as people write.
fn in_words(kind: &str) -> String {
    kind.replace(['_', '.'], " ")
}

/// What one user typed must not become lines or headers of a letter to another.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn invite_from(tenant: &str) -> String {
        let body =
            MailBody::Invite { tenant: tenant.to_owned(), token: Secret::new("ocmt_inv_x".to_owned()) };
        let letter =
            Letter::of(&Mail { to: "b@example.org".to_owned(), body }, "https://localhost:7443").unwrap();
        letter.to_eml("", Timestamp(0), NoticeId::try_from([1; 16].as_slice()).unwrap())
    }

    #[test]
    fn a_tenant_name_cannot_add_headers_or_lines() {
        let eml = invite_from("x\r\nBcc: everybody@example.org\r\n\r\nhttps://evil.example");
        assert!(!eml.contains("\nBcc") && !eml.lines().any(|line| line.starts_with("https://evil")), "{eml}");
        assert!(eml.contains("https://localhost:7443/auth/link/ocmt_inv_x"));
    }

    #[test]
    fn an_address_that_could_break_a_header_gets_no_letter() {
        for bad in ["", "a@b\r\nBcc: c@d", "a b@c"] {
            let body = MailBody::SignUp { token: Secret::new("t".to_owned()) };
            assert!(Letter::of(&Mail { to: bad.to_owned(), body }, "https://x").is_none());
        }
    }
}
