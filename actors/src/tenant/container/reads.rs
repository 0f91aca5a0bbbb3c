//! Containers as their rows show them, and the token of the gateway.

use ocmt_crypto::gateway_token::{self, GatewayClaims};
use ocmt_store::{
    Filter,
    tables::{Container, ContainerState},
};
use ocmt_types::{Secret, Timestamp};

use super::load;
use crate::{
    api::container::{
        ContainerExit, ContainerInfo, ContainerPage, GatewayToken, GetContainer, IssueGatewayToken,
        ListContainers,
    },
    authorize::{Action, Object, Role},
    env::Env,
    error::ActorError,
    host::{
        container::{row::spec_of, unsealed},
        gateway_key, remote,
    },
    ports::HostStanding,
    work::{Handle, Work},
};

const PAGE: u32 = 50;
const LONGEST_PAGE: u32 = 100;
const TOKEN_MS: u128 = 15 * 60 * 1000;
const SHORTEST_TOKEN_MS: u128 = 10_000;

/// A container for those who may see it.
pub(crate) fn info(env: &Env, row: &Container) -> Result<ContainerInfo, ActorError> {
    let live = matches!(
        row.observed,
        ContainerState::Running | ContainerState::Pausing | ContainerState::Paused | ContainerState::Waking
    );
    let now = env.now();
    let host_is = if row.host_node == env.node {
        HostStanding::Answers
    } else {
        env.neighbours.standing(row.host_node)
    };
    let lost = (host_is == HostStanding::Forgotten).then(|| remote::container_lost().to_string());
    Ok(ContainerInfo {
        id: row.container_id,
        user: row.user_id,
        state: if lost.is_some() { ContainerState::Failed } else { row.observed },
        host_is,
        spec: spec_of(row)?,
        generation: u64::try_from(row.generation).unwrap_or(0),
        host: row.host_node,
        runtime: env.runtime.kind(),
        unlocked_until: row.unlocked_until.filter(|until| live && *until > now),
        created_at: row.created_at,
        state_since: row.updated_at,
        active_at: row.active_at,
        exit: row.exited_at.map(|at| ContainerExit { code: row.exit_code, out_of_memory: row.exit_oom, at }),
        failure: lost.or_else(|| row.failure.clone()),
        unsealed: unsealed(row),
    })
}

impl Handle for GetContainer {
    async fn handle(self, work: &mut Work) -> Result<ContainerInfo, ActorError> {
        let row = load(work, Action::ReadContainer, self.container).await?;
        info(&work.env, &row)
    }
}

impl Handle for ListContainers {
    async fn handle(self, work: &mut Work) -> Result<ContainerPage, ActorError> {
        let own = work.person()?;
        let all = work.standing.role.is_some_and(|role| role >= Role::Admin);
        let user = match self.user {
            Some(user) => Some(user),
            None if all => None,
            None => Some(own),
        };
        work.authorize(Action::ReadContainer, &user.map_or(Object::TENANT, Object::of))?;
        let limit = if self.limit == 0 { PAGE } else { self.limit.min(LONGEST_PAGE) };
        let filter = user.map_or(Filter::all(), |user| Container::user_id.eq(user));
        let rows = match self.after {
            Some(after) => work.tx.find::<Container>(filter.after(&after).limit(limit)).await?,
            None => work.tx.find::<Container>(filter.limit(limit)).await?,
        };
        let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(ContainerPage {
            next: rows.last().filter(|_| full).map(|row| row.container_id),
            containers: rows.iter().map(|row| info(&work.env, row)).collect::<Result<_, _>>()?,
        })
    }
}

impl Handle for IssueGatewayToken {
    async fn handle(self, work: &mut Work) -> Result<GatewayToken, ActorError> {
        let row = load(work, Action::EnterContainer, self.container).await?;
        let who = work.user()?;
        let life = self.lifetime.map_or(TOKEN_MS, |life| life.as_millis());
        let longest = u128::try_from(gateway_token::MAX_LIFE_MS).unwrap_or(0);
        if !(SHORTEST_TOKEN_MS..=longest).contains(&life) {
            return Err(ActorError::invalid("lifetime", "is not between 10 s and 1 h"));
        }
        // times of a token are whole seconds
        let issued_at = Timestamp(work.now.0.div_euclid(1000) * 1000);
        let life_ms = i64::try_from(life).unwrap_or(0) / 1000 * 1000;
        let claims = GatewayClaims {
            container: row.container_id,
            tenant: row.tenant_id,
            user: who.user,
            session: who.session,
            issued_at,
            expires_at: Timestamp(issued_at.0 + life_ms),
        };
        let token = gateway_token::issue(&claims, &gateway_key::signing_key(&work.env)?, &mut rand::rng())
            .map_err(|error| ActorError::invalid("lifetime", error.to_string()))?;
        Ok(GatewayToken { token: Secret::new(token), expires_at: claims.expires_at })
    }
}
