//! The owner of a tenant: founds it, brings a second user in, writes their vault and asks others to be guardians.
//! The cryptography is that of a client, over a slot that needs no Argon2id.

use std::sync::Arc;

use ocmt_actors::api::vault::Write;
use ocmt_crypto::{
    datakey::VaultScope,
    entry::{Attributes, Entry, EntryName},
    seal::SealSecretKey,
    slot::NewSlot,
    vault::{self, Change, UnlockedVault},
};
use ocmt_types::{Digest32, Id as _, VaultId};
use rand::RngExt as _;
use zeroize::Zeroizing;

use super::{
    ask::{Answer, Ask, What},
    client::{Outcome, Person, TENANTS, member, owner},
    mail::Brings,
    seen::Seen,
    world::Tree,
};

/// A write with the same key is repeated so often while nobody knows what came of it.
const TRIES: usize = 3;

/// The owner's life until `until`, in milliseconds.
///
/// # Errors
/// If the client's half of the cryptography fails.
pub(crate) async fn keeper(tree: Tree, n: u64, until: u64) -> turmoil::Result {
    let mut me = Person::new(tree.clone(), n, owner(n), n);
    let mut founded = false;
    while !founded && tree.ground.now() < until {
        // one token founds one tenant: a second mail would found a second one of the same address
        let mailed = !tree.mail.tokens(&me.email, Brings::SignUp).is_empty();
        let way = (!mailed).then(|| Ask::SignUp(me.email.clone()));
        founded = me.enters(way, Brings::SignUp).await || signs_in(&mut me).await;
    }
    let Some(tenant) = me.tenant else { return Ok(()) };
    tree.learn(n, |known| (known.tenant, known.owner) = (Some(tenant), me.token.clone()));
    let mut keeper = Keeper::make(me, until).await?;
    while tree.ground.now() < until {
        match keeper.me.rng.random_range(0..20) {
            0..11 => keeper.put().await?,
            11..17 => drop(keeper.read().await),
            17 => keeper.asks_a_guardian().await,
            18 => keeper.invites().await,
            _ => {
                if signs_in(&mut keeper.me).await {
                    tree.learn(n, |known| known.owner = keeper.me.token.clone());
                }
            }
        }
        keeper.me.thinks(600).await;
    }
    Ok(())
}

/// A session by a mailed link.
pub(crate) async fn signs_in(me: &mut Person) -> bool {
    let way = Ask::Link(me.email.clone());
    me.enters(Some(way), Brings::Link).await
}

struct Keeper {
    me: Person,
    vault: UnlockedVault,
    /// Changes of which nobody knows whether they are stored, over the state that `vault` has.
    pending: Vec<Change>,
}

impl Keeper {
    /// Makes the vault, and brings the second user in.
    async fn make(mut me: Person, until: u64) -> anyhow::Result<Self> {
        let tenant = me.tenant.unwrap_or(ocmt_store::testing::id(0));
        let scope = VaultScope { tenant, vault: VaultId::from_bytes(me.rng.random()) };
        let slot = NewSlot::Member(SealSecretKey::generate(&mut me.rng).public());
        let (vault, upload) = vault::create(scope, &[slot], &mut me.rng)?;
        let upload = Arc::new(upload);
        let op = me.op();
        loop {
            let machine = me.any();
            let Some(call) = me.call(What::CreateVault(scope.vault, Arc::clone(&upload)), Some(op)) else {
                break;
            };
            if me.ask(machine, call).await.done().is_some() || me.tree.ground.now() > until {
                break;
            }
            me.thinks(300).await;
        }
        me.tree.learn(me.n, |known| known.vault = Some(scope.vault));
        let mut keeper = Self { me, vault, pending: Vec::new() };
        keeper.invites().await;
        Ok(keeper)
    }

    /// Invites the second user, until they are there.
    async fn invites(&mut self) {
        if self.me.tree.known(self.me.n).member.is_empty() {
            let machine = self.me.any();
            let _ = self.me.does(machine, "invite", What::Invite(member(self.me.n))).await;
        }
    }

    /// Asks somebody of another tenant; each once, the repeats are refused.
    async fn asks_a_guardian(&mut self) {
        let other = (self.me.n + self.me.rng.random_range(0..TENANTS - 1)) % TENANTS + 1;
        let email = if self.me.once_in(2) { owner(other) } else { member(other) };
        let machine = self.me.any();
        let what = What::InviteGuardian(self.vault.scope().vault, email);
        let _ = self.me.does(machine, "ask a guardian", what).await;
    }

    async fn read(&mut self) -> Option<(u64, Vec<u8>)> {
        let machine = self.me.any();
        match self.me.does(machine, "read", What::GetVault).await {
            Outcome::Done(Answer::Vault(counter, manifest)) => Some((counter, manifest)),
            _ => None,
        }
    }

    /// Writes a new entry.
    async fn put(&mut self) -> anyhow::Result<()> {
        let op = self.me.op();
        let (object, change) = self.edit(op)?;
        let write = Write {
            vault: self.vault.scope().vault,
            puts: change.objects.clone(),
            deletes: Vec::new(),
            manifest: change.manifest.clone(),
        };
        let tree = self.me.tree.clone();
        tree.saw(Seen::Asked { op, tenant: self.me.n, what: "put", object: Some(object) });
        for n in 0..TRIES {
            let machine = self.me.any();
            let Some(call) = self.me.call(What::Put(Box::new(write.clone())), Some(op)) else { break };
            match self.me.ask(machine, call).await {
                Outcome::Done(Answer::Wrote(counter)) => {
                    tree.saw(Seen::Wrote { op, counter });
                    self.pending.clear();
                    self.vault.apply(change)?;
                    return Ok(());
                }
                // of the first try: nothing of it is anywhere
                Outcome::Refused(error) if n == 0 => {
                    tree.saw(Seen::Refused { op, why: error.reason().to_owned() });
                    let overtaken = matches!(error.reason(), "CHANGED_MEANWHILE" | "INVALID_ARGUMENT");
                    if overtaken || !self.pending.is_empty() {
                        self.catch_up().await?;
                    }
                    return Ok(());
                }
                Outcome::Refused(_) | Outcome::Unknown | Outcome::Done(_) => self.me.thinks(400).await,
            }
        }
        tree.saw(Seen::Unknown { op });
        self.pending.push(change);
        self.catch_up().await
    }

    fn edit(&mut self, op: u64) -> anyhow::Result<(Digest32, Change)> {
        let entry = Entry {
            name: EntryName::new(&format!("entry {op}"))?,
            value: Zeroizing::new(op.to_be_bytes().to_vec()),
            attributes: Attributes::default(),
        };
        let mut edit = self.vault.edit();
        let object = edit.put(&entry, &mut self.me.rng)?;
        Ok((object, edit.finish()?))
    }

    /// Which of the changes whose outcome is not known is stored?
    async fn catch_up(&mut self) -> anyhow::Result<()> {
        let Some((counter, manifest)) = self.read().await else { return Ok(()) };
        if counter <= self.vault.seen().counter {
            return Ok(());
        }
        match self.pending.iter().position(|change| change.manifest == manifest) {
            Some(stored) => {
                let change = self.pending.swap_remove(stored);
                self.vault.apply(change)?;
                self.pending.clear();
            }
            None => self.me.tree.violation(&format!(
                "the vault of tenant {} has manifest {counter}, which its only writer did not make",
                self.me.n
            )),
        }
        Ok(())
    }
}
