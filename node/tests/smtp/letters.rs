//! Letters that arrive, as they were written.

use std::collections::VecDeque;

use ocmt::config::SmtpTls;
use ocmt_actors::{MailError, Mailer as _};

use crate::{
    kit::{ADA, Kit, SHOWN, invite},
    server::{Received, Way, Wish},
};

fn message_id(letter: &Received) -> &str {
    letter.text.lines().find(|line| line.starts_with("Message-ID: ")).unwrap()
}

/// The body as a person sees it.
fn shown(letter: &Received) -> String {
    let (head, body) = letter.text.split_once("\r\n\r\n").unwrap();
    assert!(letter.text.is_ascii(), "{}", letter.text);
    if !head.contains("quoted-printable") {
        return body.to_owned();
    }
    let mut bytes = Vec::new();
    let mut rest = body.replace("=\r\n", "").into_bytes().into_iter();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'=' {
            let hex = [rest.next().unwrap(), rest.next().unwrap()];
            u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
        } else {
            byte
        });
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_letter_arrives_under_tls_from_the_first_byte() {
    let kit = Kit::start(Wish { password: Some(SHOWN), ..Wish::default() }).await;
    kit.send(&invite(ADA, "Home")).await.unwrap();
    let log = kit.server.seen();
    let [letter] = log.taken.as_slice() else { panic!("{:?}", log.taken) };
    assert_eq!(letter.from, "MAIL FROM:<ocmt@sender.example>");
    assert_eq!(letter.to, "RCPT TO:<ada@example.org>");
    assert!(
        letter.text.contains("\r\nFrom: OCMT <ocmt@sender.example>\r\n")
            || letter.text.starts_with("From: OCMT")
    );
    assert!(letter.text.contains("To: ada@example.org\r\n"), "{}", letter.text);
    assert!(
        shown(letter).contains("    https://node.example:7443/auth/link/ocmt_inv_secret\r\n"),
        "{}",
        letter.text
    );
    assert!(log.clear.is_empty());
    assert_eq!(log.under_tls[0], "EHLO node.example");
}

#[tokio::test]
async fn before_starttls_nothing_is_said_but_that_it_is_wanted() {
    let kit = Kit::start(Wish { way: Way::Starttls, password: Some(SHOWN), ..Wish::default() }).await;
    kit.send(&invite(ADA, "Home")).await.unwrap();
    let log = kit.server.seen();
    assert_eq!(log.clear, ["EHLO node.example", "STARTTLS"]);
    // what was offered in clear counts for nothing: it is asked again
    assert_eq!(log.under_tls[0], "EHLO node.example");
    assert_eq!(log.taken.len(), 1);
}

#[tokio::test]
async fn a_developers_server_on_the_same_machine_gets_letters_in_clear() {
    let kit = Kit::of(Way::Clear).await;
    kit.send(&invite(ADA, "Home")).await.unwrap();
    assert_eq!(kit.server.seen().taken.len(), 1);
}

#[tokio::test]
async fn other_letters_than_those_of_ascii_and_lines_of_dots_arrive_as_they_were() {
    let kit = Kit::of(Way::Implicit).await;
    // longer than a line may be once it is encoded, so that a line of it begins with a dot
    let name = format!("B\u{fc}ro \u{1f980} {}", ".".repeat(150));
    kit.send(&invite(ADA, &name)).await.unwrap();
    let log = kit.server.seen();
    assert!(
        shown(&log.taken[0]).contains(&format!("You are invited to {name}. To join")),
        "{}",
        log.taken[0].text
    );
    assert!(
        log.taken[0].text.lines().any(|line| line.starts_with('.')),
        "no line begins with a dot: {}",
        log.taken[0].text
    );
}

#[tokio::test]
async fn a_letter_that_is_tried_again_is_the_same_letter() {
    let answers = VecDeque::from([(".", "451 4.3.0 not now")]).into();
    let kit = Kit::start(Wish { answers, ..Wish::default() }).await;
    let (mailer, mail) = (kit.mailer(), invite(ADA, "Home"));
    assert!(matches!(mailer.hand_over(&mail).await, Err(MailError::Later(_))));
    mailer.hand_over(&mail).await.unwrap();
    mailer.hand_over(&invite(ADA, "Home")).await.unwrap();
    let log = kit.server.seen();
    assert_eq!(message_id(&log.turned_away[0]), message_id(&log.taken[0]));
    assert_eq!(message_id(&log.taken[0]), format!("Message-ID: <{}@sender.example>", mail.id));
    assert_ne!(message_id(&log.taken[0]), message_id(&log.taken[1]));
}

#[tokio::test]
async fn no_more_connections_are_open_at_once_than_were_asked_for() {
    let mut kit = Kit::of(Way::Implicit).await;
    kit.settings.smtp_connections = 2;
    let mailer = kit.mailer();
    let mails: Vec<_> = (0..12).map(|_| invite(ADA, "Home")).collect();
    let sent = futures_util::future::join_all(mails.iter().map(|mail| mailer.hand_over(mail))).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    let log = kit.server.seen();
    assert_eq!(log.taken.len(), 12);
    // the server hears of an end a moment after the client, who goes on meanwhile
    assert!(log.most_open <= 4, "{} at once", log.most_open);
}

#[tokio::test]
async fn an_address_in_other_letters_is_written_to_where_the_server_can() {
    let ann = "\u{e4}nn@example.org";
    let kit = Kit::of(Way::Implicit).await;
    let refused = kit.send(&invite(ann, "Home")).await;
    assert!(matches!(refused, Err(MailError::Refused(_))), "{refused:?}");
    assert!(kit.server.seen().taken.is_empty());
    let kit = Kit::start(Wish { offers: vec!["8BITMIME", "SMTPUTF8"], ..Wish::default() }).await;
    kit.send(&invite(ann, "Home")).await.unwrap();
    let log = kit.server.seen();
    assert_eq!(log.taken[0].to, format!("RCPT TO:<{ann}>"));
    assert!(log.taken[0].from.ends_with(" SMTPUTF8 BODY=8BITMIME"), "{}", log.taken[0].from);
    assert!(log.taken[0].text.contains(&format!("To: {ann}\r\n")), "{}", log.taken[0].text);
}

#[tokio::test]
async fn a_server_by_address_is_checked_by_its_address() {
    let mut kit = Kit::start(Wish { name: "127.0.0.1", ..Wish::default() }).await;
    kit.settings.smtp = kit.server.address.to_string();
    assert_eq!(kit.settings.smtp_tls, SmtpTls::Implicit);
    kit.send(&invite(ADA, "Home")).await.unwrap();
}
