//! Imports that are whole, cut short, refused, and made by two devices.

use std::{collections::BTreeSet, sync::Arc};

use ocmt_client::{
    ClientError,
    passphrase::NewPassphrase,
    vault::{
        Parts, Vault,
        import::{Existing, Plan, Source, What},
    },
};
use ocmt_crypto::{CryptoError, kdf::Cost};
use ocmt_testkit::TestNode;
use tokio::sync::Notify;

use super::*;

pub(super) const MARK: &str = "ocmt: an import was cut short";

pub(super) async fn import(
    vault: &mut Vault,
    source: &Source,
    existing: Existing,
) -> Result<Vec<What>, ClientError> {
    let plan = vault.plan_import(source, existing, &BTreeSet::new()).await?;
    vault.import(source, &plan, |_, _| {}).await?;
    Ok(plan.told().iter().map(|one| one.what).collect())
}

/// Imports until so many are written, then lets the device die.
pub(super) async fn cut(vault: &mut Vault, source: &Source, after: usize) {
    let plan = vault.plan_import(source, Existing::Refuse, &BTreeSet::new()).await.unwrap();
    cut_as_planned(vault, source, &plan, after).await;
}

async fn cut_as_planned(vault: &mut Vault, source: &Source, plan: &Plan, after: usize) {
    let enough = Arc::new(Notify::new());
    let told = enough.clone();
    let import = vault.import(source, plan, move |written, _| {
        if written >= after {
            told.notify_one();
        }
    });
    tokio::select! {
        biased;
        () = enough.notified() => {}
        _ = import => panic!("it came to its end"),
    }
}

pub(super) fn usage<T>(result: Result<T, ClientError>) -> String {
    match result {
        Err(ClientError::Usage(text)) => text,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was taken"),
    }
}

#[tokio::test]
async fn an_import_that_was_cut_short_is_seen_and_goes_on_without_doubling() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut hers = vault(&ada).await;
    hers.put("of before", b"stays").await.unwrap();
    // a cut leaves one batch more than was told: it was under way
    let file = earlier("file", 200);
    cut(&mut hers, &file, 47).await;
    // another device sees it, and takes nothing else in meanwhile
    let laptop = node.device("ada's laptop").unwrap();
    let mut hers = again(&ada, &laptop).await;
    let some = hers.list().await.unwrap();
    assert!(
        some.iter().any(|one| one.name == MARK) && some.len() >= 49 && some.len() < 202,
        "{}",
        some.len()
    );
    let other = usage(import(&mut hers, &earlier("other", 1), Existing::Refuse).await);
    assert!(other.contains("another file was cut short"), "{other}");
    // an export of this moment is as good as any other, and has no mark in it
    let mut exported = Vec::new();
    let passphrase = NewPassphrase::new(PASSPHRASE, &[]).unwrap();
    let told =
        hers.export(Parts::Everything, passphrase, Cost::LEAST, &mut exported, |_, _| {}).await.unwrap();
    assert_eq!(told.entries, some.len() - 1);
    let bob = node.person("bob").await.unwrap();
    let mut his = vault(&bob).await;
    import(&mut his, &export(&exported).unwrap(), Existing::Refuse).await.unwrap();
    let his = his.list().await.unwrap();
    assert!(his.len() == told.entries && his.iter().all(|one| one.name != MARK));
    cut(&mut hers, &file, 1).await;
    let mut hers = again(&ada, &laptop).await;
    let plan = hers.plan_import(&file, Existing::Refuse, &BTreeSet::new()).await.unwrap();
    assert!(plan.was_cut_short() && plan.to_write() < 200);
    let (last, mut steps) = (plan.to_write(), Vec::new());
    hers.import(&file, &plan, |written, of| steps.push((written, of))).await.unwrap();
    assert_eq!(steps.last(), Some(&(last, last)));
    let all = all(&again(&ada, &laptop).await).await;
    assert_eq!(all.len(), 201, "all of it, and what was there");
    assert!(
        all.iter().all(|(name, version, ..)| *version == 1 && name != MARK),
        "nothing twice, and no mark"
    );
    assert!(all.iter().any(|one| one.0 == "file 199" && one.2 == b"value 199"));
    let again = import(&mut hers, &file, Existing::Refuse).await.unwrap();
    assert!(again.iter().all(|what| *what == What::AlreadyThere));
    // and other files again
    import(&mut hers, &earlier("other", 49), Existing::Refuse).await.unwrap();
    assert_eq!(hers.list().await.unwrap().len(), 250);
}

