//! The ledger: which unlocks and which shares may write which entries, and what of theirs is done with.
//!
//! It is one object of the vault, so that any of the user's devices files an inbox, and a node that shows
//! an item again after it was filed or dropped does not get it filed once more. It is bounded: past
//! [`MAX_GRANTS`] unlocks, or the size of an object, the oldest are forgotten, and what they sent
//! is shown and never filed. Rights of shares are bounded too, and none of them is forgotten for another.

mod shared;

use ocmt_types::{ContainerId, Timestamp, UnlockId};
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    datakey::VaultScope,
    entry::EntryName,
    keyring::Keyring,
    kind::Kind,
    object::MAX_PLAINTEXT,
    seal::SealPublicKey,
};

pub use shared::{MAX_RIGHTS, SharedVerdict, WriteRight};

use super::{InboxItem, InboxPlace, MAX_WRITES, UnlockKey};

const VERSION: u8 = 1;
/// Of a ledger that names shares: a client that does not know them must not write it without.
const WITH_RIGHTS: u8 = 2;
/// Of a ledger that names shares of which one is for reading too.
const WITH_READERS: u8 = 3;
/// The most unlocks that are remembered.
pub const MAX_GRANTS: usize = 64;
/// The most items of one unlock that are remembered out of order.
const MAX_APART: usize = 256;

/// An unlock that may write.
#[derive(Clone)]
pub struct Granted {
    /// Which.
    pub unlock: UnlockId,
    /// Of which container.
    pub container: ContainerId,
    /// The inbox key of that time. A re-keying makes another: what was sealed to this one is lost then.
    pub inbox: SealPublicKey,
    /// When it was given.
    pub granted_at: Timestamp,
    /// What it may write, 1 to [`MAX_WRITES`].
    pub names: Vec<EntryName>,
    /// The highest sequence that was filed under each of them.
    filed: Vec<Option<u64>>,
    done: Done,
}

/// Items that were filed or dropped: all below `next`, and some apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Done {
    next: u64,
    apart: Vec<u64>,
}

/// The unlocks and the shares that may write, each oldest first.
#[derive(Clone, Default)]
pub struct Ledger {
    granted: Vec<Granted>,
    rights: Vec<WriteRight>,
}

/// What an item of the inbox is worth. Only the first is filed.
pub enum Verdict {
    /// Of an unlock that may write this name, and not done with.
    Fileable(InboxItem, InboxPlace),
    /// Of a cell that this vault unlocked, for a name that it may not write.
    NotAllowed(InboxItem, InboxPlace),
    /// Older than what was filed under its name: of a node that held it back.
    Late(InboxItem, InboxPlace),
    /// Was filed or dropped before.
    Done(InboxPlace),
    /// Sealed to an inbox key from before a re-keying: nobody can open it any more.
    Lost(InboxPlace),
    /// Of no cell that this vault unlocked, or damaged.
    Forged,
}

impl Granted {
    /// An unlock that may write `names`.
    pub fn new(
        unlock: UnlockId,
        container: ContainerId,
        inbox: SealPublicKey,
        granted_at: Timestamp,
        names: Vec<EntryName>,
    ) -> Self {
        let filed = vec![None; names.len()];
        Self { unlock, container, inbox, granted_at, names, filed, done: Done::default() }
    }
}

impl Granted {
    /// What was filed under a name, if this unlock may write it.
    fn filed(&self, name: &str) -> Option<&Option<u64>> {
        let at = self.names.iter().position(|known| known.expose() == name)?;
        self.filed.get(at)
    }
}

impl Done {
    fn has(&self, sequence: u64) -> bool {
        sequence < self.next || self.apart.binary_search(&sequence).is_ok()
    }

    fn add(&mut self, sequence: u64) {
        if self.has(sequence) {
            return;
        }
        let at = self.apart.partition_point(|other| *other < sequence);
        self.apart.insert(at, sequence);
        if self.apart.len() > MAX_APART {
            // what was not seen for so long is given up
            self.next = self.apart.first().copied().unwrap_or(self.next);
        }
        while self.apart.first() == Some(&self.next) {
            self.apart.remove(0);
            self.next = self.next.saturating_add(1);
        }
    }
}

impl Ledger {
    /// The unlocks, oldest first.
    pub fn granted(&self) -> &[Granted] {
        &self.granted
    }

    /// Adds an unlock; forgets the oldest past a bound, and says which.
    ///
    /// # Errors
    /// [`CryptoError::OutOfRange`] unless it names 1 to [`MAX_WRITES`].
    pub fn grant(&mut self, granted: Granted) -> Result<Vec<UnlockId>> {
        if !(1..=MAX_WRITES).contains(&granted.names.len()) {
            return Err(CryptoError::OutOfRange {
                what: "number of names that a container may write",
                rule: "1 to 32",
            });
        }
        self.granted.push(granted);
        Ok(self.trim())
    }

    /// Forgets the oldest unlocks past a bound, and says which: what is remembered of items grows too.
    pub fn trim(&mut self) -> Vec<UnlockId> {
        let mut forgotten = Vec::new();
        // the rights of shares alone are far below the bound
        let over = |ledger: &Self| ledger.granted.len() > MAX_GRANTS || ledger.encode().len() > MAX_PLAINTEXT;
        while !self.granted.is_empty() && over(&*self) {
            forgotten.push(self.granted.remove(0).unlock);
        }
        forgotten
    }

