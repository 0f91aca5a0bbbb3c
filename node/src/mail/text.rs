//! What letters say: plain words, plain text.

use std::{
    fmt::Write as _,
    time::{Duration, UNIX_EPOCH},
};

use lettre::{
    Address, Message,
    message::{
        Body, Mailbox,
        header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0},
    },
};
use ocmt_actors::{Mail, MailBody, api::auth::LinkPurpose};
use ocmt_types::{NoticeId, Secret, Timestamp};

use super::{act, ceremony, change, group, slots};

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
            MailBody::LostMailbox { guardian, token } => {
                ("Ask your guardians for your vault".to_owned(), lost_mailbox(guardian, token))
            }
            MailBody::Invite { tenant, token } => {
                ("You are invited".to_owned(), invite(base_url, tenant, token))
            }
            MailBody::Notice { kind, facts, .. } => {
                let has = |fact: &str| facts.iter().find(|(name, _)| name == fact).map(|(_, value)| value);
                let reader = ceremony::Reader {
                    owner: has("owner") == Some(&mail.to) || has("former_address").is_some(),
                    over_a_stop: has("over_a_stop").is_some(),
                    lost_mailbox: has("new_address").is_some(),
                };
                let words = ceremony::words(kind, reader).or_else(|| change::words(kind, reader.owner));
                let words = words.or_else(|| group::words(kind)).or_else(|| slots::words(kind));
                match words.or_else(|| act::words(kind)) {
                    Some((subject, text)) => {
                        let page = ceremony::page(kind, reader, has("ceremony").map(String::as_str));
                        let page = page.or_else(|| slots::page(kind).map(str::to_owned));
                        let page = page.map(|page| format!("    {base_url}{page}\n\n")).unwrap_or_default();
                        (subject.to_owned(), format!("{text}\n\n{page}{}", lines(facts)))
                    }
                    None => (subject_of(kind), notice(kind, facts)),
                }
            }
            _ => return None,
        };
        Some(Self { to: mail.to.clone(), subject, body })
    }

    /// The letter as RFC 5322 has it, every header of which is encoded here and nowhere else; none if an address is none.
    /// Its Message-ID is made of `id` alone, so that a second copy is known for one.
    pub fn to_message(
        &self,
        from: &Mailbox,
        now: Timestamp,
        id: NoticeId,
        encoding: Encoding,
    ) -> Option<Message> {
        let to: Address = self.to.parse().ok()?;
        let date = UNIX_EPOCH + Duration::from_millis(u64::try_from(now.millis()).ok()?);
        let auto = HeaderName::new_from_ascii_str("Auto-Submitted");
        Message::builder()
            .from(from.clone())
            .to(to.into())
            .subject(self.subject.clone())
            .date(date)
            .message_id(Some(format!("<{id}@{}>", from.email.domain())))
            .header(MIME_VERSION_1_0)
            .header(ContentType::TEXT_PLAIN)
            .raw_header(HeaderValue::new(auto, "auto-generated".to_owned()))
            .body(encoding.of(&self.body))
            .ok()
    }
}

/// RFC 5322, 2.1.1, in bytes without the end.
const LONGEST_LINE: usize = 998;

/// How the text of a letter is written.
#[derive(Debug, Clone, Copy)]
pub enum Encoding {
    /// As it is, where eight bits pass.
    Plain,
    /// In ASCII, which every mail server takes.
    Ascii,
}

impl Encoding {
    fn of(self, text: &str) -> Body {
        let transfer = match self {
            _ if text.lines().any(|line| line.len() > LONGEST_LINE) => {
                ContentTransferEncoding::QuotedPrintable
            }
            _ if text.is_ascii() => ContentTransferEncoding::SevenBit,
            Self::Plain => ContentTransferEncoding::EightBit,
            Self::Ascii => ContentTransferEncoding::QuotedPrintable,
        };
        if transfer == ContentTransferEncoding::QuotedPrintable {
            return Body::new_with_encoding(text.to_owned(), transfer)
                .unwrap_or_else(|_| Body::new(text.to_owned()));
        }
        // not by `Body::new`: it would break a link at 76 characters, for readers that do not put it together again
        let lines: String = text.lines().map(|line| format!("{line}\r\n")).collect();
        Body::dangerous_pre_encoded(lines.into_bytes(), transfer)
    }
}

