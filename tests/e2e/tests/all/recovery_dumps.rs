//! All that a node has while a recovery goes on, searched: its database, keys, mail, log and memory, and that of the Redis that
//! counts its limits, hold neither the key that the guardians share nor the requester's, with too few parts, with enough before
//! the release, after a veto, and after the release.

use std::{fs, process::Stdio, time::Duration};

use ocmt::{
    canary::{Marks, Place, search},
    local::wait_for,
};
use ocmt_client::{
    Client,
    auth::Purpose,
    recovery::{CeremonyState, SetState, Side},
    vault::Vault,
};
use ocmt_crypto::{
    guardian::{Delays, Plan, Seat, deal},
    slot::{NewSlot, RecoveryKey},
};
use ocmt_proto::v1 as pb;
use ocmt_testkit::{Person, TestNode, ports};
use ocmt_types::{Clock as _, Digest32, GuardianSetId, IdGen, RandomIds, SystemClock};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::delays;

const PASSPHRASE: &str = "violin ledger umbrella quartz";
const PATIENCE: Duration = Duration::from_secs(120);
/// Long enough to approve and look around before the release, and to see one.
const DELAYS: Delays = Delays { lock_ms: 45_000, recovery_ms: 40_000, ..delays::SHORT };

/// Where the limits are counted. What it does not count in time is refused, and done at another try.
struct Redis {
    process: Child,
    url: String,
    _folder: TempDir,
}

impl Redis {
    fn start() -> Self {
        let folder = TempDir::with_prefix("ocmt-redis.").unwrap();
        let port = ports::unused().unwrap().to_string();
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server: run tests/scripts/install.sh test");
        Self { process, url: format!("redis://127.0.0.1:{port}"), _folder: folder }
    }

    fn memory(&self) -> Place {
        Place::Process(self.process.id().unwrap())
    }
}

/// An owner whose vault two of three guard, and the key that they share.
struct Circle {
    redis: Redis,
    node: TestNode,
    owner: Person,
    guards: Vec<(Person, Vault)>,
    shared: RecoveryKey,
}

impl Circle {
    async fn dealt() -> Self {
        let redis = Redis::start();
        let node = TestNode::start_with(|config| config.redis.url.clone_from(&redis.url)).await.unwrap();
        let owner = node.person("ada").await.unwrap();
        let vault = owner.vault(PASSPHRASE).await.unwrap();
        delays::are_short(&owner).await;
        let mut guards = Vec::new();
        for name in ["grace", "hedy", "joan"] {
            let guard = node.person(name).await.unwrap();
            let own = guard.vault(PASSPHRASE).await.unwrap();
            let asked = vault.invite_guardian(&guard.email, 1).await.unwrap();
            let came = async || guard.client.guardianship(asked.id, Side::Guardian).await.ok();
            wait_for(PATIENCE, came).await.expect("the invitation did not come");
            own.accept_guardianship(asked.id).await.unwrap();
            guards.push((guard, own));
        }
        let shared = deal_by_hand(&owner, &vault).await;
        let active = async || {
            owner.client.circle(None).await.ok().flatten().filter(|set| set.state == SetState::Active)
        };
        wait_for(PATIENCE, active).await.expect("the units did not arrive");
        Self { redis, node, owner, guards, shared }
    }

    /// Opened in a session of its own: with the ceremony, what that device alone has.
    async fn opened(&self, device: &str) -> (Client, Digest32, Vec<u8>) {
        let pending = self.node.local().client().await.unwrap();
        let pending = pending.request_link(&self.owner.email, None, Purpose::Recovery).await.unwrap();
        let link = self.node.link(&self.owner.email, "recovery link").await.unwrap();
        let client = pending.finish(&link, "e2e").await.unwrap();
        let state = self.node.device(device).unwrap();
        let open = async || client.open_ceremony(None, &state).await.ok();
        let id = wait_for(PATIENCE, open).await.expect("it cannot be opened").0.id();
        let text = fs::read(self.node.folder().join("devices").join(device).join("state.json")).unwrap();
        let kept: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let secret = kept["requests"][id.to_string()]["secret"].as_str().unwrap().to_owned();
        (client, id, data_encoding::HEXLOWER.decode(secret.as_bytes()).unwrap())
    }

    async fn approve(&self, n: usize, id: Digest32) {
        let (guard, vault) = &self.guards[n];
        wait_for(PATIENCE, async || guard.client.ceremony(id).await.ok()).await.expect("told");
        let review = vault.review_ceremony(id).await.unwrap();
        wait_for(PATIENCE, async || vault.approve_ceremony(&review).await.ok()).await.expect("not taken");
    }

