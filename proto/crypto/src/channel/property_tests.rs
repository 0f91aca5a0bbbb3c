//! Whatever the network does: each side gets a prefix of what the other sent, all of it in the end, and
//! no counter ever carries two ciphertexts.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{HashMap, VecDeque};

use proptest::prelude::*;

use crate::CryptoError;

use super::{
    CellChannel, ClientChannel, Event, Lane, Message, Step,
    test_pair::{World, data},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    ToCell,
    ToClient,
}

/// What happens next.
#[derive(Debug, Clone)]
enum Act {
    Send(Way, usize),
    /// A message that is not data, another each time.
    Say(Way),
    Deliver(Way),
    /// The connection is lost with all that is on it; the client resumes.
    Cut,
    /// The first two frames on the way change places.
    Swap(Way),
    /// The first frame on the way is lost, the connection stays.
    Lose(Way),
    /// A bit of the first frame is flipped.
    Flip(Way, usize),
    /// Any frame that was ever sent is put in again, towards either side.
    Replay(Way, usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let way = || prop_oneof![Just(Way::ToCell), Just(Way::ToClient)];
    let act = prop_oneof![
        24 => (way(), 0_usize..400).prop_map(|(way, len)| Act::Send(way, len)),
        1 => (way(), 60_000_usize..140_000).prop_map(|(way, len)| Act::Send(way, len)),
        8 => way().prop_map(Act::Say),
        40 => way().prop_map(Act::Deliver),
        8 => Just(Act::Cut),
        4 => way().prop_map(Act::Swap),
        4 => way().prop_map(Act::Lose),
        4 => (way(), any::<usize>()).prop_map(|(way, bit)| Act::Flip(way, bit)),
        8 => (way(), any::<usize>()).prop_map(|(way, which)| Act::Replay(way, which)),
    ];
    proptest::collection::vec(act, 1..120)
}

struct Net {
    client: ClientChannel,
    cell: CellChannel,
    on_the_way: HashMap<Way, VecDeque<Vec<u8>>>,
    sent: HashMap<Way, Vec<u8>>,
    got: HashMap<Way, Vec<u8>>,
    said: HashMap<Way, Vec<Message>>,
    heard: HashMap<Way, Vec<Message>>,
    /// All frames ever handed out, for replays.
    history: Vec<Vec<u8>>,
    /// The record of each counter.
    records: HashMap<(Way, Vec<u8>), Vec<u8>>,
    fill: u8,
}

impl Net {
    fn new() -> Self {
        let (client, cell) = World::new(42).open();
        Self {
            client,
            cell,
            on_the_way: [(Way::ToCell, VecDeque::new()), (Way::ToClient, VecDeque::new())].into(),
            sent: HashMap::new(),
            got: HashMap::new(),
            said: HashMap::new(),
            heard: HashMap::new(),
            history: Vec::new(),
            records: HashMap::new(),
            fill: 0,
        }
    }

    fn put(&mut self, way: Way, frames: Vec<Vec<u8>>) {
        for frame in frames {
            if frame[0] == 4 {
                let first = self.records.entry((way, frame[1..9].to_vec())).or_insert_with(|| frame.clone());
                assert_eq!(*first, frame, "a counter was used for two ciphertexts");
            }
            self.history.push(frame.clone());
            self.on_the_way.get_mut(&way).unwrap().push_back(frame);
        }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Send(way, len) => self.send(way, len),
            Act::Say(way) => self.say(way),
            Act::Deliver(way) => {
                if let Some(frame) = self.queue(way).pop_front() {
                    self.feed(way, &frame);
                }
            }
            Act::Cut => self.cut(),
            Act::Swap(way) => {
                if self.queue(way).len() > 1 {
                    self.queue(way).swap(0, 1);
                }
            }
            Act::Lose(way) => drop(self.queue(way).pop_front()),
            Act::Flip(way, bit) => {
                if let Some(frame) = self.queue(way).front_mut() {
                    let bit = bit % (frame.len() * 8);
                    frame[bit / 8] ^= 1 << (bit % 8);
                }
            }
            Act::Replay(way, which) => {
                if !self.history.is_empty() {
                    let frame = self.history[which % self.history.len()].clone();
                    self.feed(way, &frame);
                }
            }
        }
    }

