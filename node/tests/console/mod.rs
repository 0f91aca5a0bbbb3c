//! The console of a node that runs, asked over TLS as a browser asks.

use std::time::Duration;

use http_body_util::BodyExt as _;
use ocmt::pki::OperatorFiles;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use tonic::{
    body::Body,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use tower::ServiceExt as _;

use crate::staff::{Cluster, done, text};

const NAME: &str = "Ada <img src=x onerror=alert(1)>";
const PAGES: [&str; 9] = [
    "/console",
    "/console/nodes",
    "/console/placement",
    "/console/tenants",
    "/console/work",
    "/console/alerts",
    "/console/audit",
    "/console/audit/heads",
    "/console/findings",
];

async fn ask(channel: &Channel, method: &str, path: &str, form: &str, origin: &str) -> http::Response<Body> {
    let request = http::Request::builder().method(method).uri(path);
    let request = match form {
        "" => request.body(Body::empty()),
        form => request
            .header("origin", origin)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::new(http_body_util::Full::from(form.to_owned()))),
    };
    channel.clone().oneshot(request.unwrap()).await.unwrap()
}

async fn read(answer: http::Response<Body>) -> String {
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_browsers_key_opens_the_console_until_its_certificate_is_revoked() {
    let cluster = Cluster::start().await;
    let out = cluster.path("browser");
    let add = ["operators", "add", NAME, "--browser", "--out", text(&out)];
    let ada = done(&cluster.as_operator("operator", &add).await)["operator"].as_str().unwrap().to_owned();
    let files = OperatorFiles::load(&out).unwrap();
    let key = KeyPair::from_pem(&files.key).unwrap();
    assert_eq!(key.algorithm(), &PKCS_ECDSA_P256_SHA256, "no browser shows a certificate of another kind");
    let browser = cluster.channel("browser").await;
    let get = async |path: &str| ask(&browser, "GET", path, "", "").await;
    assert_eq!(get("/").await.headers()["location"], "/console");
    for path in PAGES {
        let answer = get(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        let page = read(answer).await;
        assert!(page.contains("/console/findings") && !page.contains("<img"), "{path}: {page}");
    }
    let overview = read(get("/console").await).await;
    assert!(overview.contains("Ada &#60;img"), "{overview}");
    let (_, rest) = overview.split_once("rel=\"stylesheet\" href=\"").unwrap();
    assert_eq!(get(rest.split('"').next().unwrap()).await.status(), 200);
    let nodes = done(&cluster.as_operator("operator", &["nodes"]).await);
    let node = nodes[0]["node"].as_str().unwrap();
    // alone it has nobody who would take its tenants
    let drain = format!("/console/nodes/{node}/drain");
    let page = read(get(&drain).await).await;
    let (_, rest) = page.split_once("name=\"token\" value=\"").unwrap();
    let form = format!("token={}", rest.split('"').next().unwrap());
    let drained = ask(&browser, "POST", &drain, &form, cluster.endpoint()).await;
    assert_eq!(drained.status(), 409);
    assert!(read(drained).await.contains("there is no other live node"));

    let mut live = get("/console/events").await.into_body();
    let first = live.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(String::from_utf8_lossy(&first).contains(node), "{first:?}");
    done(&cluster.as_operator("operator", &["operators", "revoke", &ada, "--yes"]).await);
    for path in PAGES {
        assert_eq!(get(path).await.status(), 401, "{path}");
    }
    assert_eq!(get("/console/events").await.status(), 401);
    let ends = async { while live.frame().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(60), ends).await.expect("it is told of changes for good");

    // where clients are served there is none, whoever asks
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&files.ca));
    let endpoint = Endpoint::from_shared(cluster.node.endpoints().client.clone()).unwrap();
    let client = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
    for path in PAGES {
        assert_eq!(ask(&client, "GET", path, "", "").await.status(), 404, "{path}");
    }
    cluster.node.stop().await;
}
