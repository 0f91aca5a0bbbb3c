//! Snapshots by schedule: the user signs when they are taken and to which key they are sealed, and nobody of theirs is there
//! when one is.
//!
//! To a public key anybody can seal. So a snapshot by schedule is opened only if the host has signed what it took that this
//! vault has pinned for its container, and is dated as that host says.

use std::time::Duration;

use ocmt_crypto::{
    datakey::DataKey,
    sign::VerifyKey,
    snapshot_schedule::{Schedule, ScheduleKey, Taken, sealed_key_hash, sealed_key_version},
};
use ocmt_proto::v1 as pb;
use ocmt_types::{Clock as _, ContainerId, NodeId, SystemClock, TenantId, Timestamp};
use serde::Serialize;

use crate::{
    Client, ClientError,
    ca::ClusterCa,
    client::{idempotency_key, present},
    snapshot::{Scheduled, Snapshot, of_a_sealed_volume},
    vault::Vault,
    wire::time,
};

/// A snapshot is taken within minutes of what the list says, by the clocks of two nodes.
const DATED_WITHIN: Duration = Duration::from_secs(3600);
/// How many are kept where neither its user says so nor a schedule that is there.
const KEPT: u16 = 7;

/// When snapshots of a container are taken by themselves: as its user signed it, and how it stands as the node says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SnapshotSchedule {
    /// Of which container.
    pub container: ContainerId,
    /// Five fields.
    pub cron: String,
    /// The zone that they are read in.
    pub time_zone: String,
    /// How many are kept.
    pub keep: u16,
    /// The next time.
    pub next_at: Option<Timestamp>,
    /// A time that has come and of which there is no snapshot yet: the container has to stop first.
    pub due_at: Option<Timestamp>,
    /// Why nothing is taken until it is put anew; empty if something is.
    pub rests: String,
    /// Why the last that was due came to nothing; empty if it did not.
    pub failure: String,
    #[serde(skip)]
    number: u64,
}

impl Client {
    /// The schedule of a container's snapshots, if there is one; `own` is the identity key of its user.
    ///
    /// # Errors
    /// [`ClientError`], also if the one that is there was signed by somebody else, or for something else.
    pub async fn snapshot_schedule(
        &self,
        container: ContainerId,
        own: &VerifyKey,
    ) -> Result<Option<SnapshotSchedule>, ClientError> {
        let request = pb::GetSnapshotScheduleRequest { container_id: container.to_string() };
        let found = self.containers().get_snapshot_schedule(request).await?.into_inner().schedule;
        found.map(|found| self.proven(container, own, found)).transpose()
    }

    fn proven(
        &self,
        container: ContainerId,
        own: &VerifyKey,
        shown: pb::SnapshotSchedule,
    ) -> Result<SnapshotSchedule, ClientError> {
        let signed = Schedule::verify(&shown.signed, own).map_err(|_| ClientError::Answer("signed"))?;
        let who = self.identity()?;
        if (signed.tenant, signed.user, signed.container) != (who.tenant, who.user, container) {
            return Err(ClientError::Answer("signed"));
        }
        Ok(SnapshotSchedule {
            container,
            cron: signed.cron,
            time_zone: signed.time_zone,
            keep: signed.keep,
            next_at: shown.next_at.as_ref().map(time),
            due_at: shown.due_at.as_ref().map(time),
            rests: shown.rests,
            failure: shown.failure,
            number: signed.number,
        })
    }

    /// Looks whether there are snapshots of this container at all, before its user is asked for a passphrase.
    ///
    /// # Errors
    /// [`ClientError::Usage`] for a sealed volume; [`ClientError::Refused`] with `SNAPSHOTS_OFF` by a node that keeps none.
    pub async fn takes_snapshots(&self, container: ContainerId) -> Result<(), ClientError> {
        if self.container(container).await?.sealed_volume_bytes > 0 {
            return Err(of_a_sealed_volume());
        }
        let request = pb::GetSnapshotScheduleRequest { container_id: container.to_string() };
        self.containers().get_snapshot_schedule(request).await?;
        Ok(())
    }

    /// Takes no snapshots by schedule any more. Needs step-up.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete_snapshot_schedule(&self, container: ContainerId) -> Result<(), ClientError> {
        let request = pb::DeleteSnapshotScheduleRequest {
            container_id: container.to_string(),
            idempotency_key: idempotency_key(),
        };
        self.containers().delete_snapshot_schedule(request).await?;
        Ok(())
    }
}

