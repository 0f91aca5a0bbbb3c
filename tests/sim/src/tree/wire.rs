//! Calls between machines over the simulated network. What crosses it is the number of a parcel, both ways;
//! the parcel itself lies in the world, and is taken out by whom its number has reached. So what is lost,
//! delayed and cut off is what a packet would be, and nothing has to be written as bytes for it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ocmt_actors::ActorError;
use ocmt_types::TenantId;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};
use turmoil::net::TcpStream;

use super::{
    ask::{Answer, Ask},
    world::Tree,
};

/// A connection is made within this, or not at all.
const CONNECT: Duration = Duration::from_millis(700);

/// What is sent.
pub(crate) enum Parcel {
    /// A person's call, and how often it was handed on.
    Ask(Box<Ask>, u8, Duration),
    /// A letter to a tenant of the other node.
    Letter(TenantId, Vec<u8>, Duration),
    /// An order to the other host.
    Order(Vec<u8>, Duration),
    /// What came of an [`Parcel::Ask`].
    Answered(Box<Result<Answer, ActorError>>),
    /// What came of the others.
    Replied(Result<Vec<u8>, ActorError>),
}

/// What is on its way. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Parcels(Arc<Mutex<(u64, BTreeMap<u64, Parcel>)>>);

impl Parcels {
    /// Sends one off, under this number.
    pub(crate) fn put(&self, parcel: Parcel) -> u64 {
        let mut parcels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parcels.0 += 1;
        let number = parcels.0;
        parcels.1.insert(number, parcel);
        number
    }

    /// The one of this number, once.
    pub(crate) fn take(&self, number: u64) -> Option<Parcel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&number)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// It did not leave.
    Unsent,
    /// It left, and nothing came back.
    Lost,
}

impl Tree {
    /// Sends a parcel and waits for the one that comes back.
    pub(crate) async fn call(
        &self,
        addr: &str,
        parcel: Parcel,
        within: Duration,
    ) -> Result<Parcel, NoAnswer> {
        let connected = timeout(CONNECT.min(within), TcpStream::connect(addr)).await;
        let Ok(Ok(mut stream)) = connected else { return Err(NoAnswer::Unsent) };
        let number = self.parcels.put(parcel);
        let exchange = async {
            stream.write_all(&number.to_be_bytes()).await?;
            stream.read_u64().await
        };
        match timeout(within, exchange).await {
            Ok(Ok(back)) => self.parcels.take(back).ok_or(NoAnswer::Lost),
            Ok(Err(_)) | Err(_) => Err(NoAnswer::Lost),
        }
    }
}
