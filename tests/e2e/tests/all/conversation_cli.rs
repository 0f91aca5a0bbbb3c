//! `ocmt conversation`: what a person types, from opening a conversation to deleting it.

use std::{fs, path::Path};

use ocmt_testkit::{
    TestNode,
    command::{Said, ocmt},
};
use serde_json::Value;

use crate::{api_keys::keep, moving::command::at_a_terminal};

fn json(said: &Said) -> Value {
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out).unwrap()
}

/// A node, somebody with a vault on it, and the arguments that make the command theirs.
struct Desk {
    node: TestNode,
    theirs: Vec<String>,
}

impl Desk {
    async fn set() -> Self {
        let node = TestNode::start().await.unwrap();
        let ada = node.person("ada").await.unwrap();
        ada.vault("tramway-Okapi-39-lantern").await.unwrap();
        let state = keep(&node, &ada);
        let desk = Self { node, theirs: Vec::new() };
        desk.file("vault.txt", "tramway-Okapi-39-lantern\n");
        desk.file("export.txt", "violin ledger umbrella quartz\n");
        let theirs = vec!["--state-dir".to_owned(), state];
        Self { theirs, ..desk }
    }

    fn at(&self, name: &str) -> String {
        self.node.folder().join(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.at(name), text).unwrap();
        self.at(name)
    }

    /// `ocmt conversation` with these words, as its owner.
    async fn says(&self, words: &[&str]) -> Said {
        let typed = self.typed(words);
        ocmt(&typed.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap()
    }

    /// The same at a terminal, with an answer to what is asked there.
    fn answers(&self, words: &[&str], answer: &str) -> Option<i32> {
        let typed = self.typed(words);
        at_a_terminal(&typed.iter().map(String::as_str).collect::<Vec<_>>(), answer).code()
    }

    fn typed(&self, words: &[&str]) -> Vec<String> {
        let words = ["conversation"].iter().chain(words).map(|word| (*word).to_owned());
        let passphrase = ["--passphrase-file".to_owned(), self.at("vault.txt")];
        words.chain(self.theirs.iter().cloned()).chain(passphrase).collect()
    }

    /// Reads an export as somebody who is signed in nowhere.
    async fn reads(&self, export: &str) -> Said {
        let (secret, nowhere) = (self.at("export.txt"), self.at("nowhere"));
        let words = ["conversation", "read", "--export", export, "--passphrase-file", &secret];
        ocmt(&[&words[..], &["--state-dir", &nowhere]].concat()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_opened_written_read_exported_and_deleted_by_its_owner() {
    let desk = Desk::set().await;
    let opened = json(&desk.says(&["open", "--json"]).await);
    let id = opened["id"].as_str().unwrap().to_owned();
    let (one, two) = (desk.file("one.txt", "good morning\n\nwhat now?\n"), desk.file("two.txt", "goodbye"));
    let added = json(&desk.says(&["append", &id, "--file", &one, "--file", &two, "--json"]).await);
    assert_eq!((added["added"].as_u64(), added["records"].as_u64()), (Some(4), Some(4)));
    let read = desk.says(&["read", &id]).await;
    assert_eq!(read.out, "good morning\n\nwhat now?\ngoodbye\n", "{}", read.err);
    let lines = desk.says(&["read", &id, "--from", "3", "--json"]).await.out;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["sequence"], &lines[1]["text"]), (2, &3.into(), &"goodbye".into()));
    // encrypted under a passphrase of its own, and in clear if that is asked for
    let (sealed, clear) = (desk.at("sealed.jsonl"), desk.at("clear.jsonl"));
    let secret = desk.at("export.txt");
    let export = desk.says(&["export", &id, "--out", &sealed, "--new-passphrase-file", &secret]).await;
    assert_eq!(export.code, Some(0), "{}", export.err);
    let text = fs::read_to_string(&sealed).unwrap();
    assert!(!text.contains("morning") && text.lines().count() == 7, "{text}");
    let read = desk.reads(&sealed).await;
    assert_eq!(read.out, "good morning\n\nwhat now?\ngoodbye\n", "{}", read.err);
    fs::write(&sealed, text.lines().take(5).collect::<Vec<_>>().join("\n")).unwrap();
    let cut = desk.reads(&sealed).await;
    assert!(cut.code == Some(1) && cut.err.contains("cut off"), "{}", cut.err);
    let export = ["export", &id, "--out", &clear, "--clear"];
    let refused = desk.says(&export).await;
    assert!(refused.code == Some(2) && refused.err.contains("only at a terminal"), "{}", refused.err);
    let refused = desk.says(&["export", &id, "--out", "-", "--clear"]).await;
    assert!(refused.code == Some(2) && refused.out.is_empty(), "{}{}", refused.out, refused.err);
    assert_eq!(desk.answers(&export, "no\n"), Some(1));
    assert!(!Path::new(&clear).exists());
    assert_eq!(desk.answers(&export, "yes\n"), Some(0));
    assert!(fs::read_to_string(&clear).unwrap().starts_with("{\"sequence\":1,\"text\":\"good morning\"}\n"));
    // finished, and gone
    let end = desk.file("end.txt", "the end");
    assert_eq!(desk.says(&["append", &id, "--file", &end, "--finish"]).await.code, Some(0));
    let more = desk.says(&["append", &id, "--file", &end]).await;
    assert!(more.code == Some(2) && more.err.contains("finished"), "{}", more.err);
    let listed = json(&desk.says(&["ls", "--json"]).await);
    assert_eq!((&listed[0]["records"], &listed[0]["finished"]), (&5.into(), &true.into()));
    assert_eq!(desk.says(&["rm", &id]).await.code, Some(0));
    assert_eq!(json(&desk.says(&["ls", "--json"]).await), Value::Array(Vec::new()));
    assert_eq!(desk.says(&["read", &id]).await.code, Some(2));
}
