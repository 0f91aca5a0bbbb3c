//! Mail out of the node: to a mail server by SMTP, into a spool folder for one, and on standard output of a
//! developer's machine.

mod act;
mod ceremony;
mod change;
mod group;
mod slots;
mod smtp;
mod spool;
mod text;

use std::{
    io::Write as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::future::BoxFuture;
use lettre::message::Mailbox;
use ocmt_actors::{Mail, MailError, Mailer};
use ocmt_types::{Clock, IdGen, NoticeId};

pub use smtp::Smtp;
pub use spool::open_spool;
pub use text::{Encoding, Letter, sender};

use crate::config;

/// Why letters cannot leave; each text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct MailSetting {
    /// `mail.…`
    pub key: &'static str,
    /// What is wrong.
    pub problem: String,
}

impl MailSetting {
    fn new(key: &'static str, problem: impl Into<String>) -> Self {
        Self { key, problem: problem.into() }
    }
}

/// Writes letters and sends them on their way.
pub struct NodeMailer {
    way: Way,
    from: Mailbox,
    base_url: String,
    prints: bool,
    /// The last letter could not leave. Told once, not with every letter.
    stuck: AtomicBool,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGen>,
}

enum Way {
    /// They are printed.
    None,
    Spool(PathBuf),
    Smtp(Box<Smtp>),
}

/// A letter did not leave.
enum Failure {
    /// No letter can, until the operator or the mail server does something.
    Stuck(String),
    /// This one cannot now.
    Later(String),
    /// This one never can.
    Refused(String),
}

impl NodeMailer {
    /// By the way that `settings` name, with links under `base_url`; `prints` shows letters on standard output.
    ///
    /// # Errors
    /// [`MailSetting`] for an address, a file or a folder that is of no use.
    pub fn open(
        settings: &config::Mail,
        base_url: String,
        prints: bool,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGen>,
    ) -> Result<Self, MailSetting> {
        let from = sender(&settings.from)
            .ok_or_else(|| MailSetting::new("mail.from", "is no address such as `ocmt@example.org`"))?;
        let way = if !settings.smtp.is_empty() {
            Way::Smtp(Box::new(Smtp::open(settings, &base_url)?))
        } else if settings.spool.as_os_str().is_empty() {
            Way::None
        } else {
            open_spool(&settings.spool).map_err(|error| {
                let shown = settings.spool.display();
                let problem = format!("letters cannot be written to {shown}: {error}; make it for the user of this node, or name another folder");
                MailSetting::new("mail.spool", problem)
            })?;
            Way::Spool(settings.spool.clone())
        };
        Ok(Self { way, from, base_url, prints, stuck: AtomicBool::new(false), clock, ids })
    }

    async fn carry(&self, id: NoticeId, letter: &Letter) -> Result<(), Failure> {
        let encoding = match &self.way {
            Way::None => return Ok(()),
            Way::Spool(_) => Encoding::Plain,
            Way::Smtp(_) => Encoding::Ascii,
        };
        let message = letter
            .to_message(&self.from, self.clock.now(), id, encoding)
            .ok_or_else(|| Failure::Refused("not an address to write to".to_owned()))?;
        match &self.way {
            Way::None => Ok(()),
            Way::Smtp(smtp) => smtp.send(&message).await,
            Way::Spool(folder) => {
                let (name, text, into) = (self.ids.as_ref().id(), message.formatted(), folder.clone());
                let written = tokio::task::spawn_blocking(move || spool::write(&into, name, &text))
                    .await
                    .map_err(|_| Failure::Later("the spool task failed".to_owned()))?;
                let shown = folder.display();
                written.map_err(|error| Failure::Stuck(format!("cannot write to the spool {shown}: {error}")))
            }
        }
    }

    /// Says once that letters do not leave, and once that they do again.
    fn told(&self, carried: Result<(), Failure>) -> Result<(), MailError> {
        let stuck = match carried {
            // the way is free, whatever becomes of this letter
            Ok(()) | Err(Failure::Refused(_)) => false,
            // says nothing about the others
            Err(Failure::Later(why)) => return Err(MailError::Later(why)),
            Err(Failure::Stuck(_)) => true,
        };
        let was_stuck = self.stuck.swap(stuck, Ordering::Relaxed);
        match carried {
            Err(Failure::Stuck(why)) => {
                if !was_stuck {
                    tracing::warn!(%why, "letters do not leave: nobody gets a sign-in link");
                }
                return Err(MailError::Later(why));
            }
            _ if was_stuck => tracing::info!("letters leave again"),
            _ => {}
        }
        carried.map_err(|failure| match failure {
            Failure::Refused(why) => MailError::Refused(why),
            Failure::Stuck(why) | Failure::Later(why) => MailError::Later(why),
        })
    }
}

impl Mailer for NodeMailer {
    fn hand_over<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<(), MailError>> {
        Box::pin(async move {
            let letter = Letter::of(mail, &self.base_url)
                .ok_or_else(|| MailError::Refused("not an address to write to".to_owned()))?;
            self.told(self.carry(mail.id, &letter).await)?;
            if self.prints {
                let mut out = std::io::stdout().lock();
                writeln!(out, "--- mail to {}: {}\n{}---", letter.to, letter.subject, letter.body)
                    .map_err(|error| MailError::Later(error.to_string()))?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_actors::MailBody;
    use ocmt_types::{RandomIds, Secret, SystemClock};

    use super::*;

    #[tokio::test]
    async fn a_letter_that_cannot_be_written_names_the_spool_and_a_later_one_goes() {
        let folder = tempfile::tempdir().unwrap();
        let spool = folder.path().join("mail");
        let settings = config::Mail { spool: spool.clone(), ..config::Mail::default() };
        let base_url = "https://node.example".to_owned();
        let (clock, ids) = (Arc::new(SystemClock), Arc::new(RandomIds));
        let mailer = NodeMailer::open(&settings, base_url, false, clock, ids).unwrap();
        std::fs::remove_dir(&spool).unwrap();
        let body = MailBody::SignUp { token: Secret::new("x".to_owned()) };
        let mail = Mail { id: (&RandomIds as &dyn IdGen).id(), to: "ada@example.org".to_owned(), body };
        let error = mailer.hand_over(&mail).await.unwrap_err().to_string();
        assert!(error.contains(&spool.display().to_string()), "{error}");
        assert!(mailer.stuck.load(Ordering::Relaxed));
        open_spool(&spool).unwrap();
        for copies in 1..=2 {
            mailer.hand_over(&mail).await.unwrap();
            assert!(!mailer.stuck.load(Ordering::Relaxed));
            assert_eq!(std::fs::read_dir(&spool).unwrap().count(), copies);
        }
    }
}
