//! The routes of HTTP on the client listener, with every wrong caller.

use std::{collections::BTreeSet, fs, path::Path};

use ocmt_testkit::{
    TestNode,
    http::{self, Answer},
};

use super::{
    Walked,
    browser::{Browser, Shows, proof_of},
    keys,
    page_rules::{Page, ROUTES},
    programs::program_of,
    rules::Least,
    with_one_expired,
};
use crate::{mfa, requests::Ids};

/// Listeners of their own, which no client reaches: the one for machines, and the operators', which asks for a certificate.
const ELSEWHERE: [&str; 2] = ["server/telemetry.rs", "web/console/router.rs"];
const VERBS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "any"];
/// A form that everybody is answered alike whose session is over: they are signed out.
const OUT: &str = "/auth/sign-out";
/// What a session for recovery is shown too: whose it is, and what becomes of the request.
const IN_RECOVERY: [&str; 3] = ["/", "/app/recovery", "/guardian"];
/// What one is shown that a guardian's word gave to another address.
const INERT: [&str; 2] = ["/", "/app/recovery"];

/// What stands between the bracket that is open here and its end.
fn in_brackets(text: &str) -> &str {
    let mut open = 1;
    let end = text.find(|c: char| {
        open += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        open == 0
    });
    &text[..end.unwrap_or(text.len())]
}

/// Every `.route("…"` of the node's source, with what is answered there: a route that is added is found here before anybody
/// can call it.
fn routes_of(folder: &Path, found: &mut BTreeSet<(String, &'static str)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            routes_of(&path, found);
        } else if name.ends_with(".rs") && !ELSEWHERE.iter().any(|elsewhere| path.ends_with(elsewhere)) {
            let text = fs::read_to_string(&path).unwrap();
            for unruled in [".nest(", ".nest_service(", ".route_service("] {
                assert!(!text.contains(unruled), "{name}: {unruled} is not seen by this walk");
            }
            for rest in text.split(".route(").skip(1).map(|rest| in_brackets(rest).trim_start()) {
                let constant =
                    || rest.split(',').next().filter(|name| name.chars().all(|c| c.is_ascii_uppercase()));
                let named = rest.strip_prefix('"').map_or_else(constant, |rest| rest.split('"').next());
                let Some(named) = named else { continue };
                let answered = |verb: &&&str| {
                    let is = |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
                    rest.match_indices(&format!("{verb}(")).any(|(at, _)| is(&rest[..at]))
                };
                found.extend(VERBS.iter().filter(answered).map(|verb| (named.to_owned(), *verb)));
            }
        }
    }
}

#[test]
fn every_route_has_a_rule_and_none_too_many() {
    let mut there = BTreeSet::new();
    routes_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../node/src"), &mut there);
    let ruled: BTreeSet<(String, &str)> =
        ROUTES.iter().map(|(route, _, page)| ((*route).to_owned(), page.verb())).collect();
    assert_eq!(ruled, there, "left: the rules, right: the node's source");
    assert_eq!(ruled.len(), ROUTES.len(), "a route stands there twice");
}

impl Walked {
    /// What `who` was answered by a page or form, which must be one of these; and what the answer has to show.
    fn answered(&mut self, path: &str, who: &str, answer: &Answer, lawful: &[u16], shows: &str) {
        let status = answer.status.as_u16();
        self.lines.push(format!("{path:<52} {who:<18} {status}"));
        if !lawful.contains(&status) || !answer.body.contains(shows) {
            self.wrong.push(format!("{path} by {who}: {answer:?}"));
        }
    }
}

