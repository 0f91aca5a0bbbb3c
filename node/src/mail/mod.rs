//! Mail out of the node: a spool folder for a mail server, and standard output on a developer's machine.

mod text;

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use ocmt_actors::{Mail, MailError, Mailer};
use ocmt_types::{Clock, IdGen, NoticeId};

pub use text::Letter;

/// Writes each mail as one `.eml` file that appears whole, for a mail server to pick up; in `dev` and
/// `demo` it also prints sign-in links.
pub struct SpoolMailer {
    folder: Option<PathBuf>,
    from: String,
    base_url: String,
    prints: bool,
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
        Self { folder, from, base_url, prints, clock, ids }
    }
}

impl Mailer for SpoolMailer {
    fn hand_over<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<(), MailError>> {
        Box::pin(async move {
            let letter = Letter::of(mail, &self.base_url)
                .ok_or_else(|| MailError("not an address to write to".to_owned()))?;
            if let Some(folder) = &self.folder {
                let id: NoticeId = self.ids.as_ref().id();
                let (folder, text) = (folder.clone(), letter.to_eml(&self.from, self.clock.now(), id));
                tokio::task::spawn_blocking(move || spool(&folder, id, &text))
                    .await
                    .map_err(|_| MailError("the spool task failed".to_owned()))?
                    .map_err(|error| MailError(format!("cannot write to the spool: {error}")))?;
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

/// Beside its place first: whoever watches the folder sees whole letters only.
fn spool(folder: &Path, id: NoticeId, text: &str) -> std::io::Result<()> {
    let beside = folder.join(format!(".{id}.new"));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, folder.join(format!("{id}.eml")))
}
