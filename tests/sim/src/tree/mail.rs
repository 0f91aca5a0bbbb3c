//! Mail: handed over by whichever node has it, read by the people it is to.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use ocmt_actors::{Mail, MailBody, MailError, Mailer};

use super::world::Tree;

/// What kind of token a mail brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brings {
    /// To finish a sign-up.
    SignUp,
    /// To sign in.
    Link,
    /// To join a tenant.
    Invite,
}

type Letters = Vec<(String, Brings, String)>;

/// All mails with tokens so far. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Mailbox(Arc<Mutex<Letters>>);

impl Mailbox {
    /// The tokens of this kind that came to an address.
    pub(crate) fn tokens(&self, to: &str, brings: Brings) -> Vec<String> {
        let letters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let its = letters.iter().filter(|(address, kind, _)| address == to && *kind == brings);
        its.map(|(_, _, token)| token.clone()).collect()
    }

    fn put(&self, to: &str, brings: Brings, token: &str) {
        let letter = (to.to_owned(), brings, token.to_owned());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
    }
}

/// A machine's way to the carrier.
pub(crate) struct Carrier {
    pub(crate) tree: Tree,
    pub(crate) machine: usize,
}

impl Mailer for Carrier {
    fn hand_over<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<(), MailError>> {
        Box::pin(async move {
            self.tree.ground.thaw(self.machine).await;
            let put = |brings, token: &str| self.tree.mail.put(&mail.to, brings, token);
            match &mail.body {
                MailBody::SignUp { token } => put(Brings::SignUp, token.expose()),
                MailBody::SignIn { links, .. } => {
                    links.iter().for_each(|(_, token)| put(Brings::Link, token.expose()));
                }
                MailBody::Invite { token, .. } => put(Brings::Invite, token.expose()),
                _ => {}
            }
            Ok(())
        })
    }
}
