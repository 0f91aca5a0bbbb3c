//! The routes of HTTP on the client listener, with every wrong caller.

use std::{collections::BTreeSet, fs, path::Path};

use ocmt_testkit::{TestNode, http};

use super::page_rules::{Page, ROUTES};

/// Listeners of their own, which no client reaches.
const ELSEWHERE: [&str; 1] = ["telemetry.rs"];

/// Every `.route("…"` of the node's source: a route that is added is found here before anybody can call it.
fn routes_of(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            routes_of(&path, found);
        } else if name.ends_with(".rs") && !ELSEWHERE.contains(&name.as_str()) {
            let text = fs::read_to_string(&path).unwrap();
            let named = text.split(".route(").skip(1).map(str::trim_start).filter_map(|rest| {
                let constant =
                    || rest.split(',').next().filter(|name| name.chars().all(|c| c.is_ascii_uppercase()));
                rest.strip_prefix('"').map_or_else(constant, |rest| rest.split('"').next())
            });
            found.extend(named.map(str::to_owned));
        }
    }
}

#[test]
fn every_route_has_a_rule_and_none_too_many() {
    let mut there = BTreeSet::new();
    routes_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../node/src"), &mut there);
    let ruled: BTreeSet<String> = ROUTES.iter().map(|(route, _, _)| (*route).to_owned()).collect();
    assert_eq!(ruled, there, "left: the rules, right: the node's source");
}

#[tokio::test]
async fn a_page_is_for_everybody_and_what_is_guarded_is_shut() {
    let node = TestNode::start().await.unwrap();
    let target = node.target().unwrap();
    let ada = node.person("ada").await.unwrap();
    let session = ada.token().unwrap();
    let bob = node.person("bob").await.unwrap();
    let ended = bob.token().unwrap();
    bob.client.sign_out().await.unwrap();
    let mut calls = 0;
    for (_, path, page) in ROUTES {
        for token in ["x", &ended, &session] {
            let bearer = format!("Bearer {token}");
            let cookie = format!("__Host-ocmt-session={token}");
            for header in [("authorization", bearer.as_str()), ("cookie", cookie.as_str())] {
                let (answer, lawful) = match page {
                    Page::Public => (http::get(&target, path, &[header]).await, 200..=303),
                    Page::Own => (http::get(&target, path, &[header]).await, 200..=404),
                    Page::Missing => (http::get(&target, path, &[header]).await, 404..=404),
                    Page::Form => (http::get(&target, path, &[header]).await, 405..=405),
                    Page::Gateway => (http::upgrade(&target, path, &[header]).await, 400..=499),
                };
                let answer = answer.unwrap();
                calls += 1;
                assert!(lawful.contains(&answer.status.as_u16()), "{path} with {header:?}: {answer:?}");
                assert!(token == "x" || !answer.body.contains(token), "{path} echoes the credential");
            }
        }
    }
    println!("{} routes, {calls} calls", ROUTES.len());
}