/// The sender of letters, `name@example.org` or `Name <name@example.org>`; none if `text` is none.
pub fn sender(text: &str) -> Option<Mailbox> {
    let of_ours = if text.is_empty() { "ocmt@localhost" } else { text };
    of_ours.parse().ok()
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

/// With the token alone: a page that opened it would use it up.
fn lost_mailbox(guardian: &str, token: &Secret<String>) -> String {
    format!(
        "{} says that you have lost the mailbox of your account, and are reached here. If that is right: run `ocmt recovery begin` on \
         the device where you want your vault back, and paste this. It works once, within a day, and opens nothing by itself.\n\n    {}\n\n\
         If you know nothing of it, do nothing.\n",
        one_line(guardian),
        token.expose()
    )
}

fn invite(base_url: &str, tenant: &str, token: &Secret<String>) -> String {
    format!("You are invited to {}. To join, open\n\n    {}\n", one_line(tenant), link(base_url, token))
}

fn subject_of(kind: &str) -> String {
    format!("OCMT: {}", one_line(&in_words(kind)))
}

fn notice(kind: &str, facts: &[(String, String)]) -> String {
    format!("{}\n\n{}", in_words(kind), lines(facts))
}

fn lines(facts: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in facts {
        let _ = writeln!(text, "    {}: {}", one_line(&in_words(name)), one_line(&said(name, value)));
    }
    text
}

/// A fact as people write: of those that are named as times (`erases_at`), the value is milliseconds since 1970.
fn said(name: &str, value: &str) -> String {
    let millis = value.parse().ok().filter(|_| name.ends_with("_at"));
    let time = millis.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.map_or_else(|| value.to_owned(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
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

    #[test]
    fn a_letter_gives_times_as_people_write_them() {
        let facts = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let told = notice("tenant.deletion", &facts("erases_at", "1800604800000"));
        assert_eq!(told, "tenant deletion\n\n    erases at: 2027-01-22 08:00 UTC\n");
        assert!(notice("x", &facts("releasable_at", "soon")).ends_with("    releasable at: soon\n"));
        assert!(notice("x", &facts("units_needed", "3")).ends_with("    units needed: 3\n"), "no time");
    }

    fn letter(to: &str, tenant: &str) -> Option<Letter> {
        let token = Secret::new("ocmt_inv_x".to_owned());
        let body = MailBody::Invite { tenant: tenant.to_owned(), token };
        let id = NoticeId::try_from([1; 16].as_slice()).unwrap();
        Letter::of(&Mail { id, to: to.to_owned(), body }, "https://localhost:7443")
    }

    fn eml(to: &str, tenant: &str, encoding: Encoding) -> String {
        let id = NoticeId::try_from([1; 16].as_slice()).unwrap();
        let message = letter(to, tenant).unwrap();
        let message = message.to_message(&sender("").unwrap(), Timestamp(0), id, encoding).unwrap();
        String::from_utf8(message.formatted()).unwrap()
    }

    #[test]
    fn a_tenant_name_cannot_add_headers_or_lines() {
        let eml = eml(
            "b@example.org",
            "x\r\nBcc: everybody@example.org\r\n\r\nhttps://evil.example",
            Encoding::Plain,
        );
        assert!(!eml.contains("\nBcc") && !eml.lines().any(|line| line.starts_with("https://evil")), "{eml}");
        assert!(eml.contains("https://localhost:7443/auth/link/ocmt_inv_x"));
    }

    #[test]
    fn a_subject_cannot_add_headers() {
        let letter = Letter {
            to: "b@example.org".to_owned(),
            subject: "x\r\nBcc: c@d.example".to_owned(),
            body: String::new(),
        };
        let id = NoticeId::try_from([1; 16].as_slice()).unwrap();
        let message = letter.to_message(&sender("").unwrap(), Timestamp(0), id, Encoding::Ascii).unwrap();
        let eml = String::from_utf8(message.formatted()).unwrap();
        assert!(!eml.contains("\nBcc") && !eml.contains("\rBcc"), "{eml}");
    }

    #[test]
    fn an_address_that_could_break_a_header_gets_no_letter() {
        for bad in ["", "a@b\r\nBcc: c@d", "a b@c", "a@b\0", "a@b\u{7f}"] {
            assert!(letter(bad, "t").is_none(), "{bad:?}");
        }
    }

    #[test]
    fn text_is_left_as_it_is_or_written_in_ascii() {
        let (plain, ascii) = (
            eml("b@example.org", "B\u{fc}ro", Encoding::Plain),
            eml("b@example.org", "B\u{fc}ro", Encoding::Ascii),
        );
        assert!(
            plain.contains("B\u{fc}ro") && plain.contains("Content-Transfer-Encoding: 8bit\r\n"),
            "{plain}"
        );
        assert!(ascii.is_ascii() && ascii.contains("B=C3=BCro"), "{ascii}");
        let link = "https://localhost:7443/auth/link/ocmt_inv_x";
        assert!(plain.contains(&format!("    {link}\r\n")), "{plain}");
        for eml in [plain, ascii] {
            assert!(
                eml.contains("Message-ID: <01010101-0101-0101-0101-010101010101@localhost>\r\n"),
                "{eml}"
            );
            assert!(
                eml.contains("MIME-Version: 1.0\r\n") && eml.contains("Auto-Submitted: auto-generated\r\n")
            );
            assert!(
                eml.contains("Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n") && eml.contains("charset=utf-8"),
                "{eml}"
            );
            assert!(!eml.replace("\r\n", "").contains(['\r', '\n']), "a bare line end");
        }
    }

    #[test]
    fn a_link_stands_on_one_line_however_long() {
        let token = Secret::new("x".repeat(300));
        let id = NoticeId::try_from([1; 16].as_slice()).unwrap();
        let mail = Mail { id, to: "b@example.org".to_owned(), body: MailBody::SignUp { token } };
        let letter = Letter::of(&mail, "https://localhost:7443").unwrap();
        for encoding in [Encoding::Plain, Encoding::Ascii] {
            let message = letter.to_message(&sender("").unwrap(), Timestamp(0), id, encoding).unwrap();
            let eml = String::from_utf8(message.formatted()).unwrap();
            let link = format!("\r\n    https://localhost:7443/auth/link/{}\r\n", "x".repeat(300));
            assert!(eml.contains(&link) && eml.contains("Content-Transfer-Encoding: 7bit\r\n"), "{eml}");
        }
    }
}