    fn nothing_is_found(&self, requester: &[u8], when: &str) {
        let marks = [("the shared key", self.shared.expose().as_slice()), ("the requester's key", requester)];
        let places = [
            Place::Tree(self.node.folder().join("data")),
            Place::Tree(self.node.folder().join("mail")),
            Place::Tree(self.node.folder().join("node.log")),
            Place::Process(self.node.local().pid().unwrap()),
            self.redis.memory(),
        ];
        let report = search(&Marks::new(marks).unwrap(), &places).unwrap();
        assert!(report.findings.is_empty(), "{when}: {:?}", report.findings);
        assert!(report.bytes > 10 << 20, "only {} bytes were searched", report.bytes);
    }

    /// Redis has seen who is counted.
    async fn redis_is_asked(&self) {
        let session = self.guards[0].0.client.who_am_i().await.unwrap().session.unwrap().id.to_string();
        let marks = Marks::new([("a session", session.as_bytes())]).unwrap();
        let counted = async || {
            self.guards[0].0.client.who_am_i().await.unwrap();
            let found = search(&marks, &[self.redis.memory()]).unwrap().findings;
            (!found.is_empty()).then_some(())
        };
        wait_for(PATIENCE, counted).await.expect("Redis counts nothing");
    }
}

/// As the client deals, but for the key, which it drops.
async fn deal_by_hand(owner: &Person, vault: &Vault) -> RecoveryKey {
    let accepted = owner.client.guardianships(Some(Side::Owner)).await.unwrap();
    let ids: &dyn IdGen = &RandomIds;
    let id: GuardianSetId = ids.id();
    let plan = Plan {
        id,
        scope: vault.keys().scope(),
        owner_sealing: vault.keys().keyring().identity_seal.public(),
        threshold: 2,
        delays: DELAYS,
        seats: accepted
            .iter()
            .map(|one| Seat { guardianship: one.id, keys: one.keys.unwrap(), units: 1 })
            .collect(),
        dealt_at: SystemClock.now(),
        dev: true,
    };
    let dealt = deal(&plan, &vault.keys().keyring().identity_signing, &mut rand::rng()).unwrap();
    let mut edit = vault.keys().edit();
    edit.add_slot(&NewSlot::Recovery(&dealt.recovery_key), &mut rand::rng()).unwrap();
    let change = edit.finish().unwrap();
    let units = dealt.units.into_iter().map(|units| pb::DealtUnits {
        guardianship_id: units.guardianship.to_string(),
        sealed_units: units.sealed.into(),
    });
    let request = pb::DealSharesRequest {
        vault_id: vault.id().to_string(),
        set_id: id.to_string(),
        signed_set: dealt.signed_set.into(),
        units: units.collect(),
        recovery_slot: change.added_slots[0].clone().into(),
        manifest: change.manifest.into(),
        idempotency_key: vec![7; 16].into(),
    };
    let deal = async || owner.client.recovery().deal_shares(request.clone()).await.ok();
    wait_for(PATIENCE, deal).await.expect("it was not dealt");
    dealt.recovery_key
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nodes_database_keys_and_memory_hold_nothing_that_opens_the_vault_while_a_recovery_goes_on() {
    let circle = Circle::dealt().await;
    let (_, vetoed, secret) = circle.opened("first").await;
    circle.approve(0, vetoed).await;
    circle.redis_is_asked().await;
    circle.nothing_is_found(&secret, "with a part too few");
    circle.approve(1, vetoed).await;
    circle.nothing_is_found(&secret, "before the release");
    circle.owner.client.veto_ceremony(vetoed).await.unwrap();
    circle.nothing_is_found(&secret, "after the veto");
    let (client, id, secret) = circle.opened("second").await;
    circle.approve(0, id).await;
    circle.approve(2, id).await;
    let released = async || client.ceremony(id).await.ok().filter(|one| one.state == CeremonyState::Released);
    wait_for(PATIENCE, released).await.expect("it is not released");
    let ask = pb::CollectSharesRequest { ceremony_id: id.0.to_vec().into() };
    let collect = async || client.recovery().collect_shares(ask.clone()).await.ok();
    wait_for(PATIENCE, collect).await.expect("it was not collected");
    circle.nothing_is_found(&secret, "after it was collected");
}
