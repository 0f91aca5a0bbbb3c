//! Mail out of the node: a spool folder for a mail server, and standard output on a developer's machine.

mod text;

use std::{
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::future::BoxFuture;
use ocmt_actors::{Mail, MailError, Mailer};
use ocmt_types::{Clock, IdGen, NoticeId};
use rustix::fs::Access;

pub use text::Letter;

/// Writes each mail as one `.eml` file that appears whole, for a mail server to pick up; in `dev` and
/// `demo` it also prints sign-in links.
pub struct SpoolMailer {
    folder: Option<PathBuf>,
    from: String,
    base_url: String,
    prints: bool,
    /// The last letter could not be written. Told once, not with every letter.
    stuck: AtomicBool,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGen>,
}

impl SpoolMailer {
    /// Spools into `folder` if there is one; `prints` shows letters on standard output.
    pub fn new(
        folder: Option<PathBuf>,
        from: String,
        base_url: String,
        prints: bool,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGen>,
    ) -> Self {
        Self { folder, from, base_url, prints, stuck: AtomicBool::new(false), clock, ids }
    }

    async fn write(&self, folder: PathBuf, letter: &Letter) -> Result<(), MailError> {
        let id: NoticeId = self.ids.as_ref().id();
        let (text, shown) = (letter.to_eml(&self.from, self.clock.now(), id), folder.display().to_string());
        let written = tokio::task::spawn_blocking(move || spool(&folder, id, &text))
            .await
            .map_err(|_| MailError("the spool task failed".to_owned()))?;
        let was_stuck = self.stuck.swap(written.is_err(), Ordering::Relaxed);
        match written {
            Err(error) => {
                if !was_stuck {
                    tracing::warn!(spool = %shown, %error, "cannot write letters: nobody gets a sign-in link");
                }
                Err(MailError(format!("cannot write to the spool {shown}: {error}")))
            }
            Ok(()) => {
                if was_stuck {
                    tracing::info!(spool = %shown, "letters can be written again");
                }
                Ok(())
            }
        }
    }
}

impl Mailer for SpoolMailer {
    fn hand_over<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<(), MailError>> {
        Box::pin(async move {
            let letter = Letter::of(mail, &self.base_url)
                .ok_or_else(|| MailError("not an address to write to".to_owned()))?;
            if let Some(folder) = &self.folder {
                self.write(folder.clone(), &letter).await?;
            }
            if self.prints {
                let mut out = std::io::stdout().lock();
                writeln!(out, "--- mail to {}: {}\n{}---", letter.to, letter.subject, letter.body)
                    .map_err(|error| MailError(error.to_string()))?;
            }
            Ok(())
        })
    }
}

/// Makes the spool for the node's user alone, and looks whether letters can be written there: without one
/// nobody signs in, and a link that was not sent looks from outside like one that is on its way.
///
/// # Errors
/// When it cannot be made, is no folder, or is not to be written by this user.
pub fn open_spool(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    Ok(rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Beside its place first: whoever watches the folder sees whole letters only.
fn spool(folder: &Path, id: NoticeId, text: &str) -> std::io::Result<()> {
    let beside = folder.join(format!(".{id}.new"));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, folder.join(format!("{id}.eml")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use ocmt_actors::MailBody;
    use ocmt_types::{RandomIds, Secret, SystemClock};

    use super::*;

    #[test]
    fn the_spool_is_made_for_the_node_alone_and_one_that_cannot_be_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let spool = folder.path().join("a/mail");
        open_spool(&spool).unwrap();
        assert_eq!(std::fs::metadata(&spool).unwrap().permissions().mode() & 0o777, 0o700);
        open_spool(&spool).unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(open_spool(&file).is_err() && open_spool(&file.join("mail")).is_err());
    }

    #[tokio::test]
    async fn a_letter_that_cannot_be_written_names_the_spool_and_a_later_one_goes() {
        let folder = tempfile::tempdir().unwrap();
        let spool = folder.path().join("mail");
        let base_url = "https://node.example".to_owned();
        let mailer = SpoolMailer::new(
            Some(spool.clone()),
            String::new(),
            base_url,
            false,
            Arc::new(SystemClock),
            Arc::new(RandomIds),
        );
        let body = MailBody::SignUp { token: Secret::new("x".to_owned()) };
        let mail = Mail { to: "ada@example.org".to_owned(), body };
        let error = mailer.hand_over(&mail).await.unwrap_err().to_string();
        assert!(error.contains(&spool.display().to_string()), "{error}");
        assert!(mailer.stuck.load(Ordering::Relaxed));
        open_spool(&spool).unwrap();
        mailer.hand_over(&mail).await.unwrap();
        assert!(!mailer.stuck.load(Ordering::Relaxed));
        assert_eq!(std::fs::read_dir(&spool).unwrap().count(), 1);
    }
}
