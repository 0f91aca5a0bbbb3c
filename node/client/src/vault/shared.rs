//! What takers of shares sent to the vault: judged here by the vault's ledger, filed, or dropped.
//!
//! Filing writes the new version and brings those shares of that entry to it that the ledger names, in one act: who reads
//! by one sees it, and who writes goes on from it. A share to read alone stays at the version before, as after a write of
//! the owner's own: that it is in force, of whom and for what would be the node's word.

use ocmt_crypto::{
    datakey::ObjectPlace,
    entry::{Attributes, Entry},
    grant,
    shared::{Basis, SharedAct, SharedPlace},
    unlock::{Ledger, SharedVerdict, WriteRight},
    vault::Change,
};
use ocmt_proto::v1 as pb;
use ocmt_types::{Clock as _, Digest32, MessageId, SystemClock, Timestamp};

use super::{Arrived, Vault, Worth, to_pb};
use crate::{
    ClientError,
    client::{id, idempotency_key},
    pages::Pages,
    share::{Permission, Share},
    wire::time,
};

const PAGE: i32 = 48;
/// More than a node keeps for one vault.
const MAX_WRITES: usize = 1024;
/// As many as a node takes with one filing.
const MOST_RENEWED: usize = 200;

/// What a taker sent, with what it says.
pub(super) struct Sent {
    pub(super) arrived: Arrived,
    place: Option<SharedPlace>,
    sealed: Vec<u8>,
}

