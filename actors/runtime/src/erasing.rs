//! Volumes that are erased for good.

use std::path::Path;

use ocmt_types::{TenantId, UserId};

use crate::{Call, Observed, RuntimeError, archive, volume};

/// Refuses where a container of the tenant, or of this user of it, is there: its volume is in use, or soon may be.
pub(crate) fn unused(
    observed: &[Observed],
    tenant: TenantId,
    user: Option<UserId>,
) -> Result<(), RuntimeError> {
    let theirs =
        |seen: &&Observed| seen.labels.tenant == tenant && user.is_none_or(|user| user == seen.labels.user);
    match observed.iter().find(theirs) {
        Some(seen) => Err(RuntimeError::conflict(&seen.container, "erase its volume", seen.state)),
        None => Ok(()),
    }
}

/// Erases the volumes of a tenant, or of one user of it, if none is in use.
pub(crate) async fn erased(
    there: Call<'_, Vec<Observed>>,
    data_dir: &Path,
    tenant: TenantId,
    user: Option<UserId>,
) -> Result<(), RuntimeError> {
    unused(&there.await?, tenant, user)?;
    volume::on_disk(data_dir, move |data_dir| erase(data_dir, tenant, user)).await
}

/// Erases the volumes of a tenant, or of one user of it, that nothing uses.
pub(crate) fn erase(data_dir: &Path, tenant: TenantId, user: Option<UserId>) -> Result<(), RuntimeError> {
    match user {
        Some(user) => erase_volume(data_dir, tenant, user),
        None => volume::erase(data_dir, tenant),
    }
}

/// Erases the volume of a user and what a restore has left beside it. What was interrupted is gone on with by the next call.
fn erase_volume(data_dir: &Path, tenant: TenantId, user: UserId) -> Result<(), RuntimeError> {
    archive::settle(data_dir, tenant, user)?;
    archive::erase(data_dir, tenant, &user.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::{archive::FRESH, volume::tests::ids};

    #[test]
    fn one_users_volume_is_erased_whole_and_nobody_elses() {
        let root = tempfile::tempdir().unwrap();
        let ((tenant, user), (_, other)) = (ids(), ids());
        for user in [user, other] {
            let path = volume::open(root.path(), tenant, user, None).unwrap().path;
            std::fs::create_dir_all(path.join("deep/deeper")).unwrap();
            std::fs::write(path.join("deep/deeper/note"), b"mine").unwrap();
        }
        let outside = root.path().join("outside");
        std::fs::write(&outside, b"the host's").unwrap();
        symlink(&outside, volume::path(root.path(), tenant, user).join("link")).unwrap();
        std::fs::create_dir(root.path().join(format!("{tenant}/{user}{FRESH}"))).unwrap();
        erase_volume(root.path(), tenant, user).unwrap();
        let left: Vec<_> = std::fs::read_dir(root.path().join(tenant.to_string())).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(volume::path(root.path(), tenant, other).join("deep/deeper/note").exists());
        assert_eq!(std::fs::read(&outside).unwrap(), b"the host's", "a link was followed");
        // nothing is there any more, and that is well
        erase_volume(root.path(), tenant, user).unwrap();
    }
}
