//! The letters in a node's spool folder, read as their addressee would.

use std::{collections::BTreeSet, fs, path::PathBuf, sync::Mutex, sync::PoisonError, time::Duration};

use super::wait_for;

const PATIENCE: Duration = Duration::from_secs(60);

/// A mail as it lies in the spool.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Its addressee.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub body: String,
}

impl Letter {
    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        Some(Self { to: field("To: ")?, subject: field("Subject: ")?, body: body.to_owned() })
    }

    /// The first link in it, or the token that stands there alone.
    pub fn link(&self) -> Option<&str> {
        let is_link = |word: &&str| word.starts_with("https://") || word.starts_with("ocmt_lnk_");
        self.body.split_whitespace().find(is_link)
    }
}

/// All letters of a spool; each is taken once.
pub struct Mailbox {
    folder: PathBuf,
    taken: Mutex<BTreeSet<PathBuf>>,
}

impl Mailbox {
    /// The letters in `folder`.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, taken: Mutex::default() }
    }

    /// Waits for a letter to `to` that was not taken yet and whose subject contains `subject`.
    pub async fn take(&self, to: &str, subject: &str) -> Option<Letter> {
        wait_for(PATIENCE, async || self.look(to, subject)).await
    }

    /// The same without waiting.
    pub fn look(&self, to: &str, subject: &str) -> Option<Letter> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files: Vec<_> = fs::read_dir(&self.folder).ok()?.filter_map(Result::ok).collect();
        // asked once for each: letters are renamed and removed while this looks
        files.sort_by_cached_key(|file| file.metadata().and_then(|meta| meta.modified()).ok());
        for file in files {
            let path = file.path();
            if path.extension().is_none_or(|extension| extension != "eml") || taken.contains(&path) {
                continue;
            }
            let letter = fs::read_to_string(&path).ok().as_deref().and_then(Letter::parse);
            if let Some(letter) = letter.filter(|letter| letter.to == to && letter.subject.contains(subject))
            {
                taken.insert(path);
                return Some(letter);
            }
        }
        None
    }
}
