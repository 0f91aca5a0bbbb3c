//! Acts in two steps: what would be gone is shown, then asked for.

use ocmt_proto::v1 as pb;

use super::{
    At,
    connect::{Operator, key, refused},
};
use crate::cli::{
    args::RemoveArgs,
    output::{confirm, note},
    show,
};

/// Shows what the act would do, asks unless `yes`, and gives the token for it; none if the answer was no.
pub(super) async fn confirmed(
    operator: &Operator,
    act: pb::DestructiveAct,
    object: &impl std::fmt::Display,
    yes: bool,
) -> anyhow::Result<Option<String>> {
    let mut acts = operator.operators();
    let request = pb::BeginDestructiveActRequest {
        act: act.into(),
        object_id: object.to_string(),
        idempotency_key: key(),
    };
    let begun = acts.begin_destructive_act(request).await.map_err(refused)?.into_inner();
    if !yes {
        note(&begun.summary);
        if !confirm("Go on?", "--yes")? {
            note("nothing was done");
            return Ok(None);
        }
    }
    let request = pb::ConfirmDestructiveActRequest {
        act_id: begun.act_id,
        confirm_phrase: begun.confirm_phrase,
        idempotency_key: key(),
    };
    let answer = acts.confirm_destructive_act(request).await.map_err(refused)?.into_inner();
    Ok(Some(answer.confirmation_token))
}

pub(super) async fn revoke(at: &At, args: &RemoveArgs) -> anyhow::Result<()> {
    let operator = Operator::connect(at, &args.operator).await?;
    let act = pb::DestructiveAct::RevokeNode;
    let Some(confirmation_token) = confirmed(&operator, act, &args.node, args.yes).await? else {
        return Ok(());
    };
    let request =
        pb::RevokeNodeRequest { node_id: args.node.to_string(), confirmation_token, idempotency_key: key() };
    let answer = operator.cluster().revoke_node(request).await.map_err(refused)?.into_inner();
    let generation = answer.sealing_generation;
    at.out.value(&serde_json::json!({ "sealing_generation": generation }), || {
        format!("node {} is refused everywhere; sealing key generation {generation}", args.node)
    })
}

pub(super) async fn forget(at: &At, args: &RemoveArgs) -> anyhow::Result<()> {
    let operator = Operator::connect(at, &args.operator).await?;
    let act = pb::DestructiveAct::ForgetNode;
    let Some(confirmation_token) = confirmed(&operator, act, &args.node, args.yes).await? else {
        return Ok(());
    };
    let request =
        pb::ForgetNodeRequest { node_id: args.node.to_string(), confirmation_token, idempotency_key: key() };
    let answer = operator.cluster().forget_node(request).await.map_err(refused)?.into_inner();
    let (generation, lost) = (answer.sealing_generation, answer.lost_containers);
    at.out.value(&serde_json::json!({ "sealing_generation": generation, "lost_containers": lost }), || {
        format!("node {} is struck off with {}", args.node, show::count(lost as usize, "container"))
    })
}