    /// Remembers that an item was filed or dropped: it is never filed (again).
    pub fn done(&mut self, place: &InboxPlace) {
        if let Some(granted) = self.granted.iter_mut().find(|granted| granted.unlock == place.unlock) {
            granted.done.add(place.sequence);
        }
    }

    /// Remembers that an item was filed under `name`: nothing older of that name is filed over it.
    pub fn filed(&mut self, place: &InboxPlace, name: &str) {
        self.done(place);
        let granted = self.granted.iter_mut().find(|granted| granted.unlock == place.unlock);
        let Some(granted) = granted else { return };
        let at = granted.names.iter().position(|known| known.expose() == name);
        if let Some(filed) = at.and_then(|at| granted.filed.get_mut(at)) {
            *filed = Some(filed.map_or(place.sequence, |before| before.max(place.sequence)));
        }
    }

    /// Whether something newer of the name was filed: of this unlock or of a later one.
    fn is_late(&self, place: &InboxPlace, name: &str) -> bool {
        let from = self.granted.iter().skip_while(|granted| granted.unlock != place.unlock);
        from.filter_map(|granted| Some((granted.unlock, (*granted.filed(name)?)?)))
            .any(|(unlock, filed)| unlock != place.unlock || filed > place.sequence)
    }

    /// Opens an item that a node shows, and judges it.
    pub fn judge(&self, scope: &VaultScope, keyring: &Keyring, sealed: &[u8]) -> Verdict {
        let Ok(place) = InboxPlace::claimed(sealed) else { return Verdict::Forged };
        if (place.tenant, place.vault) != (scope.tenant, scope.vault) {
            return Verdict::Forged;
        }
        let granted = self.granted.iter().find(|granted| granted.unlock == place.unlock);
        if granted.is_some_and(|granted| granted.inbox != keyring.inbox.public()) {
            return Verdict::Lost(place);
        }
        let key = UnlockKey::from(keyring.inbox_mac_key(place.unlock));
        let Ok(item) = InboxItem::open(sealed, &place, &keyring.inbox, &key) else {
            return Verdict::Forged;
        };
        match granted {
            Some(granted) if granted.done.has(place.sequence) => Verdict::Done(place),
            Some(granted) if granted.filed(&item.name).is_some() => {
                if self.is_late(&place, &item.name) {
                    Verdict::Late(item, place)
                } else {
                    Verdict::Fileable(item, place)
                }
            }
            Some(_) | None => Verdict::NotAllowed(item, place),
        }
    }

    /// The plaintext of the ledger's object.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::with_capacity(MAX_PLAINTEXT);
        let version = match (self.rights.is_empty(), self.has_readers()) {
            (true, _) => VERSION,
            (false, false) => WITH_RIGHTS,
            (false, true) => WITH_READERS,
        };
        out.fixed(Writer::object(Kind::UNLOCK_LEDGER, version).as_bytes()).count(self.granted.len());
        for granted in &self.granted {
            out.id(granted.unlock).id(granted.container).fixed(&granted.inbox.0).i64(granted.granted_at.0);
            out.count(granted.names.len());
            for (name, filed) in granted.names.iter().zip(&granted.filed) {
                out.var(name.expose().as_bytes());
                out.option(*filed, |out, sequence| {
                    out.u64(sequence);
                });
            }
            out.u64(granted.done.next).count(granted.done.apart.len());
            for sequence in &granted.done.apart {
                out.u64(*sequence);
            }
        }
        if !self.rights.is_empty() {
            self.write_rights(&mut out, version == WITH_READERS);
        }
        out.into_secret()
    }

    /// Reads the plaintext of the ledger's object.
    pub(crate) fn decode(plaintext: &[u8]) -> Result<Self> {
        let head = |version| Reader::object(plaintext, Kind::UNLOCK_LEDGER, version);
        let read = |version| head(version).ok().map(|reader| (reader, version));
        let found = [VERSION, WITH_RIGHTS, WITH_READERS].into_iter().find_map(read);
        let (mut reader, version) = found.ok_or(CryptoError::Refused)?;
        let granted =
            (0..reader.count(MAX_GRANTS, 84)?).map(|_| one(&mut reader)).collect::<Result<Vec<_>>>()?;
        let mut ledger = Self { granted, rights: Vec::new() };
        if version != VERSION {
            ledger.read_rights(&mut reader, version == WITH_READERS)?;
        }
        reader.finish()?;
        Ok(ledger)
    }
}

fn one(reader: &mut Reader<'_>) -> Result<Granted> {
    let (unlock, container) = (reader.id()?, reader.id()?);
    let (inbox, granted_at) = (SealPublicKey(reader.array()?), Timestamp(reader.i64()?));
    let names = (0..reader.count(MAX_WRITES, 5)?)
        .map(|_| Ok((EntryName::read(reader)?, reader.option(Reader::u64)?)))
        .collect::<Result<Vec<_>>>()?;
    let (names, filed) = names.into_iter().unzip();
    let granted = Granted {
        unlock,
        container,
        inbox,
        granted_at,
        names,
        filed,
        done: Done {
            next: reader.u64()?,
            apart: (0..reader.count(MAX_APART, 8)?).map(|_| reader.u64()).collect::<Result<Vec<_>>>()?,
        },
    };
    let apart = &granted.done.apart;
    let lawful = !granted.names.is_empty()
        && apart.is_sorted_by(|a, b| a < b)
        && apart.first().is_none_or(|first| *first > granted.done.next);
    if lawful { Ok(granted) } else { Err(CryptoError::Refused) }
}
