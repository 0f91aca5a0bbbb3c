//! Two ends of a channel for the tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ocmt_types::{ChannelId, ContainerId, Id as _, TenantId, UnlockId};
use rand::{SeedableRng as _, rngs::StdRng};

use crate::seal::{SealPublicKey, SealSecretKey};

use super::{CellChannel, CellChannels, ChannelPlace, ClientChannel, Event, Message, Step, StreamKind};

pub(super) fn place() -> ChannelPlace {
    ChannelPlace {
        tenant: TenantId::from_bytes([1; 16]),
        container: ContainerId::from_bytes([2; 16]),
        generation: 3,
        unlock: UnlockId::from_bytes([4; 16]),
    }
}

/// Keys of a user and a cell, and the cell's door.
pub(super) struct World {
    pub(super) rng: StdRng,
    pub(super) user: SealSecretKey,
    pub(super) cell_key: SealPublicKey,
    pub(super) cell: CellChannels,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let (user, cell) = (SealSecretKey::generate(&mut rng), SealSecretKey::generate(&mut rng));
        Self {
            user: user.duplicate(),
            cell_key: cell.public(),
            cell: CellChannels::new(place(), cell, user.public()),
            rng,
        }
    }

    /// A Hello with the channel's id made of one byte.
    pub(super) fn hello(&mut self, id: u8, stream: &StreamKind) -> (ClientChannel, Vec<u8>) {
        let id = ChannelId::from_bytes([id; 16]);
        ClientChannel::open(&place(), id, &self.cell_key, &self.user, stream.clone(), &mut self.rng).unwrap()
    }

    /// Both ends after a whole handshake.
    pub(super) fn open(&mut self) -> (ClientChannel, CellChannel) {
        let (mut client, hello) = self.hello(9, &tail());
        let (mut cell, accept) = self.cell.accept(&hello, &mut self.rng).unwrap();
        let step = client.feed(&accept).unwrap();
        assert_eq!(step.events, [Event::Open(tail())]);
        let step = cell.feed(&step.frames[0]).unwrap();
        assert_eq!(step.events, [Event::Open(tail())]);
        (client, cell)
    }
}

pub(super) fn tail() -> StreamKind {
    StreamKind::Exec { argv: vec!["tail".into(), "-f".into(), "notes".into()], tty: true }
}

/// The bytes of all data in a step.
pub(super) fn data(step: &Step) -> Vec<u8> {
    step.events.iter().filter_map(data_of).flatten().copied().collect()
}

fn data_of(event: &Event) -> Option<&Vec<u8>> {
    match event {
        Event::Message(Message::Data(_, bytes)) => Some(bytes),
        _ => None,
    }
}
