//! The face that is open: so that the other cases fail for what they name, not for how they are built.
#![allow(dead_code)]
use ocmt_actors::{ActorError, Caller, CallMeta, System, api::auth::WhoAmI};

async fn ask(system: &System, caller: Caller, meta: CallMeta) -> Result<String, ActorError> {
    let me = system.tenant(caller.tenant()).call(caller, meta, WhoAmI).await?;
    Ok(me.email)
}
