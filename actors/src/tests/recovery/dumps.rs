//! Who has copied the whole database: before the release, after a veto, and with as many guardians as must not be enough.

use std::collections::HashSet;

use ocmt_crypto::{
    ceremony::{Collection, collect},
    guardian::GuardianSet,
    seal::{SealPublicKey, SealSecretKey},
};
use ocmt_store::{
    Filter,
    tables::{Approval, Verdict},
};

use super::circle::{Circle, Requester, ownership, pass_delay, short};
use crate::{
    api::recovery::{CeremonyState, VetoCeremony},
    tests::kit::Kit,
};

/// Different bytes among 32 that look like a key: of 32 random ones there are 30, and hardly ever fewer than this.
const KEYLIKE: usize = 22;

impl Circle {
    /// Every private key among the bytes of the database whose public half is one of these.
    fn keys_in_dump(&self, of: &HashSet<[u8; 32]>) -> Vec<[u8; 32]> {
        let mut bytes = Vec::new();
        for file in self.kit.database_files() {
            bytes.extend(std::fs::read(file).unwrap());
        }
        assert!(bytes.len() > 100_000, "there is a database");
        keys_in(bytes, of)
    }

    /// Public halves of all that would help: the release key, the requester's, the guardians'.
    async fn wanted(&self, requester: &Requester) -> HashSet<[u8; 32]> {
        let row = self.row(requester.id()).await;
        let mut wanted = HashSet::from([row.release_public.0, requester.secret.public().0]);
        wanted.extend(self.guards.iter().map(|guard| guard.sealing.public().0));
        wanted
    }

    async fn approvals(&self, requester: &Requester) -> Vec<Vec<u8>> {
        let own = ownership(&self.kit, self.owner.tenant).await.unwrap();
        let mut tx = self.kit.store.read(own).await.unwrap();
        let of = Approval::ceremony_id.eq(requester.id()).and(Approval::verdict.eq(Verdict::Approve));
        tx.find::<Approval>(of).await.unwrap().into_iter().map(|row| row.body).collect()
    }
}

/// Every private key among these bytes, in whatever form, whose public half is one of those.
fn keys_in(mut bytes: Vec<u8>, of: &HashSet<[u8; 32]>) -> Vec<[u8; 32]> {
    bytes.extend([lists_in(&bytes), texts_in(&bytes)].concat());
    let windows = keylike(&bytes);
    let is_one = |window: &[u8; 32]| of.contains(&SealSecretKey::from_bytes(*window).public().0);
    windows.into_iter().filter(is_one).collect()
}

/// Bytes that stand there as lists of numbers, as letters between tenants write them.
fn lists_in(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let lists = text.split('[').filter_map(|rest| rest.split_once(']'));
    lists.flat_map(|(list, _)| list.split(',').map_while(|number| number.parse::<u8>().ok())).collect()
}

/// Base64 of addresses in the usual alphabet.
fn plain(text: &[u8]) -> Vec<u8> {
    let usual = |byte: &u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        it => *it,
    };
    text.iter().map(usual).collect()
}

/// Bytes that stand there as hexadecimal or base64, at whatever character they begin.
fn texts_in(bytes: &[u8]) -> Vec<u8> {
    let of_text = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    let words = bytes.split(|byte| !of_text(byte)).filter(|word| word.len() >= 43);
    let mut found = Vec::new();
    for word in words {
        for from in 0..4.min(word.len()) {
            let rest = &word[from..];
            let quads = &rest[..rest.len() / 4 * 4];
            found.extend(data_encoding::BASE64.decode(&plain(quads)).unwrap_or_default());
            // what is left over of 32 bytes is three characters
            if let Some(tail) = rest.get(..43) {
                found.extend(data_encoding::BASE64_NOPAD.decode(&plain(tail)).unwrap_or_default());
            }
            let pairs = &rest[..rest.len() / 2 * 2];
            found.extend(data_encoding::HEXLOWER_PERMISSIVE.decode(pairs).unwrap_or_default());
        }
    }
    found
}

/// All 32 bytes in a row that look like a key, counted as they slide by.
fn keylike(bytes: &[u8]) -> HashSet<[u8; 32]> {
    let (mut counts, mut different, mut found) = ([0_u8; 256], 0, HashSet::new());
    for (at, byte) in bytes.iter().enumerate() {
        counts[usize::from(*byte)] += 1;
        different += usize::from(counts[usize::from(*byte)] == 1);
        if at >= 32 {
            let gone = usize::from(bytes[at - 32]);
            counts[gone] -= 1;
            different -= usize::from(counts[gone] == 0);
        }
        if at >= 31 && different >= KEYLIKE {
            found.insert(bytes[at - 31..=at].try_into().unwrap());
        }
    }
    found
}

