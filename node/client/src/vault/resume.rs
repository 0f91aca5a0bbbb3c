//! A rotation that was cut off, gone on with.

use std::collections::{BTreeMap, BTreeSet};

use ocmt_crypto::{
    object::VaultObject,
    sign::VerifyKey,
    slot::KeySlot,
    vault::{Rotation, RotationMode, RotationStart},
};
use ocmt_proto::v1 as pb;
use ocmt_types::{Digest32, SlotId};

use super::{Vault, digest, rotate::mode_to_pb, wire::to_object};
use crate::{ClientError, client::present, pages::Pages};

const NO_SUCH_ROTATION: &str = "NO_SUCH_ROTATION";
/// Objects of one page.
const PAGE: i32 = 48;

impl Vault {
    /// The rotation that this device began and did not finish, if it does what is wanted now, with all that it has
    /// staged; and its id at the node. One that another device began is never taken up: whoever is being shut out may
    /// have begun it, and would know its keys. Nor is one from another state of the vault: an entry that was deleted
    /// and written again meanwhile would get its old value back.
    pub(super) async fn unfinished(
        &self,
        mode: RotationMode,
        drop: &[SlotId],
    ) -> Result<Option<(String, Rotation<'_>)>, ClientError> {
        let mut page = match self.staged(String::new()).await {
            Err(error) if error.reason().as_deref() == Some(NO_SUCH_ROTATION) => return Ok(None),
            page => page?,
        };
        let standing = present(page.rotation.take(), "rotation")?;
        let Some(keyring) = page.keyring.take().map(to_object).transpose()? else { return Ok(None) };
        let start = RotationStart {
            epoch: standing.new_key_epoch,
            verify_key: VerifyKey(digest(&standing.new_verify_key, "new_verify_key")?.0),
            succession: page.succession.to_vec(),
            slots: standing.staged_slots.iter().map(|slot| slot.to_vec()).collect(),
            keyring,
        };
        let own = self.state.began_rotation(self.id(), &self.open.seen(), &start.verify_key)?;
        if !own || standing.mode != i32::from(mode_to_pb(mode)) || !self.keeps(&start.slots, drop) {
            return Ok(None);
        }
        // damaged, or of before another change of the vault: it is begun anew
        let Ok(mut rotation) = self.open.resume_rotation(mode, start, None) else { return Ok(None) };
        let mut pages = Pages::default();
        loop {
            let staged = page.objects.into_iter().map(to_object).collect::<Result<Vec<_>, _>>()?;
            for object in self.with_bodies(mode, staged).await? {
                // what is not taken over is converted again, and staged over it
                let _ = rotation.adopt(&object);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(Some((standing.rotation_id, rotation)));
            }
            page = self.staged(page.next_page_token).await?;
        }
    }

    async fn staged(&self, page_token: String) -> Result<pb::ListStagedObjectsResponse, ClientError> {
        let request =
            pb::ListStagedObjectsRequest { vault_id: self.id().to_string(), page_size: PAGE, page_token };
        Ok(self.client.vaults().list_staged_objects(request).await?.into_inner())
    }

    /// Whether the staged slots are those of the vault without the dropped ones.
    fn keeps(&self, staged: &[Vec<u8>], drop: &[SlotId]) -> bool {
        let kept = self.open.slots().iter().map(KeySlot::id).filter(|id| !drop.contains(id));
        let ids = staged.iter().map(|slot| KeySlot::from_bytes(slot).map(|slot| slot.id()));
        let Ok(ids) = ids.collect::<Result<BTreeSet<SlotId>, _>>() else { return false };
        ids == kept.collect()
    }

    /// A rewrap leaves the bodies where they are.
    async fn with_bodies(
        &self,
        mode: RotationMode,
        mut staged: Vec<VaultObject>,
    ) -> Result<Vec<VaultObject>, ClientError> {
        if mode == RotationMode::Rewrap {
            let known: BTreeSet<Digest32> = self.open.leaves().map(|leaf| leaf.object_id).collect();
            staged.retain(|object| known.contains(&object.object_id));
            let ids: Vec<Digest32> = staged.iter().map(|object| object.object_id).collect();
            let present = self.objects(&ids).await?;
            let mut bodies: BTreeMap<Digest32, Vec<u8>> =
                present.into_iter().map(|object| (object.object_id, object.body)).collect();
            for object in &mut staged {
                object.body = bodies.remove(&object.object_id).unwrap_or_default();
            }
        }
        Ok(staged)
    }
}
