//! What is stored at the end of a run, read past all links.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use ocmt_store::{
    Filter, ReadTx, StoreError,
    tables::{GuardianshipOut, Inbox, Outbox, Timer, VaultObject},
    testing::TestNode,
};
use ocmt_types::{Digest32, Incarnation, MessageId, TenantId, Timestamp};

use super::{clock::START, world::Tree};

/// A timer that is due for so long has not fired.
pub(crate) const OVERDUE: i64 = 8_000;
/// How an inbox names an invitation of a guardian (`actors/src/tenant/recovery/letters.rs`).
const INVITED: &str = "guardian.invited";
/// The timer that sends it (`actors/src/tenant/recovery/invite.rs`); it ends the invitation when it is due again.
const FIND: &str = "guardian.find";

/// The books of all tenants, by their numbers.
#[derive(Default)]
pub(crate) struct Books(BTreeMap<u64, Book>);

/// What one tenant has.
#[derive(Default, Clone)]
pub(crate) struct Book {
    /// Objects of the vault.
    pub(crate) objects: BTreeSet<Digest32>,
    /// How many of another tenant a timer has asked to be guardians.
    pub(crate) asked: BTreeMap<u64, usize>,
    /// Invitations that came from another tenant.
    pub(crate) came: BTreeMap<u64, BTreeSet<MessageId>>,
    /// Invitations to another tenant that nobody has acknowledged yet.
    pub(crate) sending: BTreeMap<u64, BTreeSet<MessageId>>,
    /// Timers that should have fired.
    pub(crate) overdue: Vec<String>,
}

impl Books {
    /// The book of a tenant.
    pub(crate) fn of(&self, tenant: u64) -> Book {
        self.0.get(&tenant).cloned().unwrap_or_default()
    }

    /// Reads them: every node is declared dead, and every tenant claimed.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn read(tree: &Tree) -> anyhow::Result<Self> {
        let store = &tree.ground.store;
        let reader = TestNode::start(store, 98).await?;
        let lives = store.cluster().living_nodes().await?;
        let others = lives.iter().map(|node| node.incarnation).filter(|life| *life != reader.incarnation);
        for life in others.collect::<Vec<Incarnation>>() {
            store.cluster().mark_dead(life).await?;
        }
        let tenants: BTreeMap<TenantId, u64> =
            tree.desk().iter().filter_map(|(n, known)| Some((known.tenant?, *n))).collect();
        let mut books = BTreeMap::new();
        for (tenant, n) in &tenants {
            let own = reader.claim(*tenant).await.context("the last claim")?;
            let end = Timestamp(START + i64::try_from(tree.ground.now())? - OVERDUE);
            books.insert(*n, Book::read(store.read(own).await?, &tenants, end).await?);
        }
        Ok(Self(books))
    }

    /// For tests: one object in the vault of one tenant.
    #[cfg(test)]
    pub(crate) fn with_object(tenant: u64, object: Digest32) -> Self {
        let book = Book { objects: BTreeSet::from([object]), ..Book::default() };
        Self(BTreeMap::from([(tenant, book)]))
    }

    /// For tests: tenant 1 has asked so many of tenant 2, to which so many invitations came.
    #[cfg(test)]
    pub(crate) fn with_invitations(asked: usize, came: u64) -> Self {
        let from = Book { asked: BTreeMap::from([(2, asked)]), ..Book::default() };
        let messages = (0..came).map(ocmt_store::testing::id).collect();
        let to = Book { came: BTreeMap::from([(1, messages)]), ..Book::default() };
        Self(BTreeMap::from([(1, from), (2, to)]))
    }
}

impl Book {
    async fn read(
        mut tx: ReadTx,
        tenants: &BTreeMap<TenantId, u64>,
        end: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut book = Self::default();
        let objects = tx.find::<VaultObject>(Filter::all()).await?;
        book.objects = objects.iter().map(|row| row.object_id).collect();
        let timers = tx.find::<Timer>(Filter::all()).await?;
        let late = timers.iter().filter(|timer| timer.due_at < end);
        book.overdue = late.map(|timer| format!("{} {}", timer.kind, timer.subject)).collect();
        for row in tx.find::<GuardianshipOut>(Filter::all()).await? {
            let subject = row.guardianship_id.to_string();
            let timer = timers.iter().find(|timer| timer.kind == FIND && timer.subject == subject);
            // until then it looks for an account of the address
            if timer.is_none_or(|timer| timer.due_at != row.expires_at) {
                continue;
            }
            for home in tx.addresses(&row.guardian_email).await? {
                if let Some(other) = tenants.get(&home.tenant_id) {
                    *book.asked.entry(*other).or_default() += 1;
                }
            }
        }
        for row in tx.find::<Inbox>(Filter::all()).await?.iter().filter(|row| row.kind == INVITED) {
            if let Some(from) = tenants.get(&row.from_tenant) {
                book.came.entry(*from).or_default().insert(row.message_id);
            }
        }
        for row in tx.find::<Outbox>(Filter::all()).await?.iter().filter(|row| row.kind == INVITED) {
            if let Some(to) = tenants.get(&row.to_tenant) {
                book.sending.entry(*to).or_default().insert(row.message_id);
            }
        }
        Ok(book)
    }
}
