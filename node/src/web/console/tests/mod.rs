//! The console's routes over a store in memory with two nodes, as the operator listener serves them.
#![allow(clippy::unwrap_used)]

mod live;
mod work;

use std::time::Duration;

use axum::{Router, body::Body, http::StatusCode, response::Response};
use futures_util::future::BoxFuture;
use ocmt_actors::{ActingOperator, ActorError, OperatorAct, OperatorAnswer};
use ocmt_crypto::audit::{Actor, Outcome};
use ocmt_store::{
    ClusterAct, Store,
    tables::{self, NodeState, Operator},
    testing::{TestNode, id},
};
use ocmt_types::{Digest32, ManualClock, RandomIds, SystemClock, TenantId, Timestamp};
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::*;
use crate::{
    config::Listen,
    edge::site::Site,
    operator::{Hands, Parts, routes, shown_by},
    pki::{Pki, ServerNames},
};

const HERE: &str = "https://localhost:7446";
/// What a browser sends with a form of one of our pages.
const OURS: [(&str, &str); 2] = [("origin", HERE), ("sec-fetch-site", "same-origin")];
const EVIL: &str = "<img src=x onerror=alert(1)>";

/// Nothing here is asked of nodes that run.
struct Nobody;

impl Hands for Nobody {
    fn release<'a>(
        &'a self,
        _: &'a tables::Node,
        _: TenantId,
        _: Duration,
    ) -> BoxFuture<'a, Result<(), ActorError>> {
        Box::pin(async { Err(ActorError::NotFound) })
    }

    fn administer(
        &self,
        _: TenantId,
        _: ActingOperator,
        _: OperatorAct,
        _: Duration,
    ) -> BoxFuture<'_, Result<OperatorAnswer, ActorError>> {
        Box::pin(async { Err(ActorError::NotFound) })
    }
}

struct Stage {
    store: Store,
    app: Router,
    clock: ManualClock,
    ada: Operator,
    first: TestNode,
    _folder: TempDir,
}

impl Stage {
    async fn set() -> Self {
        let (folder, store) = (TempDir::new().unwrap(), Store::sim());
        let cluster = store.cluster().cluster(id(9), Timestamp(0)).await.unwrap().cluster_id;
        let clock = ManualClock::at(Timestamp(1_000_000));
        let names = ServerNames::of(&[], []);
        let pki = Pki::open(folder.path(), true, names, Arc::new(SystemClock), &RandomIds).unwrap();
        let first = TestNode::start(&store, 1).await.unwrap();
        TestNode::start(&store, 2).await.unwrap();
        let ada = operator(1, "Ada");
        let act = ClusterAct {
            at: Timestamp(1),
            request: id(1),
            actor: Actor::Operator(*ada.operator_id.as_bytes()),
            action: "operator.first",
            object: format!("operator/{}", ada.operator_id),
            outcome: Outcome::Allowed,
            details: vec![("why".to_owned(), EVIL.to_owned())],
            remember: None,
        };
        assert!(store.operators().add_first_operator(&ada, &act).await.unwrap());
        let rpc = OperatorRpc::new(Parts {
            store: store.clone(),
            pki,
            clock: Arc::new(clock.clone()),
            ids: Arc::new(RandomIds),
            cluster,
            endpoint: HERE.to_owned(),
            hands: Arc::new(Nobody),
        });
        let ground = Ground {
            store: store.clone(),
            counts: Box::new(|| "ocmt_ceremony_transitions_total{state=\"vetoed\"} 3\n".to_owned()),
            config: Config::default(),
            clock: Arc::new(clock.clone()),
            node: first.node_id,
        };
        let site = Arc::new(Site::of_operators(&Listen::default()));
        let app = routes(&rpc, console(rpc.clone(), ground), site);
        Self { store, app, clock, ada, first, _folder: folder }
    }

