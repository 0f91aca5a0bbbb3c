//! What a server's refusals mean: for this letter, for all of them, and for the log.

use std::{collections::VecDeque, sync::Mutex};

use ocmt_actors::{MailError, Mailer as _};
use tracing::subscriber::DefaultGuard;

use crate::{
    heard::Log,
    kit::{ADA, Kit, PASSWORD, SHOWN, invite, open},
    server::Wish,
};

fn answers(of: &[(&'static str, &'static str)]) -> Wish {
    Wish { answers: Mutex::new(VecDeque::from(of.to_vec())), ..Wish::default() }
}

#[tokio::test]
async fn an_addressee_that_the_server_does_not_know_is_given_up_and_not_named() {
    let kit = Kit::start(answers(&[("RCPT", "550 5.1.1 <ada@example.org>: no such user")])).await;
    let Err(MailError::Refused(why)) = kit.send(&invite(ADA, "Home")).await else { panic!("not given up") };
    assert!(why.contains("550 5.1.1") && !why.contains("ada"), "{why}");
}

#[tokio::test]
async fn a_letter_that_the_server_will_not_have_is_given_up() {
    let kit = Kit::start(answers(&[(".", "554 5.6.0 no")])).await;
    let refused = kit.send(&invite(ADA, "Home")).await;
    assert!(matches!(refused, Err(MailError::Refused(_))), "{refused:?}");
}

#[tokio::test]
async fn what_we_did_wrong_ourselves_costs_nobody_a_letter() {
    for (verb, answer) in [
        ("", "554 5.7.1 go away"),
        ("", "421 4.3.2 too many"),
        ("EHLO", "550 5.7.1 not you"),
        ("MAIL", "550 5.1.8 no such sender"),
        ("MAIL", "530 5.7.0 authentication required"),
        ("RCPT", "554 5.7.1 <ada@example.org>: relay access denied"),
        ("RCPT", "450 4.2.0 greylisted"),
        ("DATA", "451 4.3.0 not now"),
        ("RCPT", "what"),
    ] {
        let kit = Kit::start(answers(&[(verb, answer)])).await;
        let why = kit.is_kept(&invite(ADA, "Home")).await;
        assert!(!why.contains("ada") && !why.contains("go away"), "{verb}: {why}");
        assert!(kit.server.seen().taken.is_empty());
    }
}

#[tokio::test]
async fn a_wrong_password_is_the_operators_and_stands_nowhere() {
    let mut kit = Kit::start(Wish { password: Some(SHOWN), ..Wish::default() }).await;
    let wrong = "not the right one";
    kit.settings.smtp_password_file = kit.server.secret_file(wrong, 0o600);
    let (lines, _guard) = listen();
    let why = kit.is_kept(&invite(ADA, "Home")).await;
    assert!(why.contains("535 5.7.8") && why.contains("mail.smtp_user"), "{why}");
    let encoded = data_encoding::BASE64.encode(format!("\0ocmt\0{wrong}").as_bytes());
    let told = lines.text();
    for text in [&why, &told] {
        assert!(!text.contains(wrong) && !text.contains(&encoded), "{text}");
    }
    // this server repeats it, and it came in one piece
    assert!(kit.server.seen().under_tls.iter().any(|line| line.contains(&encoded)));
    assert!(!kit.server.seen().under_tls.iter().any(|line| line.starts_with("MAIL")));
}

#[tokio::test]
async fn a_password_that_others_may_read_is_not_used() {
    let mut kit = Kit::start(Wish { password: Some(SHOWN), ..Wish::default() }).await;
    for mode in [0o640, 0o604] {
        kit.settings.smtp_password_file = kit.server.secret_file(PASSWORD, mode);
        let error = open(&kit.settings).err().expect("it was used").to_string();
        assert!(error.contains("may be read by others") && !error.contains(PASSWORD), "{error}");
    }
    kit.settings.smtp_password_file = kit.server.folder().join("none");
    assert!(open(&kit.settings).err().unwrap().to_string().contains("no such file"));
    kit.settings.smtp_password_file = kit.server.secret_file("\n", 0o600);
    assert!(open(&kit.settings).err().unwrap().to_string().contains("is empty"));
}

#[tokio::test]
async fn that_letters_do_not_leave_is_said_once_and_that_they_do_again_too() {
    let mut kit =
        Kit::start(answers(&[("MAIL", "550 5.1.8 no"), ("MAIL", "550 5.1.8 no"), ("RCPT", "550 5.1.1 no")]))
            .await;
    kit.settings.smtp_connections = 1;
    let (lines, _guard) = listen();
    let mailer = kit.mailer();
    let mail = invite(ADA, "Home");
    for _ in 0..2 {
        mailer.hand_over(&mail).await.unwrap_err();
    }
    let counted =
        || ["letters do not leave", "letters leave again"].map(|text| lines.text().matches(text).count());
    assert_eq!(counted(), [1, 0], "{}", lines.text());
    // that this one is refused shows that the way is free
    assert!(matches!(mailer.hand_over(&mail).await, Err(MailError::Refused(_))));
    mailer.hand_over(&mail).await.unwrap();
    assert_eq!(counted(), [1, 1], "{}", lines.text());
    let text = lines.text();
    assert!(!text.contains("ada") && !text.contains("ocmt_inv") && !text.contains("RCPT"), "{text}");
}

/// All log lines of this test, of every crate and level.
fn listen() -> (Log, DefaultGuard) {
    let log = Log::default();
    let to = log.clone();
    let logs = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || to.clone())
        .finish();
    (log, tracing::subscriber::set_default(logs))
}
