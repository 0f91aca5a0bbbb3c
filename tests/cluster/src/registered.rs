//! Tenants by the thousand, written straight into the database, and somebody in each who asks who they are.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ocmt_client::connect::{Bearer, Credential};
use ocmt_crypto::token::{Token, TokenKind};
use ocmt_proto::v1::{self as pb, auth_service_client::AuthServiceClient};
use ocmt_types::{Clock as _, IdGen, RandomIds, SystemClock, TenantId, UserId};
use sqlx::postgres::PgPool;
use tokio::task::JoinSet;

use crate::{doors::Doors, history::History, postgres::hex};

const DAY_MS: i64 = 86_400_000;

/// A tenant with one user, who is signed in.
pub struct Registered {
    /// The tenant's id in hex, as [`owned_by`] tells it.
    pub tenant: String,
    /// The user's session.
    pub bearer: Bearer,
    /// When they were answered.
    pub history: History,
}

/// Registers that many tenants; with an owner each if there are `owners` (node id and incarnation, hex).
///
/// # Errors
/// The database.
pub async fn register(
    pool: &PgPool,
    count: usize,
    owners: &[(String, String)],
) -> anyhow::Result<Vec<Arc<Registered>>> {
    let mut tx = pool.begin().await?;
    let mut all = Vec::with_capacity(count);
    let ids: &dyn IdGen = &RandomIds;
    for number in 0..count {
        let (tenant, user): (TenantId, UserId) = (ids.id(), ids.id());
        let token = Token::issue(TokenKind::Session, tenant, &mut rand::rng());
        let now = SystemClock.now().millis();
        sqlx::query(
            "INSERT INTO tenants (tenant_id, name, state, policy, version, created_at) \
             VALUES ($1, 'a tenant', 'active', '', 1, $2)",
        )
        .bind(tenant.as_bytes().as_slice())
        .bind(now)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO users (tenant_id, user_id, email, display_name, role, state, created_at) \
             VALUES ($1, $2, $3, '', 'owner', 'active', $4)",
        )
        .bind(tenant.as_bytes().as_slice())
        .bind(user.as_bytes().as_slice())
        .bind(format!("{tenant}@cluster.example"))
        .bind(now)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO sessions (tenant_id, session_id, user_id, token_hash, assurance, client, created_at, \
             authenticated_at, seen_at, idle_expires_at, expires_at) \
             VALUES ($1, $2, $3, $4, 'link', '', $5, $5, $5, $6, $6)",
        )
        .bind(tenant.as_bytes().as_slice())
        .bind(rand::random::<[u8; 16]>().as_slice())
        .bind(user.as_bytes().as_slice())
        .bind(token.hash().0.as_slice())
        .bind(now)
        .bind(now + DAY_MS)
        .execute(&mut *tx)
        .await?;
        // without an owner it is anybody's to claim
        let (node, incarnation) = owners.get(number % owners.len().max(1)).cloned().unzip();
        let owner = "INSERT INTO tenant_owner (tenant_id, node_id, incarnation, epoch) \
                     VALUES ($1, decode($2, 'hex'), decode($3, 'hex'), 1)";
        let owner = sqlx::query(owner).bind(tenant.as_bytes().as_slice()).bind(node).bind(incarnation);
        owner.execute(&mut *tx).await?;
        all.push(Arc::new(Registered {
            tenant: hex(tenant.as_bytes()),
            bearer: Bearer(Some(Credential::new(token.expose().to_owned()))),
            history: History::default(),
        }));
    }
    tx.commit().await?;
    Ok(all)
}

/// The tenants of an incarnation, in hex.
///
/// # Errors
/// The database.
pub async fn owned_by(pool: &PgPool, incarnation: &str) -> anyhow::Result<Vec<String>> {
    let query = "SELECT encode(tenant_id, 'hex') FROM tenant_owner WHERE encode(incarnation, 'hex') = $1";
    Ok(sqlx::query_scalar(query).bind(incarnation).fetch_all(pool).await?)
}

/// One call of the tenant's user through `door` or, if that does not answer, another; recorded.
pub async fn ask(registered: &Registered, doors: &Doors, door: usize) -> bool {
    let asked = doors
        .ask(door, &registered.bearer, |way| async move {
            AuthServiceClient::new(way).who_am_i(pb::WhoAmIRequest {}).await
        })
        .await;
    let answered = asked.answer.is_ok();
    registered.history.note(|seen| {
        seen.times.push(asked.timed);
        seen.again.extend(asked.again);
        if let Err(status) = asked.answer {
            seen.wrong.push(format!("{:?}: {}", status.code(), status.message()));
        }
    });
    answered
}

/// Callers at work until they are told to stop.
pub struct Callers {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Callers {
    /// `callers` that go over all tenants, each with `pause` between two calls, through random doors.
    pub fn start(all: &[Arc<Registered>], doors: &Doors, callers: usize, pause: Duration) -> Self {
        let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let all: Arc<[Arc<Registered>]> = all.into();
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            let (all, doors, stop, next) = (all.clone(), doors.clone(), stop.clone(), next.clone());
            tasks.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let turn = next.fetch_add(1, Ordering::SeqCst) % all.len();
                    ask(&all[turn], &doors, rand::random_range(0..doors.count())).await;
                    tokio::time::sleep(pause).await; // why: the pace of the load
                }
            });
        }
        Self { stop, tasks }
    }

    /// Lets the calls on their way end.
    pub async fn stop(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        while self.tasks.join_next().await.is_some() {}
    }
}
