//! A whole conversation of a sealed channel, with a lost connection in the middle.

use ocmt_types::{ChannelId, ContainerId, Id as _, TenantId, UnlockId};
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::{
    channel::{CellChannels, ChannelPlace, ClientChannel, CloseReason, Event, Lane, Message, StreamKind},
    seal::{SealPublicKey, SealSecretKey},
};

use super::{array, bytes, hex, list};

fn place() -> ChannelPlace {
    ChannelPlace {
        tenant: TenantId::from_bytes([1; 16]),
        container: ContainerId::from_bytes([2; 16]),
        generation: 3,
        unlock: UnlockId::from_bytes([7; 16]),
    }
}

fn stream() -> StreamKind {
    StreamKind::Exec { argv: vec!["tail".into(), "-f".into(), "notes".into()], tty: true }
}

/// What the client says, in order.
fn said() -> [Message; 3] {
    [Message::Resize { rows: 24, cols: 80 }, Message::Data(Lane::Main, b"hello".to_vec()), Message::Eof]
}

/// What the cell answers.
fn answered() -> [Message; 3] {
    [Message::Data(Lane::Main, b"hello".to_vec()), Message::Exit(0), Message::Close(CloseReason::Done)]
}

pub(super) fn make(rng: &mut StdRng) -> Value {
    let (user, cell_key) = (SealSecretKey::generate(rng), SealSecretKey::generate(rng));
    let id = ChannelId::from_bytes([8; 16]);
    let (mut client, hello) =
        ClientChannel::open(&place(), id, &cell_key.public(), &user, stream(), rng).unwrap();
    let mut door = CellChannels::new(place(), cell_key.duplicate(), user.public());
    let (mut cell, accept) = door.accept(&hello, rng).unwrap();
    let confirm = client.feed(&accept).unwrap().frames.remove(0);
    cell.feed(&confirm).unwrap();
    let [resize, _, eof] = said();
    let from_client =
        [client.send(&resize).unwrap(), client.send_data(b"hello").unwrap(), client.send(&eof).unwrap()]
            .concat();
    // the first record arrives, the others are lost with their connection and sent again
    cell.feed(&from_client[0]).unwrap();
    client.detach();
    cell.detach();
    let resume = client.resume().unwrap();
    let resumed = cell.feed(&resume).unwrap().frames.remove(0);
    assert_eq!(client.feed(&resumed).unwrap().frames, from_client[1..]);
    from_client[1..].iter().for_each(|frame| drop(cell.feed(frame).unwrap()));
    let [_, exit, close] = answered();
    let from_cell = [
        cell.send_data(Lane::Main, b"hello").unwrap(),
        cell.send(&exit).unwrap(),
        cell.send(&close).unwrap(),
    ]
    .concat();
    let acks: Vec<_> = from_cell.iter().flat_map(|frame| client.feed(frame).unwrap().frames).collect();
    json!({
        "tenant": hex(place().tenant.as_bytes()),
        "container": hex(place().container.as_bytes()),
        "generation": 3,
        "unlock": hex(place().unlock.as_bytes()),
        "channel": hex(id.as_bytes()),
        "stream": "exec with a terminal: tail, -f, notes",
        "user_secret_key": hex(user.expose()),
        "user_public_key": hex(user.public().0),
        "cell_secret_key": hex(cell_key.expose()),
        "cell_public_key": hex(cell_key.public().0),
        "hello": hex(&hello),
        "fresh": hex(&accept[17..49]),
        "accept": hex(&accept),
        "confirm": hex(&confirm),
        "said": ["resize to 24 rows, 80 columns", "data 'hello'", "eof"],
        "from_client": from_client.iter().map(hex).collect::<Vec<_>>(),
        "resume_after_the_first_record": hex(&resume),
        "resumed": hex(&resumed),
        "answered": ["data 'hello'", "exit 0", "close, done"],
        "from_cell": from_cell.iter().map(hex).collect::<Vec<_>>(),
        "ack_of_the_close": hex(&acks[0]),
    })
}

/// A generator that gives given bytes: the cell's fresh ones.
struct Given([u8; 32]);

impl rand::rand_core::TryRng for Given {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_be_bytes([self.0[0], self.0[1], self.0[2], self.0[3]]))
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.try_next_u32().map(u64::from)
    }
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
        dst.copy_from_slice(&self.0);
        Ok(())
    }
}

impl rand::rand_core::TryCryptoRng for Given {}

pub(super) fn check(v: &Value) {
    let cell_key = SealSecretKey::from_bytes(array(v, "cell_secret_key"));
    let mut door = CellChannels::new(place(), cell_key, SealPublicKey(array(v, "user_public_key")));
    let (mut cell, accept) = door.accept(&bytes(v, "hello"), &mut Given(array(v, "fresh"))).unwrap();
    assert_eq!(accept, bytes(v, "accept"));
    assert_eq!(cell.feed(&bytes(v, "confirm")).unwrap().events, [Event::Open(stream())]);
    let from_client = list(v, "from_client");
    let mut heard = cell.feed(&from_client[0]).unwrap().events;
    let step = cell.feed(&bytes(v, "resume_after_the_first_record")).unwrap();
    assert_eq!((step.events, step.frames), (vec![Event::Resumed], vec![bytes(v, "resumed")]));
    for frame in &from_client[1..] {
        heard.extend(cell.feed(frame).unwrap().events);
    }
    assert_eq!(heard, said().map(Event::Message));

    let [_, exit, close] = answered();
    let from_cell = [
        cell.send_data(Lane::Main, b"hello").unwrap(),
        cell.send(&exit).unwrap(),
        cell.send(&close).unwrap(),
    ]
    .concat();
    assert_eq!(from_cell, list(v, "from_cell"));
    assert!(!cell.is_finished());
    cell.feed(&bytes(v, "ack_of_the_close")).unwrap();
    assert!(cell.is_finished());
}