/// So that the last batch, which takes the mark away, has a new entry for its place: a full vault has none beside.
#[tokio::test]
async fn what_an_import_replaces_comes_before_what_is_new() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut hers = vault(&ada).await;
    for at in 110..120 {
        hers.put(&format!("file {at:03}"), b"of before").await.unwrap();
    }
    let file = earlier("file", 120);
    let plan = hers.plan_import(&file, Existing::Replace, &BTreeSet::new()).await.unwrap();
    cut_as_planned(&mut hers, &file, &plan, 47).await;
    let hers = again(&ada, &ada.device).await;
    let first: Vec<_> = hers.list().await.unwrap();
    assert!(first.iter().any(|one| one.name == MARK) && first.len() < 121, "it came to its end");
    for at in 110..120 {
        assert_eq!(hers.version(&format!("file {at:03}")).unwrap(), 2, "{at}");
    }
    // what was under way at the cut has come by now
    let mut hers = again(&ada, &ada.device).await;
    import(&mut hers, &file, Existing::Refuse).await.unwrap();
    let all = all(&hers).await;
    assert!(all.len() == 120 && all.iter().all(|one| one.0 != MARK && one.2.starts_with(b"value ")));
    let twice: Vec<_> = all.iter().filter(|one| one.1 == 2).map(|one| one.0.clone()).collect();
    assert_eq!(twice, (110..120).map(|at| format!("file {at:03}")).collect::<Vec<_>>());
}

/// The mark is all that is left to do: everything was written by hand meanwhile.
#[tokio::test]
async fn a_mark_is_taken_away_by_an_import_that_has_nothing_left_to_write() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut hers = vault(&ada).await;
    let file = earlier("file", 50);
    cut(&mut hers, &file, 47).await;
    let mut hers = again(&ada, &ada.device).await;
    for at in 0..50 {
        let (name, value) = (format!("file {at:03}"), format!("value {at}"));
        if hers.get(&name).await.is_err() {
            hers.put(&name, value.as_bytes()).await.unwrap();
        }
    }
    let told = import(&mut hers, &file, Existing::Refuse).await.unwrap();
    assert!(told.iter().all(|what| *what == What::AlreadyThere));
    assert!(hers.list().await.unwrap().iter().all(|one| one.name != MARK));
}

#[tokio::test]
async fn nothing_is_written_of_a_file_that_does_not_fit_or_is_not_whole() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut hers = vault(&ada).await;
    hers.put("taken", b"mine").await.unwrap();
    let before = hers.keys().manifest().counter;
    let with = |items: Vec<Item>| Source::Earlier(EarlierFile::new(b"file", items));
    let large = || with(vec![item("a", vec![1]), item("large", vec![7; 65_537])]);
    assert!(usage(import(&mut hers, &large(), Existing::Refuse).await).contains("`large`"));
    let conflict = || with(vec![item("a", vec![1]), item("taken", b"theirs".to_vec())]);
    assert!(usage(import(&mut hers, &conflict(), Existing::Refuse).await).contains("`taken`"));
    let full = usage(import(&mut hers, &earlier("many", 10_000), Existing::Refuse).await);
    assert!(full.contains("room for 9999 more") && full.contains("takes 10000"), "{full}");
    // just as many as there is room for: the mark of the import takes no place of its own
    let plan = hers.plan_import(&earlier("many", 9_999), Existing::Refuse, &BTreeSet::new()).await.unwrap();
    assert_eq!(plan.to_write(), 9_999);
    let unknown = BTreeSet::from(["not there".to_owned()]);
    usage(hers.plan_import(&earlier("few", 2), Existing::Refuse, &unknown).await);
    // an export whose second chunk is damaged, or not there: its first one was good
    let entries: Vec<Entry> = (0..40).map(|at| entry(&format!("n{at}"), &[7; 60_000], None)).collect();
    let good = sealed(&entries);
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let longer = [good.as_slice(), &[0]].concat();
    for bytes in [&damaged[..], &good[..good.len() - 1], &good[..1_200_000], &longer] {
        let source = export(bytes).unwrap();
        let refused = import(&mut hers, &source, Existing::Refuse).await;
        assert!(matches!(refused, Err(ClientError::Crypto(CryptoError::Refused))));
    }
    let fresh = again(&ada, &ada.device).await;
    assert_eq!((fresh.keys().manifest().counter, fresh.list().await.unwrap().len()), (before, 1));
    // a mark that some other program exported is passed over
    let marked = export(&sealed(&[entry(MARK, b"{}", None)])).unwrap();
    assert_eq!(import(&mut hers, &marked, Existing::Refuse).await.unwrap(), [What::LeftOut]);
    // what does not fit can be left out, and what is taken kept or replaced
    let out = BTreeSet::from(["large".to_owned()]);
    let plan = hers.plan_import(&large(), Existing::Refuse, &out).await.unwrap();
    hers.import(&large(), &plan, |_, _| {}).await.unwrap();
    assert_eq!(plan.told()[1].what, What::LeftOut);
    let told = import(&mut hers, &conflict(), Existing::Keep).await.unwrap();
    assert_eq!(told, [What::AlreadyThere, What::Kept]);
    assert_eq!(hers.get("taken").await.unwrap().value.as_slice(), b"mine");
    let told = import(&mut hers, &conflict(), Existing::Replace).await.unwrap();
    assert_eq!(told, [What::AlreadyThere, What::Replaced]);
    let all = all(&hers).await;
    assert_eq!(all.iter().map(|one| (&*one.0, one.1)).collect::<Vec<_>>(), [("a", 1), ("taken", 2)]);
    assert_eq!(all[1].2, b"theirs");
    assert_eq!(import(&mut hers, &export(&good).unwrap(), Existing::Refuse).await.unwrap().len(), 40);
}