#[tokio::test]
async fn a_page_is_for_everybody_and_what_is_guarded_is_shut() {
    let (_database, node, over) = with_one_expired().await;
    let target = node.target().unwrap();
    let (ada, bob, eve) = (
        node.person("ada").await.unwrap(),
        node.person("bob").await.unwrap(),
        node.person("eve").await.unwrap(),
    );
    let (session, other, ended) = (ada.token().unwrap(), eve.token().unwrap(), bob.token().unwrap());
    bob.client.sign_out().await.unwrap();
    for (route, path, page) in ROUTES {
        let form = matches!(page, Page::Form(..) | Page::Half(_) | Page::Enter(_));
        if form && ROUTES.iter().any(|(other, _, page)| other == route && matches!(page, Page::Public)) {
            continue;
        }
        for token in ["x", &ended, &session] {
            let bearer = format!("Bearer {token}");
            let cookie = format!("__Host-ocmt-session={token}");
            for header in [("authorization", bearer.as_str()), ("cookie", cookie.as_str())] {
                let (answer, lawful) = match page {
                    Page::Public | Page::Own(_) => (http::get(&target, path, &[header]).await, 200..=303),
                    Page::One(..) => (http::get(&target, &format!("{path}x"), &[header]).await, 200..=404),
                    Page::Missing => (http::get(&target, path, &[header]).await, 404..=404),
                    Page::Form(..) | Page::Half(_) | Page::Enter(_) => {
                        (http::get(&target, path, &[header]).await, 405..=405)
                    }
                    Page::Gateway => (http::upgrade(&target, path, &[header]).await, 400..=499),
                };
                let answer = answer.unwrap();
                assert!(lawful.contains(&answer.status.as_u16()), "{path} with {header:?}: {answer:?}");
                assert!(token == "x" || !answer.body.contains(token), "{path} echoes the credential");
            }
        }
    }
    mfa::enrol(&eve).await;
    let half = mfa::token(&mfa::half(&node, &eve).await);
    let mut browser = Browser::at(&node);
    let every: Vec<String> = keys::scopes().into_iter().collect();
    let (key, program) = (keys::secret(&ada, &every).await, program_of(&ada).await);
    let dead = [
        ("no token", "x"),
        ("signed out", ended.as_str()),
        ("expired", over.as_str()),
        ("an API key", key.as_str()),
        ("a program", program.secret.as_str()),
    ];
    let pages = looked_at_in_vain(&mut browser, &dead, &half).await;
    println!("{}", pages.ends_well("pages, sessions that are not good"));
    let forms = sent_in_vain(&mut browser, &dead, &half, [&session, &other]).await;
    println!("{}", forms.ends_well("forms, sessions that are not good"));
    ada.client.who_am_i().await.expect("something was done after all");
}

/// Every page by who has no session that is good, or one whose second factor is due.
async fn looked_at_in_vain(browser: &mut Browser, dead: &[(&str, &str)], half: &str) -> Walked {
    let mut walked = Walked::new();
    for (_, path, page) in ROUTES {
        let path = match page {
            Page::Own(_) => (*path).to_owned(),
            Page::One(_, of) => format!("{path}{}", of(&Ids::random())),
            _ => continue,
        };
        let callers = dead.iter().map(|(who, token)| (*who, Some(*token)));
        for (who, token) in callers.chain([("nobody", None)]) {
            let answer = browser.looks(&path, token).await;
            walked.answered(&path, who, &answer, &[200], "action=\"/auth/link\"");
        }
        let answer = browser.looks(&path, Some(half)).await;
        walked.answered(&path, "second factor due", &answer, &[200], "action=\"/auth/mfa\"");
    }
    walked
}

/// Every form by the same, and of a good session without what proves that one of its pages sent it.
async fn sent_in_vain(
    browser: &mut Browser,
    dead: &[(&str, &str)],
    half: &str,
    [good, other]: [&str; 2],
) -> Walked {
    let mut walked = Walked::new();
    let (own, others) = (proof_of(good), proof_of(other));
    for (_, path, page) in ROUTES {
        let (Page::Form(_, fields) | Page::Half(fields) | Page::Enter(fields)) = page else { continue };
        let fields = fields(&Ids::random());
        let elsewhere = Some("https://other.example");
        for (who, session, proof, origin) in [
            ("nobody", None, own.as_str(), None),
            ("without a proof", Some(good), "", None),
            ("another's proof", Some(good), &others, None),
            ("from elsewhere", Some(good), &own, elsewhere),
        ] {
            let answer = browser.sends(path, &fields, &Shows { session, proof, origin }).await;
            walked.answered(path, who, &answer, &[403], "");
        }
        let lawful: &[u16] = match page {
            _ if *path == OUT => &[303],
            // which is asked for its binding first, where it needs one
            Page::Enter(_) => &[401, 403],
            _ => &[401],
        };
        for (who, token) in dead {
            let shows = Shows { session: Some(token), proof: &proof_of(token), origin: None };
            let answer = browser.sends(path, &fields, &shows).await;
            walked.answered(path, who, &answer, lawful, "");
        }
        if let Page::Form(..) = page {
            let shows = Shows { session: Some(half), proof: &proof_of(half), origin: None };
            let answer = browser.sends(path, &fields, &shows).await;
            walked.answered(path, "second factor due", &answer, &[403], "");
        }
    }
    walked
}

