//! Keys stand in pages that the kernel has locked: what `/proc/self/smaps` says of where they are.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use ocmt_crypto::{
    backup_key::BackupKey, datakey::VaultKey, kdf::Passphrase, seal::SealSecretKey, slot::RecoveryKey,
    unlock::UnlockKey,
};

/// Whether the mapping that holds this byte has all its pages locked. A lock of one page splits the mapping.
fn is_locked(byte: &u8) -> bool {
    let address = std::ptr::from_ref(byte).addr();
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut inside = false;
    for line in smaps.lines() {
        let range = line.split(' ').next().unwrap_or_default();
        if let Some((start, end)) = range.split_once('-')
            && let (Ok(start), Ok(end)) = (usize::from_str_radix(start, 16), usize::from_str_radix(end, 16))
        {
            inside = (start..end).contains(&address);
        } else if inside && let Some(flags) = line.strip_prefix("VmFlags:") {
            return flags.split_whitespace().any(|flag| flag == "lo");
        }
    }
    panic!("no mapping holds it");
}

#[test]
fn keys_that_live_longer_than_a_call_stand_in_locked_pages() {
    let rng = &mut rand::rng();
    // what is not a key is not: else this test would see nothing
    let plain = vec![1_u8; 1 << 20];
    assert!(!is_locked(&plain[1 << 19]), "everything is locked here");
    let vault = VaultKey::generate(1, rng);
    let again = VaultKey::from_slice(vault.expose(), 1).unwrap();
    let (seal, backup, recovery) =
        (SealSecretKey::generate(rng), BackupKey::generate(rng), RecoveryKey::generate(rng));
    let unlock = UnlockKey::generate(rng).duplicate();
    let typed = Passphrase::new(&"a long passphrase of several words ".repeat(20)).unwrap();
    for (what, byte) in [
        ("vault key", &vault.expose()[0]),
        ("vault key of a slot", &again.expose()[31]),
        ("sealing key", &seal.expose()[0]),
        ("backup key", &backup.expose()[0]),
        ("recovery key", &recovery.expose()[0]),
        ("unlock key", &unlock.expose()[0]),
        ("passphrase", &typed.expose()[0]),
        ("its last letter", typed.expose().last().unwrap()),
    ] {
        assert!(is_locked(byte), "the {what} can be swapped out");
    }
}

#[test]
fn ten_thousand_keys_one_after_another_do_not_use_the_limit_up() {
    let rng = &mut rand::rng();
    let locked_kb = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap().to_owned();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    drop(VaultKey::generate(1, rng));
    let before = locked_kb();
    for n in 0..10_000 {
        drop(VaultKey::generate(n, rng));
    }
    assert!(locked_kb() <= before + 64, "{} kB after {before} kB", locked_kb());
}
