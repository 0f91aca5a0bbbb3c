//! Admissions of what is asked of a container's cell. None is stored for repeats: the cell itself takes one
//! payload, and the rest has the same effect twice.

use super::{About, Admission, load, load_free};
use crate::{
    api::container::{
        CellKeyStated, ConnectGateway, ExplainIdle, ExtendUnlock, GetCellKey, IdleExplained, LockCell,
        UnlockCell, Unlocked,
    },
    authorize::Action,
    call::{Repeat, Reply},
    error::ActorError,
    host::{
        container::row::spec_of,
        gateway::{Connected, Ticket, Way},
        message::{At, JobKind, What},
    },
    ports::{CellUnlock, LockReason},
    tenant::{
        group_vault::unlock as group_unlock,
        vault::{ground, read},
    },
    work::Work,
};

const MAX_PAYLOAD: usize = 256 * 1024;
const MAX_OBJECTS: usize = 256;
const MAX_EXTENSION: usize = 1024;

macro_rules! asked {
    ($request:ty, $pass:ty, $reply:ty, $order:expr, $self:ident, $work:ident => $admit:block) => {
        impl Admission for $request {
            type Pass = $pass;
            const REPEAT: Repeat = Repeat::Runs;
            fn store(_: &$pass) -> Option<Vec<u8>> {
                None
            }
            fn stored(_: &[u8]) -> Option<$pass> {
                None
            }
            // none is ever stored
            async fn again(pass: $pass, _: &mut Work) -> Result<$pass, ActorError> {
                Ok(pass)
            }
            fn order(pass: $pass, about: About, reply: Reply<$reply>) -> (At, What) {
                let order: fn($pass, About, Reply<$reply>) -> (At, What) = $order;
                order(pass, about, reply)
            }
            async fn admit($self, $work: &mut Work) -> Result<$pass, ActorError> $admit
        }
    };
}

pub(super) use asked;

asked!(ExplainIdle, At, IdleExplained, |at, _, reply| (at, What::Explain(reply)), self, work => {
    Ok((&load(work, Action::ReadContainer, self.container).await?).into())
});

asked!(
    GetCellKey, At, CellKeyStated,
    |at, about, reply| (at, about.job(JobKind::Key(reply))),
    self, work => { Ok((&load_free(work, Action::EnterContainer, self.container).await?).into()) }
);

asked!(
    UnlockCell, (At, CellUnlock), Unlocked,
    |(at, unlock), about, reply| (at, about.job(JobKind::Unlock(unlock, reply))),
    self, work => {
        if self.sealed_payload.len() > MAX_PAYLOAD {
            return Err(ActorError::invalid("sealed_payload", "is longer than 256 KiB"));
        }
        if self.objects.len() > MAX_OBJECTS {
            return Err(ActorError::invalid("objects", "are more than 256"));
        }
        let row = load_free(work, Action::EnterContainer, self.container).await?;
        let vault = ground::load(work, Action::ReadVault, Some(self.vault)).await?;
        // the vault of the container's own user and of nobody else
        if vault.owner_user != Some(row.user_id) {
            return Err(ActorError::NotFound);
        }
        work.object = format!("container/{}", row.container_id);
        group_unlock::refuse_entry(work, row.container_id).await?;
        let mut objects = Vec::with_capacity(self.objects.len());
        for (id, version) in self.objects {
            let object = read::object(work, vault.vault_id, id).await?.ok_or(ActorError::NotFound)?;
            if object.version != version {
                let why = "a mapped entry has another version by now: read the vault again";
                return Err(ActorError::precondition("VERSION_CHANGED", why));
            }
            objects.push((id, version, object.body));
        }
        work.details.push(("objects".to_owned(), objects.len().to_string()));
        work.details.push(("unlock".to_owned(), self.unlock.to_string()));
        let unlock =
            CellUnlock { unlock: self.unlock, sealed_payload: self.sealed_payload, together: false, objects };
        Ok(((&row).into(), unlock))
    }
);

asked!(
    ExtendUnlock, (At, Vec<u8>), Unlocked,
    |(at, extension), about, reply| (at, about.job(JobKind::Extend(extension, reply))),
    self, work => {
        if self.extension.len() > MAX_EXTENSION {
            return Err(ActorError::invalid("extension", "is longer than 1024 bytes"));
        }
        let row = load_free(work, Action::EnterContainer, self.container).await?;
        group_unlock::refuse_entry(work, row.container_id).await?;
        // a lease that is over is not worth a wake
        if row.unlocked_until.is_none_or(|until| until <= work.now) {
            return Err(ActorError::precondition("VAULT_LOCKED", "the cell is locked: unlock it"));
        }
        Ok(((&row).into(), self.extension))
    }
);

asked!(
    LockCell, At, (),
    |at, _, reply| (at, What::Lock(LockReason::User, Some(reply))),
    self, work => { Ok((&load(work, Action::EnterContainer, self.container).await?).into()) }
);

asked!(
    ConnectGateway, (At, Ticket, Way), Connected,
    |(at, ticket, way), about, reply| (at, about.job(JobKind::Connect(Box::new(ticket), way, reply))),
    self, work => {
        let row = load_free(work, Action::EnterContainer, self.container).await?;
        if self.way == Way::Plain {
            work.details.push(("way".to_owned(), "plain".to_owned()));
            work.of_stream = self.told;
            if !spec_of(&row)?.gateway_plain {
                return Err(ActorError::precondition(
                    "PLAIN_NOT_CHOSEN",
                    "the container was made without plain proxying: use the sealed channel",
                ));
            }
        }
        Ok(((&row).into(), self.ticket, self.way))
    }
);
