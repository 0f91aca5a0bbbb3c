//! The way into a workload, beside the container's other work: it may take its time until it serves its port.

use std::{sync::Arc, time::Duration};

use ocmt_types::Secret;
use ractor::ActorRef;
use tokio::sync::watch;

use super::{
    ContainerMessage, Shared,
    cell::{self, Cell},
    relay::Relay,
};
use crate::{
    call::Reply,
    env::Env,
    error::ActorError,
    host::gateway::{Connected, Gateway, GatewayEnd},
    ports::CellChannel,
};

/// Longer than the cell itself waits for its workload.
const OPEN: Duration = Duration::from_secs(45);

/// Who waits for it, and with what.
pub(super) struct Opening {
    pub(super) env: Arc<Env>,
    pub(super) cell: Arc<Cell>,
    pub(super) shared: Arc<Shared>,
    /// What its client has shown.
    pub(super) token: Option<Secret<String>>,
    pub(super) actor: ActorRef<ContainerMessage>,
    pub(super) over: watch::Receiver<Option<GatewayEnd>>,
    pub(super) reply: Reply<Connected>,
}

impl Opening {
    /// Opens it, answers, and relays until something ends that.
    pub(super) async fn run(self, relay: Relay, gateway: Gateway) {
        let Self { env, cell, shared, token, actor, mut over, mut reply } = self;
        let opened = {
            // whoever waits for the workload waits for it awake
            let _owed = shared.owe();
            tokio::select! {
                biased;
                _ = over.wait_for(Option::is_some) => Err(ActorError::unavailable(
                    "CONTAINER_STOPPED",
                    "the container was locked or stopped meanwhile",
                )),
                () = reply.abandoned() => Err(ActorError::DeadlineExceeded),
                opened = open(&env, &cell, token) => opened,
            }
        };
        match opened {
            Ok(channel) => {
                reply.send(Ok(Connected(gateway)));
                relay.run(channel).await;
            }
            Err(error) => {
                let doubtful = cell::raises_doubt(&error);
                reply.send(Err(error));
                relay.give_up();
                if doubtful {
                    let _ = actor.cast(ContainerMessage::Doubt(None));
                }
            }
        }
    }
}

/// The cell looks at the token itself: the way there may have been long, and was not its own.
async fn open(env: &Env, cell: &Cell, token: Option<Secret<String>>) -> Result<CellChannel, ActorError> {
    let token = token.ok_or_else(|| {
        ActorError::precondition(
            "ORDER_UNKNOWN",
            "the node that let this connection in sends no gateway token: finish its upgrade",
        )
    })?;
    cell::within(OPEN, env.cells.open_plain(&cell.target, cell.pass(env, token)?)).await
}