/// Every page and form by members of the owner's tenant whose role is too low, and by the owner's session for recovery; the
/// things are the owner's.
pub(super) async fn by_roles(
    node: &TestNode,
    hers: &Ids,
    roles: &[(Least, String)],
    recovering: &str,
) -> String {
    let (mut browser, mut walked) = (Browser::at(node), Walked::new());
    asked_but(&IN_RECOVERY, &mut browser, &mut walked, hers, ("for recovery", recovering)).await;
    for (role, token) in roles {
        for (_, path, page) in ROUTES {
            let (Page::Own(least) | Page::One(least, _) | Page::Form(least, _)) = page else { continue };
            if role >= least {
                continue;
            }
            let answer = asked(&mut browser, path, page, hers, token).await;
            // another's thing is not even known to be there
            walked.answered(path, &format!("{role:?}"), &answer, &[403, 404], "");
        }
    }
    walked.ends_well("pages and forms, roles and recovery")
}

/// Every page and form by a session that a guardian's word gave to another address than the account's.
pub(super) async fn by_an_inert_session(node: &TestNode, inert: &str) -> String {
    let (mut browser, mut walked) = (Browser::at(node), Walked::new());
    asked_but(&INERT, &mut browser, &mut walked, &Ids::random(), ("inert", inert)).await;
    walked.ends_well("pages and forms, inert")
}

/// Every page and form but these, in vain, by a session that is good for something else.
async fn asked_but(
    these: &[&str],
    browser: &mut Browser,
    walked: &mut Walked,
    ids: &Ids,
    (who, session): (&str, &str),
) {
    for (_, path, page) in ROUTES {
        if matches!(page, Page::Own(_) | Page::One(..) | Page::Form(..)) && !these.contains(path) {
            let answer = asked(browser, path, page, ids, session).await;
            walked.answered(path, who, &answer, &[403, 404], "");
        }
    }
}

/// Every page and form that names a thing, which is another tenant's: answered as one that is nobody's.
pub(crate) async fn by_a_stranger(node: &TestNode, theirs: &Ids, token: &str) -> String {
    let (mut browser, mut walked) = (Browser::at(node), Walked::new());
    for (_, path, page) in ROUTES {
        if !names(page, theirs) {
            continue;
        }
        let nothing = Ids::random();
        let seen = asked(&mut browser, path, page, theirs, token).await;
        let unseen = asked(&mut browser, path, page, &nothing, token).await;
        let same = bare(&seen, page, theirs) == bare(&unseen, page, &nothing);
        // a session that is not there has ended, which was wanted
        let lawful: &[u16] = if *path == "/app/sessions/end" { &[303] } else { &[400, 404] };
        walked.answered(path, if same { "a stranger" } else { "DIFFERS" }, &seen, lawful, "");
        if !same {
            walked.wrong.push(format!("{path}: foreign {seen:?}, random {unseen:?}"));
        }
    }
    walked.ends_well("pages and forms, another tenant's ids")
}

async fn asked(browser: &mut Browser, path: &str, page: &Page, ids: &Ids, session: &str) -> Answer {
    match page {
        Page::Form(_, fields) => {
            let shows = Shows { session: Some(session), proof: &proof_of(session), origin: None };
            browser.sends(path, &fields(ids), &shows).await
        }
        Page::One(_, of) => browser.looks(&format!("{path}{}", of(ids)), Some(session)).await,
        _ => browser.looks(path, Some(session)).await,
    }
}

/// The ids that it is asked with; those that are made up each time are nobody's.
fn named(page: &Page, ids: &Ids) -> Vec<String> {
    match page {
        Page::Form(_, fields) => {
            let again = fields(ids);
            fields(ids).into_iter().filter(|field| again.contains(field)).map(|(_, value)| value).collect()
        }
        Page::One(_, of) => vec![of(ids)],
        _ => Vec::new(),
    }
}

fn names(page: &Page, theirs: &Ids) -> bool {
    let nothing = named(page, &Ids::random());
    named(page, theirs).iter().any(|id| !nothing.contains(id))
}

/// What was answered, without what is another at each request.
fn bare(answer: &Answer, page: &Page, ids: &Ids) -> (u16, String) {
    let request = answer.headers["ocmt-request-id"].to_str().unwrap();
    let mut body = answer.body.replace(request, "");
    for id in named(page, ids) {
        body = body.replace(&id, "");
    }
    (answer.status.as_u16(), body)
}
