//! What an answer of a mail server says: about all letters, about this one now, or about this one for good.
//!
//! Texts hold its codes and never its words: a server repeats what it was told, which are passwords and addresses.

use std::error::Error as _;

use lettre::transport::smtp::Error;

use super::super::Failure;

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Hello,
    Auth,
    Sender,
    Addressee,
    Letter,
}

impl Step {
    fn shown(self) -> &'static str {
        match self {
            Self::Hello => "our greeting",
            Self::Auth => "mail.smtp_user and its password",
            Self::Sender => "mail.from as the sender",
            Self::Addressee => "an addressee",
            Self::Letter => "a letter",
        }
    }
}

/// The failure of a step at the server `host`.
pub(super) fn of(step: Step, error: &Error, host: &str) -> Failure {
    let Some(code) = error.status().map(u16::from) else {
        let how = if error.is_client() {
            "lacks what is needed for"
        } else if error.is_response() {
            "does not speak SMTP after"
        } else {
            "went away after"
        };
        return Failure::Stuck(format!("the mail server {host} {how} {}", step.shown()));
    };
    // the error keeps the server's words as its source
    let words = error.source().map(ToString::to_string).unwrap_or_default();
    sort(step, code, enhanced(&words), host)
}

fn sort(step: Step, code: u16, enhanced: Option<&str>, host: &str) -> Failure {
    let detail = enhanced.map(|detail| format!(" {detail}")).unwrap_or_default();
    let why = format!("the mail server {host} refused {}: {code}{detail}", step.shown());
    match step {
        // it would say the same about any letter
        Step::Hello | Step::Auth | Step::Sender => Failure::Stuck(why),
        Step::Addressee | Step::Letter => match code {
            400..500 => Failure::Later(why),
            // X.2: the mailbox, such as that it is full, which others can bring about
            550..=556 if enhanced.is_some_and(|detail| detail.starts_with("5.2.")) => Failure::Later(why),
            552 if enhanced.is_none() => Failure::Later(why),
            // X.7: what it thinks of us, such as that we did not sign in, or that it does not relay
            550..=556 if !enhanced.is_some_and(|detail| detail.starts_with("5.7.")) => Failure::Refused(why),
            _ => Failure::Stuck(why),
        },
    }
}

/// The enhanced code (RFC 3463) that an answer begins with.
fn enhanced(words: &str) -> Option<&str> {
    let word = words.split_whitespace().next()?;
    let parts: Vec<&str> = word.split('.').collect();
    let is_number =
        |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    (parts.len() == 3 && parts.iter().all(is_number)).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_refusal_says_depends_on_what_was_refused() {
        let kind = |step, code, detail| match sort(step, code, detail, "mail.example") {
            Failure::Stuck(_) => "stuck",
            Failure::Later(_) => "later",
            Failure::Refused(_) => "refused",
        };
        for (step, code, detail, expected) in [
            (Step::Hello, 554, None, "stuck"),
            (Step::Auth, 535, Some("5.7.8"), "stuck"),
            (Step::Sender, 550, Some("5.1.8"), "stuck"),
            (Step::Sender, 451, None, "stuck"),
            (Step::Addressee, 450, Some("4.2.0"), "later"),
            (Step::Addressee, 550, None, "refused"),
            (Step::Addressee, 550, Some("5.1.1"), "refused"),
            (Step::Addressee, 554, Some("5.7.1"), "stuck"),
            (Step::Addressee, 530, Some("5.7.0"), "stuck"),
            (Step::Addressee, 503, Some("5.5.1"), "stuck"),
            (Step::Letter, 552, Some("5.3.4"), "refused"),
            (Step::Letter, 552, Some("5.2.2"), "later"),
            (Step::Addressee, 550, Some("5.2.1"), "later"),
            (Step::Addressee, 552, None, "later"),
            (Step::Letter, 451, None, "later"),
        ] {
            assert_eq!(kind(step, code, detail), expected, "{step:?} {code} {detail:?}");
        }
    }

    #[test]
    fn of_the_servers_words_only_a_code_is_kept() {
        assert_eq!(enhanced("5.1.1 <ada@example.org>: unknown"), Some("5.1.1"));
        for words in ["", "<ada@example.org> unknown", "5.1 x", "5.1.a x", "5..1 x", "5.1.1234 x"] {
            assert_eq!(enhanced(words), None, "{words}");
        }
    }
}
