//! The earlier implementation's own files, and every way in which they may be damaged.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{CryptoError, Result};

use super::*;

const FILES: [&[u8]; 3] = [
    include_bytes!("../../tests/vectors/ocmt-v1/vault-0.json"),
    include_bytes!("../../tests/vectors/ocmt-v1/vault-1.json"),
    include_bytes!("../../tests/vectors/ocmt-v1/vault-2.json"),
];

fn expected() -> Value {
    serde_json::from_slice(include_bytes!("../../tests/vectors/ocmt-v1/expected.json")).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

type Plain = Vec<(String, Vec<u8>)>;

fn plain(items: Vec<Item>) -> Plain {
    items.into_iter().map(|item| (item.name.expose().to_owned(), item.value.to_vec())).collect()
}

/// What the vector says is in a vault, as entries.
fn entries(content: &Value) -> Plain {
    let keys = content["credentials"].as_array().unwrap().iter().map(|one| {
        let name = format!("credentials/{}/{}", text(&one["provider"]), text(&one["label"]));
        (name, text(&one["apiKey"]).as_bytes().to_vec())
    });
    let memory = content["memory"].as_object().unwrap();
    let member = |name: &str| (format!("memory/{name}"), memory[name].to_string().into_bytes());
    keys.chain([member("preferences"), member("facts")]).collect()
}

fn refused<T>(result: Result<T>) -> bool {
    result.err() == Some(CryptoError::Refused)
}

#[test]
fn v_import_every_way_in_gives_the_content() {
    let all = expected();
    for (file, vector) in FILES.iter().zip(all["vaults"].as_array().unwrap()) {
        let vault = OldVault::parse(file).unwrap();
        let entries = entries(&vector["content"]);
        assert!(entries.len() >= 5);
        assert_eq!(plain(vault.open_with_password(text(&vector["password"])).unwrap()), entries);
        assert!(refused(vault.open_with_password("correct horse battery staple")));
        let phrase = text(&vector["recovery_phrase"]);
        let social = &vector["social"];
        let mut three = social.clone();
        three["contacts"].as_array_mut().unwrap().drain(1..3);
        let mut shares: Vec<Zeroizing<String>> = Vec::new();
        for share in vector["shares_3_of_5"].as_array().unwrap() {
            shares.push(Zeroizing::new(format!(" {}\n", text(share))));
        }
        for seed in [
            Seed::from_phrase(phrase),
            Seed::from_phrase(&format!("  {}\n", phrase.to_uppercase().replace(' ', " \t"))),
            Seed::from_backup(
                &text(&vector["backup_key"]).to_lowercase(),
                vector["backup"].to_string().as_bytes(),
            ),
            Seed::from_social(social.to_string().as_bytes()),
            Seed::from_social(three.to_string().as_bytes()),
            Seed::from_shares(&shares[..3]),
            Seed::from_shares(&shares[2..]),
            Seed::from_shares(&shares),
        ] {
            let seed = seed.unwrap();
            assert_eq!(data_encoding::HEXLOWER.encode(seed.expose()), text(&vector["seed_hex"]));
            assert_eq!(plain(vault.open_with_seed(&seed).unwrap()), entries);
        }
        assert!(refused(vault.open_with_seed(&Seed::from_shares(&shares[..2]).unwrap())), "two of three");
        assert!(refused(Seed::from_shares(&[shares[0].clone(), shares[0].clone(), shares[1].clone()])));
        assert!(refused(Seed::from_shares(&shares[..1])) && refused(Seed::from_shares(&[])));
    }
    let other = Seed::from_phrase(text(&all["vaults"][1]["recovery_phrase"])).unwrap();
    assert!(refused(OldVault::parse(FILES[0]).unwrap().open_with_seed(&other)));
}

/// Where in a file the values of these members are.
fn ranges(file: &[u8], members: &[&str]) -> Vec<std::ops::Range<usize>> {
    let text = std::str::from_utf8(file).unwrap();
    let range = |name: &&str| {
        let at = text.find(&format!("\"{name}\": \"")).unwrap() + name.len() + 5;
        at..at + text[at..].find('"').unwrap()
    };
    members.iter().map(range).collect()
}

#[test]
fn v_import_no_flipped_bit_and_no_prefix_of_a_file_gives_other_content() {
    let (file, all) = (FILES[0], expected());
    let good = OldVault::parse(file).unwrap();
    let vector = &all["vaults"][0];
    let key = good.stretch.derive(text(&vector["password"]).as_bytes()).unwrap();
    let seed = Seed::from_phrase(text(&vector["recovery_phrase"])).unwrap();
    let entries = entries(&vector["content"]);
    let unauthenticated = ranges(file, &["created", "updated"]);
    let (mut other_keys, mut unseen) = (0, 0);
    let mut bytes = file.to_vec();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        match OldVault::parse(&bytes) {
            Err(error) => assert_eq!(error, CryptoError::Refused),
            Ok(vault) => {
                // other costs or another salt: another key than the one that the content is under
                if vault.stretch == good.stretch {
                    match vault.open_with_key(&key) {
                        Err(error) => assert_eq!(error, CryptoError::Refused),
                        Ok(items) => {
                            let in_times = unauthenticated.iter().any(|range| range.contains(&(bit / 8)));
                            assert!(in_times, "bit {bit} is taken");
                            assert_eq!(plain(items), entries);
                            unseen += 1;
                        }
                    }
                } else {
                    other_keys += 1;
                }
                if let Ok(items) = vault.open_with_seed(&seed) {
                    assert_eq!(plain(items), entries, "bit {bit}");
                }
            }
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(other_keys > 50 && unseen > 10, "{other_keys} {unseen}");
    for len in 0..file.len() {
        assert!(refused(OldVault::parse(&file[..len])), "prefix of {len}");
    }
    assert!(refused(OldVault::parse(&[file, b"x"].concat())));
}

#[test]
fn v_import_another_key_than_the_one_of_the_costs_and_salt_opens_nothing() {
    let all = expected();
    let password = text(&all["vaults"][0]["password"]);
    for (from, to) in [("\"iterations\": 3", "\"iterations\": 2"), ("Vmiio4LI", "Wmiio4LI")] {
        let file = std::str::from_utf8(FILES[0]).unwrap().replace(from, to);
        assert!(refused(OldVault::parse(file.as_bytes()).unwrap().open_with_password(password)));
    }
}

#[test]
fn v_import_what_the_format_does_not_allow_is_refused_before_anything_is_allocated() {
    let good: Value = serde_json::from_slice(FILES[0]).unwrap();
    let changed = |path: &str, value: Value| {
        let mut file = good.clone();
        *file.pointer_mut(path).expect(path) = value;
        OldVault::parse(file.to_string().as_bytes())
    };
    assert!(changed("/kdf/memory", json!(19 * 1024)).is_ok());
    for (path, value) in [
        ("/version", json!(2)),
        ("/version", json!(1.0)),
        ("/version", json!("1")),
        ("/format", json!("ocmt-vault2")),
        ("/created", json!("2026-11-22T11:14:20Z")),
        ("/created", json!("2026-11-22T11:14:20.252+00:00")),
        ("/created", json!("2026-13-22T11:14:20.252Z")),
        ("/updated", json!("2026-11-22T11:14:20.251Z")),
        ("/kdf/algorithm", json!("argon2i")),
        ("/kdf/version", json!(16)),
        ("/kdf/memory", json!(4_294_967_295_u32)),
        ("/kdf/memory", json!(1_048_577)),
        ("/kdf/memory", json!(8)),
        ("/kdf/memory", json!(65_536.0)),
        ("/kdf/iterations", json!(1_000_000)),
        ("/kdf/iterations", json!(-3)),
        ("/kdf/parallelism", json!(0)),
        ("/kdf/parallelism", json!(16_777_216)),
        ("/kdf/salt", json!("AAAA")),
        ("/kdf/salt", json!("Vmiio4LI9yr5uBqeTpzOxR==")),
        ("/encryption/algorithm", json!("aes-128-gcm")),
        ("/encryption/nonce", json!("")),
        ("/encryption/tag", json!("AAAA")),
        ("/recovery/encrypted_seed", json!("AAAA")),
        ("/recovery", json!(null)),
        ("/recovery", json!([])),
        ("/ciphertext", json!("AAAA")),
        ("/ciphertext", json!(["AAAA"])),
    ] {
        assert!(refused(changed(path, value.clone())), "{path} = {value} is taken");
    }
    let text = good.to_string();
    for (from, to) in [
        ("{\"ciphertext\"", "{\"more\":1,\"ciphertext\""),
        ("{\"ciphertext\"", "{\"version\":1,\"ciphertext\""),
        ("\"version\":19", "\"version\":19,\"version\":19"),
        ("\"version\":19", "\"version\":19,\"pepper\":\"\""),
        (",\"version\":1}", "}"),
        ("\"version\":1}", "\"format\":1}"),
    ] {
        assert!(text.contains(from));
        assert!(refused(OldVault::parse(text.replacen(from, to, 1).as_bytes())), "{to} is taken");
    }
    // a parsed value is far larger than its text: it is not built for what no file has
    for many in ["[{\"\":0}]", "0", "[[[[0]]]]"] {
        let list = vec![many; 100].join(",");
        let grown = text.replacen("\"recovery\":", &format!("\"recovery\":[{list}],\"was\":"), 1);
        assert!(refused(OldVault::parse(grown.as_bytes())));
        assert!(json::read(format!("[{list}]").as_bytes(), FILE).is_err(), "{many}");
    }
    let huge = [FILES[0], &vec![b' '; MAX_FILE]].concat();
    assert!(refused(OldVault::parse(&huge)));
}

#[test]
fn v_import_records_of_a_backup_key_and_of_contacts_are_brittle() {
    let all = expected();
    let vector = &all["vaults"][0];
    let (typed, seed_hex) = (text(&vector["backup_key"]), text(&vector["seed_hex"]));
    let stretch = Stretch::new(Cost::DEFAULT, b"ocmt-hardware-backup-v1").unwrap();
    let letters = data_encoding::BASE32_NOPAD.decode(typed.replace('-', "").as_bytes()).unwrap();
    let stretched = stretch.derive(&letters).unwrap();
    let backup = |record: &[u8]| Seed::from_backup_with(typed, record, |_| Ok(stretched.clone()));
    let brittle = |good: &str, open: &dyn Fn(&[u8]) -> Result<Seed>| {
        let mut bytes = good.as_bytes().to_vec();
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            match open(&bytes) {
                Err(error) => assert_eq!(error, CryptoError::Refused),
                // times, names, the case of addresses, and counts that more shares are than
                Ok(seed) => assert_eq!(data_encoding::HEXLOWER.encode(seed.expose()), seed_hex, "bit {bit}"),
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for len in 0..good.len() {
            assert!(refused(open(&good.as_bytes()[..len])), "prefix of {len}");
        }
    };
    brittle(&vector["backup"].to_string(), &backup);
    brittle(&vector["social"].to_string(), &Seed::from_social);
    for (path, value) in [("/threshold", json!(1)), ("/threshold", json!(6)), ("/totalShares", json!(4))] {
        let mut social = vector["social"].clone();
        *social.pointer_mut(path).unwrap() = value;
        assert!(refused(Seed::from_social(social.to_string().as_bytes())), "{path}");
    }
    for (at, letter) in typed.char_indices().filter(|(_, letter)| *letter != '-') {
        let mut slip = typed.to_owned();
        slip.replace_range(at..=at, if letter == 'A' { "B" } else { "A" });
        assert!(refused(Seed::from_backup_with(&slip, vector["backup"].to_string().as_bytes(), |_| Ok(
            stretched.clone()
        ))));
    }
    for phrase in ["", "wide", &"abandon ".repeat(12), &"wide ".repeat(12), &"wide ".repeat(2000)] {
        assert!(refused(Seed::from_phrase(phrase)), "{phrase}");
    }
    let long = format!("{}art", "abandon ".repeat(23));
    assert!(refused(Seed::from_phrase(&long)), "a phrase of 24 words");
}

#[test]
fn v_import_fields_open_under_the_key_of_their_version() {
    let all = expected();
    let keys = FieldKeys::parse(all["keys"].to_string().as_bytes()).unwrap();
    for field in all["fields"].as_array().unwrap() {
        for version in ["v0", "v1"] {
            assert_eq!(*keys.open(text(&field[version])).unwrap(), text(&field["plaintext"]).as_bytes());
        }
    }
    let good = text(&all["fields"][0]["v1"]);
    for bit in 0..good.len() * 8 {
        let mut bytes = good.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(flipped) = std::str::from_utf8(&bytes) {
            assert!(refused(keys.open(flipped)), "bit {bit}");
        }
    }
    for len in 0..good.len() {
        assert!(refused(keys.open(&good[..len])), "prefix of {len}");
    }
    assert!(refused(keys.open(&format!("{good}:"))));
    assert!(refused(FieldKeys::parse(br#"{"v1":"00"}"#)) && refused(FieldKeys::parse(br#"{"v01":"00"}"#)));
    let only_first = json!({ "v0": all["keys"]["v0"] }).to_string();
    assert!(refused(FieldKeys::parse(only_first.as_bytes()).unwrap().open(good)));
    let file = json!({ "b": all["fields"][0]["v1"], "a": all["fields"][1]["v0"] });
    let items = plain(read_fields(file.to_string().as_bytes(), &keys).unwrap());
    assert_eq!(items[1], ("fields/b".to_owned(), b"hello".to_vec()));
    let damaged = json!({ "b": all["fields"][0]["v1"], "a": "v0:" });
    assert!(refused(read_fields(damaged.to_string().as_bytes(), &keys)), "all or nothing");
}