    fn queue(&mut self, way: Way) -> &mut VecDeque<Vec<u8>> {
        self.on_the_way.get_mut(&way).unwrap()
    }

    fn send(&mut self, way: Way, len: usize) {
        self.fill = self.fill.wrapping_add(1);
        let capacity = match way {
            Way::ToCell => self.client.capacity(),
            Way::ToClient => self.cell.capacity(),
        };
        let bytes = vec![self.fill; len.min(capacity)];
        let frames = match way {
            Way::ToCell => self.client.send_data(&bytes),
            Way::ToClient => self.cell.send_data(Lane::Main, &bytes),
        };
        self.sent.entry(way).or_default().extend(&bytes);
        self.put(way, frames.unwrap());
    }

    fn say(&mut self, way: Way) {
        let count = self.said.entry(way).or_default().len();
        let (message, frames) = match way {
            Way::ToCell => {
                let message = Message::Resize { rows: u16::try_from(count).unwrap(), cols: 80 };
                (message.clone(), self.client.send(&message))
            }
            Way::ToClient => {
                let message = Message::Exit(i32::try_from(count).unwrap());
                (message.clone(), self.cell.send(&message))
            }
        };
        match frames {
            Ok(frames) => {
                self.said.entry(way).or_default().push(message);
                self.put(way, frames);
            }
            Err(error) => assert_eq!(error, CryptoError::WindowFull),
        }
    }

    fn feed(&mut self, way: Way, frame: &[u8]) {
        let (fed, back) = match way {
            Way::ToCell => (self.cell.feed(frame), Way::ToClient),
            Way::ToClient => (self.client.feed(frame), Way::ToCell),
        };
        match fed {
            Ok(step) => {
                self.got.entry(way).or_default().extend(data(&step));
                self.heard.entry(way).or_default().extend(other_than_data(&step));
                let Step { frames, .. } = step;
                self.put(back, frames);
                let (sent, got) = (self.sent.entry(way).or_default(), self.got.entry(way).or_default());
                assert!(sent.starts_with(got), "what came is not what was sent");
            }
            Err(CryptoError::ChannelEnded) => panic!("the network ended the channel"),
            Err(_) => self.cut(),
        }
    }

    fn cut(&mut self) {
        self.on_the_way.values_mut().for_each(VecDeque::clear);
        self.client.detach();
        self.cell.detach();
        let resume = self.client.resume().unwrap();
        self.put(Way::ToCell, vec![resume]);
    }

    /// The network behaves from here on.
    fn heal(&mut self) {
        self.cut();
        while self.on_the_way.values().any(|queue| !queue.is_empty()) {
            self.act(&Act::Deliver(Way::ToCell));
            self.act(&Act::Deliver(Way::ToClient));
        }
    }
}

fn other_than_data(step: &Step) -> Vec<Message> {
    let messages = step.events.iter().filter_map(|event| match event {
        Event::Message(message) => Some(message.clone()),
        Event::Open(_) | Event::Resumed => None,
    });
    messages.filter(|message| !matches!(message, Message::Data(..))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_network_loses_doubles_or_alters_what_is_said(acts in acts()) {
        let mut net = Net::new();
        for act in &acts {
            net.act(act);
        }
        net.heal();
        for way in [Way::ToCell, Way::ToClient] {
            let (sent, got) = (net.sent.entry(way).or_default().clone(), net.got.entry(way).or_default());
            prop_assert!(sent == *got, "{way:?}: sent {} bytes, got {}", sent.len(), got.len());
            prop_assert_eq!(net.said.entry(way).or_default().clone(), net.heard.entry(way).or_default().clone());
        }
    }
}
