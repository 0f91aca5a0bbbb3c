//! Any entries, any order of operations: the vault holds what a plain map holds, and opens with exactly the
//! secrets that were not taken away.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;

use ocmt_crypto::{
    CryptoError,
    slot::{NewSlot, RecoveryKey},
    vault::{RotationMode, UnlockedVault},
};
use ocmt_types::SlotId;
use proptest::prelude::*;
use support::{Database, entry, fresh, name, refused};

const NAMES: [&str; 6] = ["a", "API_KEY", "caf\u{e9}", "mail/password", " spaced  out ", "\u{1f511}"];

#[derive(Debug, Clone)]
enum Step {
    Put(usize, Vec<u8>),
    Delete(usize),
    /// Several at once: all or nothing.
    Batch(Vec<(usize, Vec<u8>)>, Vec<usize>),
    AddSlot,
    RemoveSlot(usize),
    Rotate(bool),
    /// Another device, which has only a secret and what the node holds.
    Reopen(usize),
    /// An edit that is never sent.
    Abandon(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (which, value) = (0..NAMES.len(), proptest::collection::vec(any::<u8>(), 0..200));
    prop_oneof![
        6 => (which.clone(), value.clone()).prop_map(|(which, value)| Step::Put(which, value)),
        3 => which.clone().prop_map(Step::Delete),
        2 => (
            proptest::collection::vec((which.clone(), value), 0..4),
            proptest::collection::vec(which.clone(), 0..3),
        ).prop_map(|(puts, deletes)| Step::Batch(puts, deletes)),
        2 => Just(Step::AddSlot),
        2 => any::<usize>().prop_map(Step::RemoveSlot),
        2 => any::<bool>().prop_map(Step::Rotate),
        2 => any::<usize>().prop_map(Step::Reopen),
        1 => which.prop_map(Step::Abandon),
    ]
}

/// The vault under test beside what it must hold.
struct World {
    database: Database,
    vault: UnlockedVault,
    entries: BTreeMap<usize, Vec<u8>>,
    secrets: Vec<(SlotId, RecoveryKey)>,
    removed: Vec<RecoveryKey>,
}

impl World {
    fn new() -> Self {
        let (database, vault, key) = fresh();
        let id = vault.slots()[0].id();
        Self { database, vault, entries: BTreeMap::new(), secrets: vec![(id, key)], removed: Vec::new() }
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Put(which, value) => self.batch(&[(which, value)], &[]),
            Step::Delete(which) => self.batch(&[], &[which]),
            Step::Batch(puts, deletes) => self.batch(&puts, &deletes),
            Step::AddSlot => {
                let (rng, mut edit) = (&mut rand::rng(), self.vault.edit());
                let key = RecoveryKey::generate(rng);
                let id = edit.add_slot(&NewSlot::Recovery(&key), rng).unwrap();
                let change = edit.finish().unwrap();
                self.database.commit(&mut self.vault, change);
                self.secrets.push((id, key));
            }
            Step::RemoveSlot(which) => {
                let which = which % self.secrets.len();
                let mut edit = self.vault.edit();
                let removed = edit.remove_slot(self.secrets[which].0);
                if self.secrets.len() == 1 {
                    assert_eq!(removed, Err(CryptoError::LastSlot));
                    return;
                }
                removed.unwrap();
                let change = edit.finish().unwrap();
                self.database.commit(&mut self.vault, change);
                self.removed.push(self.secrets.remove(which).1);
            }
            Step::Rotate(true) => self.rotate(RotationMode::Rekey),
            Step::Rotate(false) => self.rotate(RotationMode::Rewrap),
            Step::Reopen(which) => {
                let key = &self.secrets[which % self.secrets.len()].1;
                self.vault = self.database.open_seen(key, Some(&self.vault.seen())).unwrap();
            }
            Step::Abandon(which) => {
                let mut edit = self.vault.edit();
                edit.put(&entry(NAMES[which], b"never sent"), &mut rand::rng()).unwrap();
                drop(edit.finish().unwrap());
            }
        }
    }

    /// The last word on a name counts; deleting what is not there is said and does nothing.
    fn batch(&mut self, puts: &[(usize, Vec<u8>)], deletes: &[usize]) {
        let (mut edit, mut after) = (self.vault.edit(), self.entries.clone());
        for (which, value) in puts {
            edit.put(&entry(NAMES[*which], value), &mut rand::rng()).unwrap();
            after.insert(*which, value.clone());
        }
        for which in deletes {
            let deleted = edit.delete(&name(NAMES[*which]));
            assert_eq!(deleted.is_ok(), after.remove(which).is_some(), "{deleted:?}");
        }
        // and a name that was deleted may be written again at once
        if let Some(which) = deletes.first().filter(|which| **which % 2 == 0) {
            edit.put(&entry(NAMES[*which], b"again"), &mut rand::rng()).unwrap();
            after.insert(*which, b"again".to_vec());
        }
        let change = edit.finish().unwrap();
        self.database.commit(&mut self.vault, change);
        self.entries = after;
    }

    fn rotate(&mut self, mode: RotationMode) {
        let rng = &mut rand::rng();
        let mut rotation = self.vault.begin_rotation(mode, &[], &[], rng).unwrap();
        let objects = self.database.objects.iter();
        let staged = objects.map(|(id, object)| (*id, rotation.convert(object, rng).unwrap())).collect();
        let (start, completed) = (rotation.start().clone(), rotation.finish().unwrap());
        self.database.switch(&mut self.vault, &start, staged, completed);
    }

    /// Every secret that is left opens the vault as the map says it is; no other does.
    fn check(&self) {
        for (_, key) in &self.secrets {
            let opened = self.database.open_seen(key, Some(&self.vault.seen())).unwrap();
            for (which, name) in NAMES.iter().enumerate() {
                let id = opened.entry_id(&support::name(name));
                let stored = self.database.objects.get(&id);
                let read = stored.map(|object| opened.open_entry(object).unwrap());
                let read = read.map(|entry| (entry.name.expose().to_owned(), entry.value.to_vec()));
                let expected = self.entries.get(&which).map(|value| ((*name).to_owned(), value.clone()));
                assert_eq!(read, expected);
            }
            // the keyring and the entries, and nothing else
            assert_eq!(self.database.objects.len(), self.entries.len() + 1);
        }
        for key in &self.removed {
            assert_eq!(refused(self.database.open(key)), CryptoError::Refused);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_vault_holds_what_a_plain_map_holds(steps in proptest::collection::vec(step(), 1..24)) {
        let mut world = World::new();
        for step in steps {
            world.play(step);
        }
        world.check();
    }
}
