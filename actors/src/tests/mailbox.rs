//! A carrier of mails that keeps what it gets, for tests to read.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::future::BoxFuture;
use ocmt_types::NoticeId;
use tokio::sync::watch;

use super::kit::PATIENCE;
use crate::{
    Mail, MailBody, MailError, Mailer,
    api::{audit::AuditEntry, auth::LinkPurpose},
};

/// What was mailed, with tokens in clear.
#[derive(Debug, Clone)]
pub(crate) struct Delivered {
    pub(crate) id: NoticeId,
    pub(crate) to: String,
    pub(crate) kind: String,
    pub(crate) tokens: Vec<(String, String)>,
    pub(crate) facts: Vec<(String, String)>,
}

/// A carrier that keeps what it gets.
pub(crate) struct Mailbox {
    mails: watch::Sender<Vec<Delivered>>,
    /// What was tried, by address: each attempt.
    tried: watch::Sender<Vec<(String, NoticeId)>>,
    pub(crate) refuses: AtomicBool,
    /// These addresses are refused for good.
    pub(crate) unknown: Mutex<BTreeSet<String>>,
    /// These take what comes, and their answers are lost.
    pub(crate) silent: Mutex<BTreeSet<String>>,
}

impl Mailer for Mailbox {
    fn hand_over<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<(), MailError>> {
        Box::pin(async move {
            self.tried.send_modify(|tried| tried.push((mail.to.clone(), mail.id)));
            let to = match &mail.body {
                MailBody::Alert { target, .. } | MailBody::Records { target, .. } => {
                    target.target.expose().clone()
                }
                _ => mail.to.clone(),
            };
            if self.unknown.lock().unwrap().contains(&to) {
                return Err(MailError::Refused("unknown to the test".to_owned()));
            }
            if self.refuses.load(Ordering::SeqCst) {
                return Err(MailError::Later("refused by the test".to_owned()));
            }
            let (kind, tokens, facts) = match &mail.body {
                MailBody::SignUp { token } => {
                    ("sign_up".to_owned(), vec![(String::new(), token.expose().clone())], vec![])
                }
                MailBody::SignIn { links, purpose } => {
                    let kind = match purpose {
                        LinkPurpose::SignIn => "sign_in",
                        LinkPurpose::Recovery => "recovery",
                        LinkPurpose::StepUp => "step_up",
                    };
                    (
                        kind.to_owned(),
                        links.iter().map(|(name, token)| (name.clone(), token.expose().clone())).collect(),
                        vec![],
                    )
                }
                MailBody::Invite { tenant, token } => {
                    ("invite".to_owned(), vec![(tenant.clone(), token.expose().clone())], vec![])
                }
                MailBody::EmailChange { tenant, token } => {
                    ("email_change".to_owned(), vec![(tenant.clone(), token.expose().clone())], vec![])
                }
                MailBody::LostMailbox { guardian, token } => {
                    ("lost_mailbox".to_owned(), vec![(guardian.clone(), token.expose().clone())], vec![])
                }
                MailBody::Notice { kind, facts, .. } => (kind.clone(), vec![], facts.clone()),
                MailBody::Alert { alert, .. } => {
                    (format!("alert.{}", alert.action), vec![], alert.facts.clone())
                }
                MailBody::Records { records, .. } => {
                    let told = |record: &AuditEntry| (record.sequence.to_string(), record.method.clone());
                    ("records".to_owned(), vec![], records.iter().map(told).collect())
                }
            };
            let is_silent = self.silent.lock().unwrap().contains(&to);
            self.mails.send_modify(|mails| mails.push(Delivered { id: mail.id, to, kind, tokens, facts }));
            if is_silent {
                return std::future::pending().await;
            }
            Ok(())
        })
    }
}

impl Mailbox {
    pub(crate) fn new() -> Self {
        Self {
            mails: watch::Sender::default(),
            tried: watch::Sender::default(),
            refuses: AtomicBool::new(false),
            unknown: Mutex::default(),
            silent: Mutex::default(),
        }
    }

    /// The `n`th mail to an address, when it has come.
    pub(crate) async fn nth(&self, to: &str, n: usize) -> Delivered {
        let mut mails = self.mails.subscribe();
        let wanted = |mails: &Vec<Delivered>| mails.iter().filter(|mail| mail.to == to).count() > n;
        let mails =
            tokio::time::timeout(PATIENCE, mails.wait_for(wanted)).await.expect("no such mail came").unwrap();
        mails.iter().filter(|mail| mail.to == to).nth(n).unwrap().clone()
    }

    /// The first mail with a token to an address behind its first `n` mails: notices may come in between.
    pub(crate) async fn token_after(&self, to: &str, n: usize) -> Delivered {
        let find = |mails: &Vec<Delivered>| {
            mails.iter().filter(|mail| mail.to == to).skip(n).find(|mail| !mail.tokens.is_empty()).cloned()
        };
        let mut mails = self.mails.subscribe();
        let wait = mails.wait_for(|mails| find(mails).is_some());
        let mails = tokio::time::timeout(PATIENCE, wait).await.expect("no such mail came").unwrap();
        find(&mails).unwrap()
    }

    /// How many of this kind have come to an address: one that came again, as a letter may, is known by its id.
    pub(crate) fn count_of(&self, to: &str, kind: &str) -> usize {
        let mails = self.mails.borrow();
        let its = mails.iter().filter(|mail| mail.to == to && mail.kind == kind);
        its.map(|mail| mail.id).collect::<BTreeSet<_>>().len()
    }

    /// By which ids an address was tried, once that were `n` times at the least.
    pub(crate) async fn tried(&self, to: &str, n: usize) -> Vec<NoticeId> {
        let its = |tried: &Vec<(String, NoticeId)>| -> Vec<NoticeId> {
            tried.iter().filter(|(address, _)| address == to).map(|(_, id)| *id).collect()
        };
        let mut tried = self.tried.subscribe();
        let wait = tried.wait_for(|tried| its(tried).len() >= n);
        let tried = tokio::time::timeout(PATIENCE, wait).await.expect("it was not tried so often").unwrap();
        its(&tried)
    }

    /// What of this kind has come to an address.
    pub(crate) fn all_of(&self, to: &str, kind: &str) -> Vec<Delivered> {
        self.mails.borrow().iter().filter(|mail| mail.to == to && mail.kind == kind).cloned().collect()
    }

    /// How many came to an address.
    pub(crate) fn count(&self, to: &str) -> usize {
        self.mails.borrow().iter().filter(|mail| mail.to == to).count()
    }
}