    async fn send(
        &self,
        who: Option<&Operator>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut request = http::Request::builder().method(method).uri(format!("{HERE}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if method == "POST" && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        if let Some(who) = who {
            request.extensions_mut().insert(shown_by(who.operator_id, who.fingerprint));
        }
        self.app.clone().oneshot(request).await.unwrap()
    }

    async fn page(&self, path: &str) -> String {
        let answer = self.send(Some(&self.ada), "GET", path, &[], "").await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        text(answer).await
    }

    async fn post(&self, who: &Operator, path: &str, token: &str, headers: &[(&str, &str)]) -> StatusCode {
        self.send(Some(who), "POST", path, headers, &format!("token={token}")).await.status()
    }

    async fn state(&self) -> NodeState {
        let living = self.store.cluster().living_nodes().await.unwrap();
        living.into_iter().find(|node| node.node_id == self.first.node_id).unwrap().state
    }

    fn path(&self, act: &str) -> String {
        format!("/console/nodes/{}/{act}", self.first.node_id)
    }

    /// The token in the form of that page.
    async fn token(&self, act: &str) -> String {
        let page = self.page(&self.path(act)).await;
        let (_, rest) = page.split_once("name=\"token\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

fn operator(number: u8, name: &str) -> Operator {
    Operator {
        operator_id: id(u64::from(number)),
        name: name.to_owned(),
        fingerprint: Digest32([number; 32]),
        created_at: Timestamp(0),
        expires_at: Timestamp(2_000_000),
        revoked_at: None,
    }
}

async fn text(answer: Response) -> String {
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Every route of the console that is looked at, out of its source.
fn routes_there() -> Vec<&'static str> {
    let source = include_str!("../router.rs");
    let named = source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
    named.filter(|route| route.starts_with("/console")).collect()
}

#[tokio::test]
async fn every_page_is_shut_to_whose_certificate_is_not_good_now() {
    let stage = Stage::set().await;
    let (node, other) = (stage.first.node_id, operator(2, "Eve"));
    let reissued = Operator { fingerprint: Digest32([7; 32]), ..operator(1, "Ada") };
    let routes = routes_there();
    assert!(routes.len() > 10, "{routes:?}");
    for route in routes {
        let path = route.replace("{id}", &node.to_string()).replace("{act}", "drain");
        let path = path.replace("{*rest}", "x/y");
        for (what, who) in
            [("no certificate", None), ("unknown", Some(&other)), ("an earlier one", Some(&reissued))]
        {
            let answer = stage.send(who, "GET", &path, &[], "").await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}: {what}");
            let said = text(answer).await;
            assert!(!said.contains(&node.to_string()) && !said.contains("Ada"), "{path}: {what}: {said}");
        }
    }
    let token = stage.token("drain").await;
    assert_eq!(stage.post(&other, &stage.path("drain"), &token, &OURS).await, StatusCode::UNAUTHORIZED);
    stage.clock.advance(Duration::from_secs(1000));
    let ended = stage.send(Some(&stage.ada), "GET", "/console", &[], "").await;
    assert_eq!(ended.status(), StatusCode::UNAUTHORIZED, "its time is over");
    assert_eq!(stage.state().await, NodeState::Live);
}

#[tokio::test]
async fn pages_show_what_is_there_and_names_are_text() {
    let stage = Stage::set().await;
    let (node, tenant) = (stage.first.node_id.to_string(), stage.first.found(3).await.unwrap().tenant);
    let overview = stage.page("/console").await;
    assert!(overview.contains("You are Ada") && overview.contains("2 / 2"), "{overview}");
    let nodes = stage.page("/console/nodes").await;
    assert!(nodes.contains(&node) && nodes.contains("serving"), "{nodes}");
    assert!(stage.page(&format!("/console/nodes/{node}")).await.contains("Drain this node"));
    let placed = stage.page("/console/placement").await;
    assert!(placed.contains(&tenant.to_string()) && placed.contains(&node), "{placed}");
    let none = stage.page(&format!("/console/placement?node={}", id::<NodeId>(2))).await;
    assert!(!none.contains(&tenant.to_string()), "{none}");
    assert!(stage.page("/console/tenants").await.contains("tenant 3"));
    let work = stage.page("/console/work").await;
    let vetoed = "over: the owner stopped it</th><td>3</td><td><svg class=\"bar\" viewBox=\"0 0 100 10\"";
    assert!(work.contains(vetoed), "{work}");
    for (path, shown) in [
        ("/console/alerts", "operator.first"),
        ("/console/audit", "operator.first"),
        ("/console/audit/heads", "own"),
    ] {
        let page = stage.page(path).await;
        assert!(page.contains(shown) && !page.contains(EVIL), "{path}: {page}");
    }
    assert!(stage.page("/console/audit").await.contains("&#60;img src=x"), "it is there, as text");
    assert!(stage.page("/console?language=de").await.contains("Knoten im Dienst"));
    for (path, status) in [
        ("/console/nodes/x", StatusCode::NOT_FOUND),
        ("/console/nothing", StatusCode::NOT_FOUND),
        ("/console/nodes/x/y/z", StatusCode::NOT_FOUND),
        (&*stage.path("forget"), StatusCode::NOT_FOUND),
        ("/console/placement?after=x", StatusCode::BAD_REQUEST),
        ("/console/audit/heads?after=x", StatusCode::BAD_REQUEST),
        ("/console/tenants?after=%3Cscript%3E", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(stage.send(Some(&stage.ada), "GET", path, &[], "").await.status(), status, "{path}");
    }
}

#[tokio::test]
async fn the_audit_is_read_page_by_page_without_a_gap() {
    let stage = Stage::set().await;
    for number in 2..=60 {
        let act = ClusterAct {
            at: Timestamp(number),
            request: id(1),
            actor: Actor::Node(stage.first.node_id),
            action: "node.dead",
            object: format!("node/number-{number}-"),
            outcome: Outcome::Allowed,
            details: Vec::new(),
            remember: None,
        };
        stage.store.operators().record(&act).await.unwrap();
    }
    let there =
        |page: &str| (2..=60).filter(|n| page.contains(&format!("node/number-{n}-"))).collect::<Vec<_>>();
    let newest = stage.page("/console/audit").await;
    assert_eq!(there(&newest), (11..=60).collect::<Vec<_>>());
    let (_, next) = newest.split_once("/console/audit?before=").unwrap();
    let before = next.split('"').next().unwrap();
    let oldest = stage.page(&format!("/console/audit?before={before}")).await;
    assert_eq!(there(&oldest), (2..=10).collect::<Vec<_>>());
    assert!(oldest.contains("operator.first") && !oldest.contains("?before="), "{oldest}");
    for odd in ["-5", "0", "9223372036854775807", "-9223372036854775808"] {
        stage.page(&format!("/console/audit?before={odd}")).await;
    }
}

#[tokio::test]
async fn a_form_drains_its_node_once_and_is_taken_from_its_own_page_alone() {
    let stage = Stage::set().await;
    let (ada, drain) = (&stage.ada, stage.path("drain"));
    let token = stage.token("drain").await;
    for (what, headers) in [
        ("no origin", &[][..]),
        ("another origin", &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")][..]),
        ("another port", &[("origin", "https://localhost:7443"), ("sec-fetch-site", "same-site")][..]),
        ("another site by its own word", &[("origin", HERE), ("sec-fetch-site", "cross-site")][..]),
    ] {
        assert_eq!(stage.post(ada, &drain, &token, headers).await, StatusCode::FORBIDDEN, "{what}");
    }
    let other = format!("/console/nodes/{}/drain", id::<NodeId>(2));
    for (what, path, token) in [
        ("no token", &drain, ""),
        ("a made-up one", &drain, "AAAA"),
        ("another act", &stage.path("resume"), &*token),
        ("another node", &other, &*token),
    ] {
        assert_eq!(stage.post(ada, path, token, &OURS).await, StatusCode::FORBIDDEN, "{what}");
    }
    assert_eq!(stage.state().await, NodeState::Live, "something was done after all");
    assert_eq!(stage.post(ada, &drain, &token, &OURS).await, StatusCode::SEE_OTHER);
    assert_eq!(stage.state().await, NodeState::Draining);
    let resume = stage.token("resume").await;
    assert_eq!(stage.post(ada, &stage.path("resume"), &resume, &OURS).await, StatusCode::SEE_OTHER);
    // sent again it is answered, and does nothing
    assert_eq!(stage.post(ada, &drain, &token, &OURS).await, StatusCode::SEE_OTHER);
    assert_eq!(stage.state().await, NodeState::Live);
    let audit = stage.page("/console/audit").await;
    assert_eq!((audit.matches("cluster.drain").count(), audit.matches("cluster.resume").count()), (1, 1));
    let late = stage.token("drain").await;
    stage.clock.advance(Duration::from_secs(300));
    assert_eq!(stage.post(ada, &drain, &late, &OURS).await, StatusCode::FORBIDDEN, "five minutes later");
}

#[tokio::test]
async fn a_page_calls_no_method_with_the_certificate_of_its_browser() {
    let stage = Stage::set().await;
    let path = "/ocmt.v1.ClusterService/ListNodes";
    let call = async |headers: &[(&str, &str)]| {
        let headers = [headers, &[("content-type", "application/grpc")]].concat();
        stage.send(Some(&stage.ada), "POST", path, &headers, "\0\0\0\0\0").await
    };
    let program = call(&[]).await;
    // how it ended is said behind the message, and before it only where there is none
    assert!(
        program.status() == StatusCode::OK && !program.headers().contains_key("grpc-status"),
        "{program:?}"
    );
    for headers in
        [&OURS[..], &[("origin", "null")], &[("sec-fetch-site", "cross-site")], &[("sec-fetch-site", "none")]]
    {
        let page = call(headers).await;
        // PERMISSION_DENIED, on either protocol
        let refused = page.headers().get("grpc-status").is_some_and(|status| status == "7");
        assert!(refused || page.status() == StatusCode::FORBIDDEN, "{headers:?}: {page:?}");
    }
}

#[tokio::test]
async fn a_page_of_others_leads_here_and_takes_nothing_for_itself() {
    let stage = Stage::set().await;
    for (site, mode, status) in [
        ("cross-site", "cors", StatusCode::FORBIDDEN),
        ("same-site", "no-cors", StatusCode::FORBIDDEN),
        ("cross-site", "navigate", StatusCode::OK),
        ("same-origin", "cors", StatusCode::OK),
        ("none", "navigate", StatusCode::OK),
    ] {
        let headers = [("sec-fetch-site", site), ("sec-fetch-mode", mode)];
        for path in ["/console", "/console/events"] {
            let answer = stage.send(Some(&stage.ada), "GET", path, &headers, "").await;
            assert_eq!(answer.status(), status, "{path}: {headers:?}");
        }
    }
}
