//! Letters as files, for a mail server beside the node to pick up.

use std::{
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use ocmt_types::NoticeId;
use rustix::fs::Access;

/// Makes the spool for the node's user alone, and looks whether letters can be written there: without one
/// nobody signs in, and a link that was not sent looks from outside like one that is on its way.
///
/// # Errors
/// When it cannot be made, is no folder, or is not to be written by this user.
pub fn open_spool(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    Ok(rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Beside its place first: whoever watches the folder sees whole letters only. `name` is a new one at each attempt: a
/// letter that was written before is never written over.
pub(super) fn write(folder: &Path, name: NoticeId, text: &[u8]) -> std::io::Result<()> {
    let beside = folder.join(format!(".{name}.new"));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&beside, folder.join(format!("{name}.eml")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

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
}