/// The requester is the thief: with k approvals, the own key, and a copy of the database.
#[tokio::test]
async fn k_approvals_and_the_whole_database_open_nothing_before_the_release_nor_after_a_veto() {
    let mut circle = Circle::dealt(Kit::sqlite_with(short).await, 2, &[1, 1, 1]).await;
    let requester = circle.opened().await;
    circle.approve(0, requester.id()).await.unwrap();
    circle.approve(1, requester.id()).await.unwrap();
    circle.reaches(&requester.person, requester.id(), CeremonyState::Ready).await;
    assert_eq!(circle.approvals(&requester).await.len(), 2, "the copy has both approvals");
    let wanted = circle.wanted(&requester).await;
    assert_eq!(circle.keys_in_dump(&wanted), [[0; 32]; 0], "a private key is in the database");
    // the search finds what is there, in whatever form: with a node's disk the release key opens, as the documents say
    let row = circle.row(requester.id()).await;
    let place = [requester.person.tenant.as_bytes().as_slice(), &requester.id().0].concat();
    let place = ocmt_crypto::sealing::SealingPlace { purpose: "release key", row: &place };
    let wrapped = row.release_private_wrapped.unwrap();
    let key = circle.kit.system.env.sealing.now().unwrap_secret(&place, &wrapped).unwrap();
    let list = serde_json::to_vec(key.as_slice()).unwrap();
    let forms = [
        key.to_vec(),
        list,
        data_encoding::HEXLOWER.encode(&key).into_bytes(),
        data_encoding::BASE64.encode(&key).into_bytes(),
        data_encoding::BASE64URL_NOPAD.encode(&key).into_bytes(),
    ];
    for form in forms {
        let planted = [b"\x07some, text: \"".as_slice(), &form, b"\" and more of it"].concat();
        // perhaps twice: five bits that X25519 leaves out of a key may stand as well before its rest
        assert!(!keys_in(planted, &wanted).is_empty(), "planted and not found: {} bytes", form.len());
    }

    let veto = VetoCeremony { ceremony: requester.id(), statement: Vec::new(), retirement: Vec::new() };
    circle.kit.call(&circle.owner.caller, veto).await.unwrap();
    assert_eq!(circle.row(requester.id()).await.release_private_wrapped, None);
    assert_eq!(circle.keys_in_dump(&wanted), [[0; 32]; 0]);
    pass_delay(&circle);
    assert_eq!(circle.row(requester.id()).await.release_private_wrapped, None, "time brings nothing back");
}

/// k - 1 guardians with their devices, the requester, the nodes' keys and the database, all one conspiracy.
#[tokio::test]
async fn one_unit_too_few_and_everything_else_rebuild_nothing() {
    let mut circle = Circle::dealt(Kit::sqlite_with(short).await, 3, &[1, 1, 1, 1]).await;
    let requester = circle.opened().await;
    for n in 0..2 {
        circle.approve(n, requester.id()).await.unwrap();
    }
    let row = circle.row(requester.id()).await;
    let place = [requester.person.tenant.as_bytes().as_slice(), &requester.id().0].concat();
    let place = ocmt_crypto::sealing::SealingPlace { purpose: "release key", row: &place };
    let wrapped = row.release_private_wrapped.unwrap();
    let opened = circle.kit.system.env.sealing.now().unwrap_secret(&place, &wrapped).unwrap();
    let release = SealSecretKey::from_bytes(opened.as_slice().try_into().unwrap());
    assert_eq!(release.public(), SealPublicKey(row.release_public.0));
    let own = ownership(&circle.kit, circle.owner.tenant).await.unwrap();
    let mut tx = circle.kit.store.read(own).await.unwrap();
    let sets = tx.find::<ocmt_store::tables::GuardianSet>(Filter::all()).await.unwrap();
    let owner = circle.vault.keyring().identity_signing.verify_key();
    let set = GuardianSet::verify(&sets[0].body, &owner).unwrap();
    let given = Collection {
        ceremony: &requester.params,
        set: &set,
        release: &release,
        requester: &requester.secret,
    };
    let mut tried = circle.approvals(&requester).await;
    // one of them a second time, as if it were a third
    tried.push(tried[0].clone());
    let collected = collect(&given, &tried, |_| -> Result<(), ocmt_crypto::CryptoError> {
        panic!("a key was rebuilt from k - 1 units")
    })
    .unwrap();
    assert!(collected.outcome.is_err());
    // nor do the other guardians' keys lie anywhere
    let missing: HashSet<[u8; 32]> =
        circle.guards[2..].iter().map(|guard| guard.sealing.public().0).collect();
    assert_eq!(circle.keys_in_dump(&missing), [[0; 32]; 0]);
}
