//! Whether the head of an audit goes on from the last one that was handed out.

use ocmt_crypto::merkle::log::Tree;
use ocmt_store::{Store, StoreError, tables::AuditHead};
use ocmt_types::TenantId;

/// What is to be done with a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: it was handed out, or is not whole yet.
    Nothing,
    /// It is handed out.
    GoesOn(Tree),
    /// It is not signed. What it says; none if it is not even a tree.
    Refused(Option<Tree>, Why),
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It holds fewer records.
    Shorter,
    /// It holds as many, and others.
    Another,
    /// It holds more, and what was handed out is not its beginning.
    NoBeginning,
    /// What is stored is no head.
    Damaged,
}

impl Why {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Shorter => "it has fewer records than it had",
            Self::Another => "it has as many records, and others",
            Self::NoBeginning => "the audit that was handed out is not proven to be its beginning",
            Self::Damaged => "what is stored is no head",
        }
    }
}

/// Holds a head against the last one that was handed out, if one was. What is larger has to prove that it only adds to it.
pub(super) async fn judge(
    store: &Store,
    given: Option<Tree>,
    head: &AuditHead,
) -> Result<Verdict, StoreError> {
    let tree = match head.tree() {
        Ok(tree) => tree,
        Err(StoreError::Corrupt { .. }) => return Ok(Verdict::Refused(None, Why::Damaged)),
        Err(error) => return Err(error),
    };
    let refused = |why| Ok(Verdict::Refused(Some(tree), why));
    match given {
        Some(given) if given == tree => return Ok(Verdict::Nothing),
        Some(given) if given.size > tree.size => return refused(Why::Shorter),
        Some(given) if given.size == tree.size => return refused(Why::Another),
        _ => {}
    }
    // after an earlier program the tree is behind for a while: its head comes with a later round
    if head.tree_size < head.seq {
        return Ok(Verdict::Nothing);
    }
    match given {
        Some(given) if !extends(store, head.tenant_id, given, tree).await? => refused(Why::NoBeginning),
        _ => Ok(Verdict::GoesOn(tree)),
    }
}

/// What is stored gives the proof, and is not believed: the proof is held against the two roots.
async fn extends(store: &Store, tenant: TenantId, old: Tree, new: Tree) -> Result<bool, StoreError> {
    // every log goes on from one that has nothing
    if old.size == 0 {
        return Ok(true);
    }
    match store.cluster().audit_extension(tenant, old.size, new.size).await {
        Ok(path) => Ok(new.extends(&old, &path).is_ok()),
        Err(StoreError::Corrupt { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