impl Vault {
    /// What takers of shares sent, oldest first.
    pub(super) async fn open_shared(&self, ledger: &Ledger) -> Result<Vec<Sent>, ClientError> {
        let (mut sent, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let vault_id = self.id().to_string();
            let request = pb::ListSharedWritesRequest { vault_id, page_size: PAGE, page_token };
            let page = self.client.vaults().list_shared_writes(request).await?.into_inner();
            for write in page.writes {
                sent.push(self.judge_shared(ledger, write)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() || sent.len() >= MAX_WRITES {
                break;
            }
            page_token = page.next_page_token;
        }
        self.name_shared(&mut sent).await?;
        Ok(sent)
    }

    fn judge_shared(&self, ledger: &Ledger, write: pb::VaultSharedWrite) -> Result<Sent, ClientError> {
        let sealed = write.sealed.to_vec();
        let (worth, place, act) = self.verdict(ledger, &sealed);
        let right = place.and_then(|place| ledger.right(place.share, place.basis.place.object));
        // an address is the node's word, unless this device knows that the key is theirs
        let known = match self.client.identity() {
            Ok(identity) => self.state.person_pin(identity.tenant, &write.taker_email)?,
            Err(_) => None,
        };
        let is_theirs = right.zip(known).is_some_and(|(right, keys)| right.taker == keys.signing);
        let received_at = write.received_at.as_ref().map(time).unwrap_or_default();
        Ok(Sent {
            arrived: Arrived {
                item: id(&write.write_id, "write_id")?,
                worth,
                name: None,
                bytes: act.as_ref().and_then(|act| match act {
                    SharedAct::Put(value) => Some(value.len()),
                    SharedAct::Delete => None,
                }),
                container: None,
                unlock: None,
                conversation: None,
                share: place.map(|place| place.share).or_else(|| write.share_id.parse().ok()),
                taker: is_theirs.then_some(write.taker_email),
                deletes: matches!(act, Some(SharedAct::Delete)),
                received_at: Timestamp::millis(received_at),
            },
            place,
            sealed,
        })
    }

    fn verdict(&self, ledger: &Ledger, sealed: &[u8]) -> (Worth, Option<SharedPlace>, Option<SharedAct>) {
        let scope = self.open.scope();
        let present = |object: Digest32| self.present(object);
        match ledger.judge_shared(&scope, self.open.keyring(), SystemClock.now(), present, sealed) {
            SharedVerdict::Fileable(act, place) => (Worth::Fileable, Some(place), Some(act)),
            SharedVerdict::Stale(place) => (Worth::Stale, Some(place), None),
            SharedVerdict::Done(place) => (Worth::Done, Some(place), None),
            SharedVerdict::NotAllowed(place) => (Worth::NotAllowed, Some(place), None),
            SharedVerdict::Over(place) => (Worth::Over, Some(place), None),
            SharedVerdict::Lost(place) => (Worth::Lost, Some(place), None),
            SharedVerdict::Forged => (Worth::Forged, None, None),
        }
    }

    /// The version of an entry that is there now.
    pub(crate) fn present(&self, object: Digest32) -> Option<Basis> {
        let leaf = self.open.leaves().find(|leaf| leaf.object_id == object)?;
        let place = ObjectPlace { scope: self.open.scope(), object, version: leaf.version };
        Some(Basis { place, body_hash: leaf.body_hash })
    }

    /// Gives each the name of its entry, which its taker need not know.
    async fn name_shared(&self, sent: &mut [Sent]) -> Result<(), ClientError> {
        let mut ids: Vec<Digest32> = sent.iter().filter_map(Sent::object).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| self.open.leaves().any(|leaf| leaf.object_id == *id));
        let objects = self.objects(&ids).await?;
        for one in sent {
            let object = objects.iter().find(|object| Some(object.object_id) == one.object());
            let entry = object.and_then(|object| self.open.open_entry(object).ok());
            one.arrived.name = entry.map(|entry| entry.name.expose().to_owned());
        }
        Ok(())
    }

    /// Files what takers sent and can be filed, of what `which` names; the newest of a share first, so that what it
    /// replaced is done with. What was filed.
    pub(super) async fn file_shared(
        &mut self,
        which: &impl Fn(&Arrived) -> bool,
    ) -> Result<Vec<Arrived>, ClientError> {
        let mut ledger = self.ledger().await?;
        let mut sent = self.open_shared(&ledger).await?;
        sent.retain(|one| one.arrived.worth == Worth::Fileable && which(&one.arrived));
        sent.sort_by_key(|one| std::cmp::Reverse(one.place.map(|place| place.sequence)));
        let mut filed = Vec::new();
        let shares = if sent.is_empty() { Vec::new() } else { self.given_shares().await? };
        for one in sent {
            // one that was filed before may have changed what this one is worth
            if let (Worth::Fileable, Some(place), Some(act)) = self.verdict(&ledger, &one.sealed) {
                self.file_one(&mut ledger, one.arrived.item, (&place, act), &shares).await?;
                filed.push(one.arrived);
            }
        }
        Ok(filed)
    }

    async fn file_one(
        &mut self,
        ledger: &mut Ledger,
        item: MessageId,
        (place, act): (&SharedPlace, SharedAct),
        shares: &[Share],
    ) -> Result<(), ClientError> {
        let object = place.basis.place.object;
        ledger.shared_done(place);
        let mut edit = self.open.edit();
        match act {
            SharedAct::Put(value) => {
                let present = self.open.open_entry(&self.object(object).await?)?;
                let attributes = Attributes { written_at: SystemClock.now(), ..Attributes::default() };
                let entry = Entry { name: present.name.clone(), value, attributes };
                edit.put(&entry, &mut rand::rng())?;
            }
            SharedAct::Delete => {
                edit.delete_object(object)?;
                ledger.keep_rights(|right| right.object != object);
            }
        }
        edit.put_ledger(ledger, &mut rand::rng())?;
        let change = edit.finish()?;
        let renewals = self.renewals(ledger, &place.basis, &change, shares)?;
        self.take_out_shared(&[item], Some(change), renewals).await
    }

    /// Shares of this vault that its owner gave.
    async fn given_shares(&self) -> Result<Vec<Share>, ClientError> {
        let me = self.client.who_am_i().await?.email;
        let mut shares = self.client.list_shares().await?;
        shares.retain(|share| share.is_live() && share.vault == self.id() && share.giver_email == me);
        Ok(shares)
    }

    /// What brings the shares of an entry from the version before to the one that `change` makes: to whom and for what as
    /// the ledger says it. The node's list only takes away.
    fn renewals(
        &self,
        ledger: &Ledger,
        before: &Basis,
        change: &Change,
        shares: &[Share],
    ) -> Result<Vec<pb::ShareRenewal>, ClientError> {
        let entry = before.place.object;
        let Some(object) = change.objects.iter().find(|object| object.object_id == entry) else {
            return Ok(Vec::new());
        };
        let scope = self.open.scope();
        let (place, key) = (object.place(scope), self.open.data_key_of(change, entry)?);
        let (keyring, now) = (self.open.keyring(), SystemClock.now());
        let giver = &keyring.identity_signing;
        let mut renewals = Vec::new();
        for share in shares {
            let of_before =
                |one: &crate::share::SharedEntry| one.object == entry && one.version == before.place.version;
            if !share.entries.iter().any(of_before) || renewals.len() >= MOST_RENEWED {
                continue;
            }
            let right = ledger.right(share.id, entry);
            // what is good once is not renewed, whatever a node lists it as
            let right = right.filter(|right| right.holds(keyring, now) && !right.is_once());
            // one that is for something else by the node's list is left to be offered again
            let same = |right: &&WriteRight| {
                let reads = share.permissions.contains(&Permission::Read);
                (Some(right.acts), right.reads) == (share.acts(), reads)
            };
            let Some(right) = right.filter(same) else { continue };
            let sealed = match right.reads {
                true => grant::seal(&place, &key, &right.sealing, giver, &mut rand::rng())?,
                false => Vec::new(),
            };
            let write_grant = self.write_grant(right, Basis::of(scope, object));
            renewals.push(pb::ShareRenewal {
                share_id: share.id.to_string(),
                object_id: entry.0.to_vec().into(),
                sealed_grant: sealed.into(),
                write_grant: write_grant.into(),
            });
        }
        Ok(renewals)
    }

    /// Takes out what `which` names without filing it; neither it nor what its share sent before is filed if it comes
    /// again. What was dropped.
    pub(super) async fn drop_shared(
        &mut self,
        which: &impl Fn(&Arrived) -> bool,
    ) -> Result<Vec<Arrived>, ClientError> {
        let mut ledger = self.ledger().await?;
        let mut sent = self.open_shared(&ledger).await?;
        sent.retain(|one| which(&one.arrived));
        let mut dropped = Vec::new();
        for some in sent.chunks(super::inbox::BATCH) {
            let known = some
                .iter()
                .filter_map(|one| one.place)
                .filter(|place| ledger.right(place.share, place.basis.place.object).is_some());
            let known: Vec<SharedPlace> = known.collect();
            let mut change = None;
            if !known.is_empty() {
                for place in &known {
                    ledger.shared_done(place);
                }
                let mut edit = self.open.edit();
                edit.put_ledger(&ledger, &mut rand::rng())?;
                change = Some(edit.finish()?);
            }
            let items: Vec<MessageId> = some.iter().map(|one| one.arrived.item).collect();
            self.take_out_shared(&items, change, Vec::new()).await?;
            dropped.extend(some.iter().map(|one| one.arrived.clone()));
        }
        Ok(dropped)
    }

    async fn take_out_shared(
        &mut self,
        items: &[MessageId],
        change: Option<Change>,
        renewals: Vec<pb::ShareRenewal>,
    ) -> Result<(), ClientError> {
        let request = pb::FileSharedWritesRequest {
            vault_id: self.id().to_string(),
            write_ids: items.iter().map(ToString::to_string).collect(),
            puts: change.iter().flat_map(|change| &change.objects).map(to_pb).collect(),
            deletes: change.as_ref().map(|change| self.refs(&change.deleted)).unwrap_or_default(),
            manifest: change.as_ref().map(|change| change.manifest.clone()).unwrap_or_default().into(),
            renewals,
            idempotency_key: idempotency_key(),
        };
        self.client.vaults().file_shared_writes(request).await?;
        change.map_or(Ok(()), |change| self.apply(change))
    }
}

impl Sent {
    fn object(&self) -> Option<Digest32> {
        self.place.map(|place| place.basis.place.object)
    }
}
