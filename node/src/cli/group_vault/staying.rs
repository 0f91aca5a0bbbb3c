//! Who has a group's vault from a rotation on: whoever rotates says so, since a node could name somebody who has left.

use anyhow::Context as _;
use ocmt_client::{
    Client, ClientError,
    group::MemberRole,
    group_vault::{GroupVault, Participant},
};

use crate::cli::{
    context::Context,
    output::{confirm, note},
    share::people::trusted,
};

/// Those who take part, where several open it together its administrators, if the person at this device says that it is
/// they; none if not.
pub(super) async fn confirmed(
    context: &Context,
    client: &Client,
    open: &GroupVault<'_>,
    together: bool,
    keep: &[String],
) -> anyhow::Result<Option<Vec<Participant>>> {
    let mut stays = open.admitted().await?;
    stays.retain(|one| !together || one.role == MemberRole::Admin);
    let me = client.identity()?.user;
    let others: Vec<&str> = stays.iter().filter(|one| one.user != me).map(|one| one.email.as_str()).collect();
    if !keep.is_empty() {
        hold(keep, &others)?;
    } else if !others.is_empty() {
        note(&format!("The node says that beside you these take part:\n\n  {}\n", others.join("\n  ")));
        if !confirm("Are all of them to have the new key?", "--keep, once for each of them")? {
            note(
                "Nothing was done. Take out whom you do not want with `ocmt group remove`. Who was taken out before and is named \
                 still, is named by a node that is not to be trusted.",
            );
            return Ok(None);
        }
    }
    for email in others {
        let known = trusted(context, client, email, None).await.with_context(|| {
            format!("the words of {email} are to be compared on this device: run this on a terminal")
        })?;
        if !known {
            note("Nothing was done.");
            return Ok(None);
        }
    }
    Ok(Some(stays))
}

/// That the node names exactly these.
fn hold(keep: &[String], others: &[&str]) -> Result<(), ClientError> {
    let named = |email: &str| keep.iter().any(|kept| kept.eq_ignore_ascii_case(email));
    let listed = |kept: &String| others.iter().any(|email| email.eq_ignore_ascii_case(kept));
    if others.iter().all(|email| named(email)) && keep.iter().all(listed) {
        return Ok(());
    }
    Err(ClientError::Usage(format!(
        "--keep names others than the node, which says that beside you these take part: {}",
        others.join(", ")
    )))
}
