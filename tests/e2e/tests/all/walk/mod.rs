//! The walk: every method of the contract, with every wrong caller. What a caller may is in one table ([`rules`]); a
//! method that is added without a line there fails it. So it is with every page and form ([`routes`], [`page_rules`]).
//!
//! Other tenants' ids: [`crate::foreign`]. What operators' certificates open: [`crate::operators_see`].

mod browser;
mod keys;
mod page_rules;
mod programs;
pub(crate) mod routes;
mod rules;

use std::{collections::BTreeSet, fs, path::Path};

use ocmt::rpc::unimplemented;
use ocmt_client::{Client, auth::Purpose};
use ocmt_store::testing::TestDatabase;
use ocmt_testkit::{Person, TestNode, raw};
use tonic::Code;

use self::rules::{InRecovery, Least, RULES, Rule};
use crate::{
    foreign::belongings,
    recovery_cli::Table,
    requests::{self, Ids, Made},
};

/// Streams, which are tied to the session that opened them: who has none is nobody to them.
fn is_of_a_session(path: &str) -> bool {
    let streams = [
        "/OpenChannel",
        "/WatchAudit",
        "/WatchInbox",
        "/WatchVault",
        "/WatchContainers",
        "/WatchUnlockRequests",
        "/WatchCeremonies",
    ];
    streams.iter().any(|stream| path.ends_with(stream))
}

fn rule(path: &str) -> &'static Rule {
    RULES
        .iter()
        .find(|rule| rule.path == path)
        .unwrap_or_else(|| panic!("{path} has no rule: who may call it?"))
}

#[test]
fn every_served_method_has_a_rule_and_a_request_and_none_too_many() {
    let made: BTreeSet<String> = requests::all(&Ids::random()).into_iter().map(|made| made.path).collect();
    let ruled: BTreeSet<String> = RULES.iter().map(|rule| rule.path.to_owned()).collect();
    assert_eq!(ruled.len(), RULES.len(), "a method stands there twice");
    let served: BTreeSet<String> = ocmt_proto::methods::all()
        .iter()
        .filter(|method| unimplemented::reason(method.path).is_none())
        .map(|method| method.path.to_owned())
        .collect();
    assert_eq!(ruled, served, "left: the rules, right: what is served");
    assert_eq!(made, served, "left: the requests, right: what is served");
}

/// What a wrong caller got, as a line of the table and whether it is right.
struct Walked {
    lines: Vec<String>,
    wrong: Vec<String>,
}

impl Walked {
    fn new() -> Self {
        Self { lines: Vec::new(), wrong: Vec::new() }
    }

    /// One call by `who`, which must be refused in one of these ways.
    async fn refused(
        &mut self,
        node: &TestNode,
        who: &str,
        token: Option<&str>,
        made: &Made,
        lawful: &[Code],
    ) {
        // the listener ends connections whose streams break off by the dozen, which these do
        let channel = node.target().unwrap().connect().await.unwrap();
        let answer = raw::call(&channel, &made.path, token, made.bytes.clone()).await.unwrap();
        self.lines.push(format!("{:<52} {who:<18} {:?} {}", made.path, answer.code, answer.reason));
        let echoed = token.is_some_and(|token| answer.message.contains(token));
        if !lawful.contains(&answer.code) || !answer.body.is_empty() || echoed {
            self.wrong.push(format!("{} by {who}: {answer:?}", made.path));
        }
    }

    /// The whole of it, to be shown.
    fn ends_well(self, name: &str) -> String {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
        is_told(name, self.lines.len());
        format!("{}\n{name}: {} calls", self.lines.join("\n"), self.lines.len())
    }
}

/// How many calls the documents say that each walk makes.
fn told() -> Vec<(String, usize)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/testing.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, walk) = page.split_once("\n## The walk\n").expect("docs/testing.md says nothing of the walk");
    let rows = walk.split("\n## ").next().unwrap().lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, _, calls, _] = cells[..] else { return None };
        Some((name.trim_matches('*').to_owned(), calls.trim_matches('*').replace(',', "").parse().ok()?))
    });
    rows.collect()
}

/// The documents give the figure of this walk.
pub(crate) fn is_told(name: &str, calls: usize) {
    let told: Vec<usize> =
        told().into_iter().filter(|(row, _)| row == name).map(|(_, calls)| calls).collect();
    assert_eq!(
        told,
        [calls],
        "docs/testing.md, \"The walk\", {name}: left what it says, right what was walked"
    );
}

#[test]
fn the_figures_of_the_walk_add_up() {
    let (all, each): (Vec<_>, Vec<_>) = told().into_iter().partition(|(name, _)| name.starts_with("all "));
    assert_eq!(each.len(), 13, "{each:?}");
    let of = |routes: bool| {
        let is = |name: &str| name.starts_with("pages") || name.starts_with("forms");
        each.iter().filter(|(name, _)| is(name) == routes).map(|(_, calls)| calls).sum::<usize>()
    };
    let sums = [("all methods".to_owned(), of(false)), ("all routes".to_owned(), of(true))];
    assert_eq!(all, sums, "left what docs/testing.md says, right the sum of its rows");
}

/// A node, and a session on it that nobody ended and that is over. No policy makes one shorter than a minute, so its end is put
/// into the past, before it was used.
async fn with_one_expired() -> (TestDatabase, TestNode, String) {
    let database = TestDatabase::migrated().await.unwrap();
    let node = TestNode::start_on(&database.url(), |_| {}).await.unwrap();
    let token = node.person("carl").await.unwrap().token().unwrap();
    database.run("UPDATE sessions SET expires_at = created_at").await.unwrap();
    (database, node, token)
}