#[tokio::test]
async fn of_two_devices_that_import_at_once_neither_writes_over_the_other() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    drop(vault(&ada).await);
    let (phone, laptop) = (node.device("phone").unwrap(), node.device("laptop").unwrap());
    let (mut one, mut other) = (again(&ada, &phone).await, again(&ada, &laptop).await);
    let file = earlier("file", 100);
    let imports = (import(&mut one, &file, Existing::Refuse), import(&mut other, &file, Existing::Refuse));
    let (first, second) = tokio::join!(imports.0, imports.1);
    assert!(first.is_ok() != second.is_ok(), "one has it all");
    let refused = first.err().or(second.err()).unwrap();
    assert_eq!(refused.reason().as_deref(), Some("CHANGED_MEANWHILE"), "{refused}");
    let mut later = again(&ada, &ada.device).await;
    import(&mut later, &file, Existing::Refuse).await.unwrap();
    let all = all(&later).await;
    assert!(all.len() == 100 && all.iter().all(|one| one.1 == 1), "{}", all.len());
}

#[tokio::test]
async fn what_one_vault_exports_another_imports_as_it_was() {
    let node = TestNode::start().await.unwrap();
    let (ada, bob) = (node.person("ada").await.unwrap(), node.person("bob").await.unwrap());
    let (mut hers, mut his) = (vault(&ada).await, vault(&bob).await);
    let some = (0..49_u8).map(|at| entry(&format!("\u{5bc6} {at}"), &vec![at; usize::from(at) * 10], None));
    let mut entries: Vec<Entry> = some.collect();
    entries.push(entry("empty", b"", Some(5)));
    import(&mut hers, &export(&sealed(&entries)).unwrap(), Existing::Refuse).await.unwrap();
    hers.put("twice", b"first").await.unwrap();
    hers.put("twice", &[0xff; 65_536]).await.unwrap();
    let mut file = Vec::new();
    let passphrase = NewPassphrase::new(PASSPHRASE, &[]).unwrap();
    let told = hers.export(Parts::Everything, passphrase, Cost::LEAST, &mut file, |_, _| {}).await.unwrap();
    assert_eq!((told.entries, told.keys_left_out), (51, 0));
    let there = all(&hers).await;
    assert!(!file.windows(6).any(|some| some == "\u{5bc6} 48".as_bytes()), "names are not to be seen");
    import(&mut his, &export(&file).unwrap(), Existing::Refuse).await.unwrap();
    let here = all(&his).await;
    let facts = |all: &[(String, u64, Vec<u8>, Attributes)]| {
        all.iter().map(|one| (one.0.clone(), one.2.clone(), one.3)).collect::<Vec<_>>()
    };
    assert_eq!(there.len(), 51);
    assert!(facts(&there) == facts(&here));
    let mut other = Vec::new();
    let passphrase = NewPassphrase::new(PASSPHRASE, &[]).unwrap();
    his.export(Parts::Everything, passphrase, Cost::LEAST, &mut other, |_, _| {}).await.unwrap();
    import(&mut hers, &export(&other).unwrap(), Existing::Refuse).await.unwrap();
    assert!(all(&hers).await == there, "and back: all is there already");
}

#[tokio::test]
async fn a_batch_of_the_largest_values_goes_through() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut hers = vault(&ada).await;
    let items = (0..49_u8).map(|at| item(&format!("large {at}"), vec![at; 65_536])).collect();
    let file = Source::Earlier(EarlierFile::new(b"large", items));
    assert_eq!(import(&mut hers, &file, Existing::Refuse).await.unwrap().len(), 49);
    assert_eq!(hers.get("large 48").await.unwrap().value.as_slice(), [48; 65_536]);
}
