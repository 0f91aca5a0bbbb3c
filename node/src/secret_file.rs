//! One secret in a file that others may not read, such as the password of a database or where an alert goes.

use std::path::Path;

use ocmt_types::Secret;

use crate::pki::{self, PkiError};

/// Why there is none; the text says what to do, and holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It cannot be read, or others can read it too.
    #[error(transparent)]
    File(#[from] PkiError),
    /// There is none, or it holds something else.
    #[error("the secret in {path}: {why}")]
    Content {
        /// Which file.
        path: String,
        /// What is wrong.
        why: &'static str,
    },
}

/// The text in a file, without the end of its line; none for no file.
///
/// # Errors
/// [`SecretFileError`].
pub fn read(file: &Path) -> Result<Option<Secret<String>>, SecretFileError> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let wrong = |why| SecretFileError::Content { path: file.display().to_string(), why };
    let content = pki::read_private(file)?.ok_or_else(|| wrong("there is no such file"))?;
    let text = std::str::from_utf8(&content).map_err(|_| wrong("is not text"))?.trim_end();
    if text.is_empty() {
        return Err(wrong("is empty"));
    }
    Ok(Some(Secret::new(text.to_owned())))
}