#[tokio::test]
async fn no_method_takes_a_credential_that_is_not_good() {
    let (_database, node, over) = with_one_expired().await;
    let good = node.person("ada").await.unwrap().token().unwrap();
    let bob = node.person("bob").await.unwrap();
    let ended = bob.token().unwrap();
    bob.client.sign_out().await.unwrap();
    let last = if good.ends_with('0') { "1" } else { "0" };
    let altered = format!("{}{last}", &good[..good.len() - 1]);
    let callers = [
        ("nobody", None),
        ("no token", Some("x")),
        ("a beginning", Some("ocmt_ses_")),
        ("altered", Some(altered.as_str())),
        ("signed out", Some(ended.as_str())),
        ("expired", Some(over.as_str())),
    ];
    let mut walked = Walked::new();
    for made in requests::all(&Ids::random()) {
        if rule(&made.path).least == Least::Anybody {
            continue;
        }
        for (who, token) in callers {
            walked.refused(&node, who, token, &made, &[Code::Unauthenticated]).await;
        }
    }
    println!("{}", walked.ends_well("bad credentials"));
}

/// Invites somebody into the tenant of `host` and signs them in.
async fn member(node: &TestNode, host: &Person, name: &str, role: &str) -> String {
    let email = format!("{name}@e2e.example");
    host.client.invite_user(&email, role).await.unwrap();
    let link = node.link(&email, "You are invited").await.unwrap();
    let joined = node.local().client().await.unwrap().accept_invite(&link, "e2e").await.unwrap();
    shown(&joined)
}

/// The session's token.
fn shown(client: &Client) -> String {
    client.credential().unwrap().expose().to_owned()
}

#[tokio::test]
async fn no_method_takes_a_role_that_is_too_low_nor_a_session_for_recovery() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let hers = belongings(&node, &ada).await;
    let roles = [
        (Least::Observer, member(&node, &ada, "olga", "observer").await),
        (Least::Member, member(&node, &ada, "max", "member").await),
        (Least::Admin, member(&node, &ada, "amy", "admin").await),
    ];
    let pending = node.local().client().await.unwrap();
    let pending = pending.request_link(&ada.email, None, Purpose::Recovery).await.unwrap();
    let link = node.link(&ada.email, "recovery link").await.unwrap();
    let recovering = shown(&pending.finish(&link, "e2e").await.unwrap());
    let mut walked = Walked::new();
    for made in requests::all(&hers) {
        let rule = rule(&made.path);
        if rule.least == Least::Anybody {
            continue;
        }
        for (role, token) in &roles {
            if *role < rule.least {
                // another's object is not even known to be there
                let lawful = match rule.least {
                    Least::Operator => [Code::Unauthenticated; 2],
                    _ => [Code::PermissionDenied, Code::NotFound],
                };
                walked.refused(&node, &format!("{role:?}"), Some(token), &made, &lawful).await;
            }
        }
        let lawful = match (rule.least, rule.recovery) {
            (_, InRecovery::May) => continue,
            (Least::Operator, _) => Code::Unauthenticated,
            (_, InRecovery::Refused) => Code::PermissionDenied,
            (_, InRecovery::Unfound) => Code::NotFound,
            (_, InRecovery::Malformed) => Code::InvalidArgument,
        };
        walked.refused(&node, "for recovery", Some(&recovering), &made, &[lawful]).await;
    }
    println!("{}", walked.ends_well("roles and recovery"));
    println!("{}", routes::by_roles(&node, &hers, &roles, &recovering).await);
    ada.client.who_am_i().await.expect("something was done after all");
}

/// What a session may call that a guardian's word gave to another address, before guardians have signed for its ceremony.
const INERT: [&str; 7] = [
    "/ocmt.v1.AuthService/WhoAmI",
    "/ocmt.v1.AuthService/SignOut",
    "/ocmt.v1.RecoveryService/GetGuardianSet",
    "/ocmt.v1.RecoveryService/OpenCeremony",
    "/ocmt.v1.RecoveryService/GetCeremony",
    "/ocmt.v1.RecoveryService/ListCeremonies",
    "/ocmt.v1.RecoveryService/CancelCeremony",
];

#[tokio::test]
async fn no_method_takes_an_inert_session_but_those_by_which_it_proposes() {
    let table = Table::set().await;
    let link = table.lost_link(0, "ada@new.example").await;
    let client = table.node.local().client().await.unwrap();
    let inert = shown(&client.take_lost_mailbox_link(&link, "e2e").await.unwrap());
    let mut walked = Walked::new();
    for made in requests::all(&Ids::random()) {
        let lawful = match rule(&made.path).least {
            _ if INERT.contains(&made.path.as_str()) => continue,
            Least::Anybody => continue,
            // the request names another tenant: to this one it is not there, whoever asks
            Least::Operator if made.path.contains("TenantService") => [Code::Unauthenticated, Code::NotFound],
            Least::Operator => [Code::Unauthenticated; 2],
            _ if made.path.contains("TenantService") => [Code::PermissionDenied, Code::NotFound],
            _ => [Code::PermissionDenied; 2],
        };
        walked.refused(&table.node, "inert", Some(&inert), &made, &lawful).await;
    }
    println!("{}", walked.ends_well("inert"));
    println!("{}", routes::by_an_inert_session(&table.node, &inert).await);
}
