//! Whoever stands between a node and its mail server, and servers that are out of order.

use std::time::Duration;

use ocmt::config::HumanDuration;

use crate::{
    kit::{ADA, Kit, SHOWN, invite},
    server::{Way, Wish},
};

#[tokio::test]
async fn a_server_that_offers_no_tls_gets_no_letter_and_no_password() {
    let kit = Kit::start(Wish { way: Way::Stripped, password: Some(SHOWN), ..Wish::default() }).await;
    let why = kit.is_kept(&invite(ADA, "Home")).await;
    assert!(why.contains("offers no STARTTLS"), "{why}");
    assert_eq!(kit.server.seen().clear, ["EHLO node.example"]);
}

#[tokio::test]
async fn what_was_said_in_clear_never_counts_under_tls() {
    for way in [Way::InjectsBehindConsent, Way::InjectsBehindOffer] {
        let kit = Kit::start(Wish { way, password: Some(SHOWN), ..Wish::default() }).await;
        let why = kit.is_kept(&invite(ADA, "Home")).await;
        assert!(why.contains("somebody may stand in between"), "{way:?}: {why}");
        let log = kit.server.seen();
        assert!(log.taken.is_empty() && log.under_tls.is_empty(), "{way:?}: {log:?}");
    }
}

#[tokio::test]
async fn a_certificate_of_another_name_or_issuer_is_not_believed() {
    for way in [Way::Implicit, Way::Starttls] {
        let kit = Kit::start(Wish { way, name: "mail.other.example", ..Wish::default() }).await;
        let why = kit.is_kept(&invite(ADA, "Home")).await;
        assert!(why.contains("no TLS") && why.contains("certificate"), "{why}");
        let (mut kit, other) = (Kit::of(way).await, Kit::of(way).await);
        kit.settings.smtp_ca_file = other.server.ca_file.clone();
        let why = kit.is_kept(&invite(ADA, "Home")).await;
        assert!(why.contains("no TLS") && why.contains("certificate"), "{why}");
        assert!(kit.server.seen().under_tls.is_empty());
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_is_left_in_time_wherever_it_does() {
    let bound = Duration::from_secs(1);
    for (way, verb) in [
        (Way::Implicit, "TLS"),
        (Way::Implicit, ""),
        (Way::Implicit, "EHLO"),
        (Way::Implicit, "MAIL"),
        (Way::Implicit, "RCPT"),
        (Way::Implicit, "DATA"),
        (Way::Implicit, "."),
        (Way::Starttls, ""),
        (Way::Starttls, "EHLO"),
        (Way::Starttls, "STARTTLS"),
    ] {
        let mut kit = Kit::start(Wish { way, hangs_at: Some(verb), ..Wish::default() }).await;
        kit.settings.smtp_timeout = HumanDuration(bound);
        // its own bound ends it, and not this test's
        let letter = invite(ADA, "Home");
        let why = tokio::time::timeout(Duration::from_secs(90), kit.is_kept(&letter)).await.unwrap();
        assert!(why.contains("within"), "{way:?} {verb}: {why}");
    }
}

#[tokio::test]
async fn a_letter_that_was_taken_is_taken_though_the_server_says_no_goodbye() {
    let kit = Kit::start(Wish { hangs_at: Some("QUIT"), ..Wish::default() }).await;
    kit.send(&invite(ADA, "Home")).await.unwrap();
    assert_eq!(kit.server.seen().taken.len(), 1);
}

#[tokio::test]
async fn a_server_that_never_ends_a_line_is_left_at_once() {
    for way in [Way::Endless, Way::EndlessUnderTls] {
        let kit = Kit::of(way).await;
        let why = kit.is_kept(&invite(ADA, "Home")).await;
        // not by the clock: how much of it there may be is bounded
        assert!(!why.contains("within"), "{way:?}: {why}");
        kit.server.when(|log| log.open == 0).await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_so() {
    let mut kit = Kit::of(Way::Implicit).await;
    // where nothing listens, and nobody is given the port
    kit.settings.smtp = "127.0.0.1:1".to_owned();
    let why = kit.is_kept(&invite(ADA, "Home")).await;
    assert!(why.contains("cannot be reached"), "{why}");
    kit.settings.smtp = "mail.invalid:465".to_owned();
    assert!(kit.is_kept(&invite(ADA, "Home")).await.contains("mail.invalid"));
}