impl Vault {
    /// Signs a schedule for the snapshots of a container, in the place of the one before. A zone and a number that are not said
    /// are those of the one before; without one UTC and 7. To keep fewer than before needs step-up.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Usage`] if this vault has not pinned the container's host, whose word its snapshots
    /// are believed by, and if what is there is not signed by the vault's owner and zone or number are not said.
    pub async fn put_snapshot_schedule(
        &mut self,
        container: ContainerId,
        cron: &str,
        time_zone: Option<&str>,
        keep: Option<u16>,
    ) -> Result<SnapshotSchedule, ClientError> {
        if self.pinned_host(container).is_none() {
            let why =
                "this vault has not pinned the host of that container: unlock it, or take a snapshot, once";
            return Err(ClientError::Usage(why.to_owned()));
        }
        let own = self.identity_key();
        // what somebody else has put there is replaced too: it only has no number that counts, and nothing that could stay
        let before = match self.client().snapshot_schedule(container, &own).await {
            Err(ClientError::Answer(_)) if time_zone.is_some() && keep.is_some() => None,
            Err(ClientError::Answer(why)) => {
                let both = "say the time zone and how many to keep, what is there says neither for you";
                return Err(ClientError::Usage(format!("{why}: {both}")));
            }
            found => found?,
        };
        let versions = self.volume_key(container, true).await?;
        let (version, volume_key) = &versions.current;
        let who = self.client().identity()?;
        let key = ScheduleKey::of((*version, volume_key), self.keys().scope(), container)?;
        // higher than any that a host of this user has seen, also where the database was put back since
        let now = u64::try_from(SystemClock.now().millis()).unwrap_or(0);
        let number = before.as_ref().map_or(now, |before| now.max(before.number.saturating_add(1)));
        let (time_zone, keep) = stays(before.as_ref(), time_zone, keep);
        let schedule = Schedule {
            tenant: who.tenant,
            user: who.user,
            container,
            number,
            cron: cron.to_owned(),
            time_zone,
            keep,
            key: key.public(),
            key_version: *version,
        };
        let signed = schedule.sign(&self.keys().keyring().identity_signing).map_err(|_| {
            ClientError::Usage(
                "a schedule has five fields of at most 100 bytes, and keeps 1 to 100".to_owned(),
            )
        })?;
        let request = pb::PutSnapshotScheduleRequest {
            container_id: container.to_string(),
            signed: signed.into(),
            vault_epoch: u64::from(self.keys().epoch()),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().containers().put_snapshot_schedule(request).await?.into_inner();
        self.client().proven(container, &own, present(answer.schedule, "schedule")?)
    }

    /// After the keys of the vault were changed: signs each schedule of before anew, for the keys of now. Those that are
    /// not, rest until they are.
    pub(crate) async fn renew_snapshot_schedules(&mut self) -> Result<(), ClientError> {
        let own = self.identity_key();
        let pinned: Vec<_> = self.keys().manifest().hosts.iter().map(|host| host.container).collect();
        for container in pinned {
            // a container of before is not there any more
            let Ok(Some(before)) = self.client().snapshot_schedule(container, &own).await else { continue };
            let (time_zone, keep) = (Some(before.time_zone.as_str()), Some(before.keep));
            self.put_snapshot_schedule(container, &before.cron, time_zone, keep).await?;
        }
        Ok(())
    }

    /// The key of a snapshot that was taken by schedule, if the pinned host has signed what it took.
    pub(crate) async fn scheduled_key(
        &mut self,
        snapshot: &Snapshot,
        scheduled: &Scheduled,
    ) -> Result<DataKey, ClientError> {
        self.believe_taken(snapshot, scheduled)?;
        let none = || ClientError::Usage("this vault has not the key of that snapshot".to_owned());
        let versions = self.volume_key(snapshot.container, false).await?;
        let meant = sealed_key_version(&scheduled.sealed_key).map_err(|_| none())?;
        let mut all = versions.earlier.iter().chain([&versions.current]);
        let (version, key) = all.find(|(version, _)| *version == meant).ok_or_else(none)?;
        let key = ScheduleKey::of((*version, key), self.keys().scope(), snapshot.container)?;
        Ok(key.open(snapshot.id, &scheduled.sealed_key)?)
    }

    /// Holds what a host signed against the pin of the snapshot's own container, and against what the list says.
    fn believe_taken(&self, snapshot: &Snapshot, scheduled: &Scheduled) -> Result<(), ClientError> {
        let pinned = self.pinned_host(snapshot.container);
        judge_taken(&self.client().target().ca, self.keys().scope().tenant, pinned, snapshot, scheduled)
    }
}

/// The zone and the number of a schedule in the place of `before`: what its user does not say stays.
fn stays(before: Option<&SnapshotSchedule>, time_zone: Option<&str>, keep: Option<u16>) -> (String, u16) {
    let said = time_zone.filter(|zone| !zone.is_empty());
    let zone = said.or(before.map(|before| before.time_zone.as_str())).unwrap_or("UTC");
    (zone.to_owned(), keep.or(before.map(|before| before.keep)).unwrap_or(KEPT))
}

/// What `believe_taken` decides, from what it holds against each other.
fn judge_taken(
    ca: &ClusterCa,
    tenant: TenantId,
    pinned: Option<NodeId>,
    snapshot: &Snapshot,
    scheduled: &Scheduled,
) -> Result<(), ClientError> {
    let Scheduled { sealed_key, taken, content_hash } = scheduled;
    let node = ca.prove_node_at(&taken.certificate_chain_der, snapshot.created_at)?;
    if pinned != Some(node.id) {
        let pinned = pinned.map_or_else(|| "none".to_owned(), |pinned| pinned.to_string());
        return Err(ClientError::OtherTaker { pinned, by: node.id.to_string() });
    }
    let said = Taken::verify(&taken.statement, &node.key)
        .map_err(|_| ClientError::Node("its word on that snapshot does not hold"))?;
    let apart = said.taken_at.since(snapshot.created_at).max(snapshot.created_at.since(said.taken_at));
    let same = said.node == node.id
        && said.tenant == tenant
        && (said.container, said.generation) == (snapshot.container, snapshot.generation)
        && (said.snapshot, said.size) == (snapshot.id, snapshot.size_bytes)
        && said.content_hash.0[..] == content_hash[..]
        && said.sealed_key_hash == sealed_key_hash(sealed_key)
        && apart <= DATED_WITHIN;
    if same { Ok(()) } else { Err(ClientError::Node("its word is on another snapshot")) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_crypto::sign::SigningKey;
    use ocmt_types::{Digest32, Id as _, SnapshotId};

    use super::*;
    use crate::{
        ca::tests::{Authority, NOW, authority, certified},
        snapshot::State,
    };

    const AT: Timestamp = Timestamp(NOW * 1000);
    const SEALED_KEY: [u8; 3] = [1, 2, 3];

    struct Host {
        id: NodeId,
        key: SigningKey,
        chain: Vec<Vec<u8>>,
    }

    impl Host {
        fn of(id: u8, authority: &Authority) -> Self {
            let (id, key) = (NodeId::from_bytes([id; 16]), SigningKey::generate(&mut rand::rng()));
            let chain = certified(id, key.verify_key(), authority);
            Self { id, key, chain }
        }

        /// Its word on what it took, of the snapshot of these tests but for one thing.
        fn says(&self, change: impl FnOnce(&mut Taken)) -> Scheduled {
            let mut taken = Taken {
                tenant: tenant(),
                container: ContainerId::from_bytes([2; 16]),
                generation: 3,
                snapshot: SnapshotId::from_bytes([4; 16]),
                size: 5,
                content_hash: Digest32([6; 32]),
                sealed_key_hash: sealed_key_hash(&SEALED_KEY),
                taken_at: AT,
                node: self.id,
            };
            change(&mut taken);
            let statement = taken.sign_by(|purpose, message| self.key.sign(purpose, message));
            self.hands_out(statement)
        }

        fn hands_out(&self, statement: impl Into<bytes::Bytes>) -> Scheduled {
            let certificate_chain_der = self.chain.iter().cloned().map(Into::into).collect();
            let taken = pb::NodeStatement { statement: statement.into(), certificate_chain_der };
            Scheduled { sealed_key: SEALED_KEY.to_vec(), taken, content_hash: vec![6; 32] }
        }
    }

    fn tenant() -> TenantId {
        TenantId::from_bytes([1; 16])
    }

    fn snapshot() -> Snapshot {
        Snapshot {
            id: SnapshotId::from_bytes([4; 16]),
            container: ContainerId::from_bytes([2; 16]),
            generation: 3,
            state: State::Taken,
            size_bytes: 5,
            verified: true,
            opened: false,
            by_schedule: true,
            failure: String::new(),
            created_at: AT,
            wrapped_key: Vec::new(),
            scheduled: None,
        }
    }

    #[test]
    fn what_a_schedule_does_not_say_is_that_of_the_one_before_and_else_utc_and_seven() {
        let before = SnapshotSchedule {
            container: ContainerId::from_bytes([2; 16]),
            cron: "0 3 * * *".to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
            keep: 3,
            next_at: None,
            due_at: None,
            rests: String::new(),
            failure: String::new(),
            number: 1,
        };
        assert_eq!(stays(None, None, None), ("UTC".to_owned(), 7));
        assert_eq!(stays(Some(&before), None, None), ("Europe/Berlin".to_owned(), 3));
        assert_eq!(stays(Some(&before), Some("UTC"), None), ("UTC".to_owned(), 3));
        assert_eq!(stays(Some(&before), None, Some(7)), ("Europe/Berlin".to_owned(), 7));
    }

    #[test]
    fn nobodys_word_but_the_pinned_hosts_is_taken() {
        let authority = authority();
        let ca = ClusterCa::from_pem(&authority.pem()).unwrap();
        let (here, there) = (Host::of(7, &authority), Host::of(8, &authority));
        let judge =
            |pinned, scheduled: &Scheduled| judge_taken(&ca, tenant(), pinned, &snapshot(), scheduled);
        assert!(judge(Some(here.id), &here.says(|_| {})).is_ok());
        // a node of this cluster that says so truly of itself, and one that says that it is the pinned one
        for scheduled in [there.says(|_| {}), there.says(|taken| taken.node = here.id)] {
            let Err(ClientError::OtherTaker { pinned, by }) = judge(Some(here.id), &scheduled) else {
                unreachable!("it is taken, or refused for something else")
            };
            assert_eq!((pinned, by), (here.id.to_string(), there.id.to_string()));
        }
        assert!(matches!(judge(None, &here.says(|_| {})), Err(ClientError::OtherTaker { .. })));
        // under the certificate of the pinned one
        let forged = here.hands_out(there.says(|taken| taken.node = here.id).taken.statement);
        assert!(
            matches!(judge(Some(here.id), &forged), Err(ClientError::Node(why)) if why.contains("not hold"))
        );
        let of_itself = here.says(|taken| taken.node = there.id);
        assert!(matches!(judge(Some(here.id), &of_itself), Err(ClientError::Node(_))));
    }

    #[test]
    fn the_pinned_hosts_word_is_on_this_snapshot_alone() {
        let authority = authority();
        let ca = ClusterCa::from_pem(&authority.pem()).unwrap();
        let here = Host::of(7, &authority);
        let judge = |change: fn(&mut Taken)| {
            judge_taken(&ca, tenant(), Some(here.id), &snapshot(), &here.says(change))
        };
        let changes: [fn(&mut Taken); 9] = [
            |taken| taken.tenant = TenantId::from_bytes([9; 16]),
            |taken| taken.container = ContainerId::from_bytes([9; 16]),
            |taken| taken.generation = 9,
            |taken| taken.snapshot = SnapshotId::from_bytes([9; 16]),
            |taken| taken.size = 9,
            |taken| taken.content_hash = Digest32([9; 32]),
            |taken| taken.sealed_key_hash = Digest32([9; 32]),
            |taken| taken.taken_at = AT + DATED_WITHIN + Duration::from_millis(1),
            |taken| taken.taken_at = AT - DATED_WITHIN - Duration::from_millis(1),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let judged = judge(change);
            assert!(matches!(judged, Err(ClientError::Node(why)) if why.contains("another")), "{n}");
        }
        assert!(judge(|taken| taken.taken_at = AT + DATED_WITHIN).is_ok());
        assert!(judge(|taken| taken.taken_at = AT - DATED_WITHIN).is_ok());
    }
}
