//! Against something that speaks as much S3 as is needed: parts, whole objects, and refusals.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use futures_util::{TryStreamExt as _, stream};
use ocmt_types::{IdGen, RandomIds};
use sha2::{Digest as _, Sha256};

use super::*;

#[derive(Default)]
struct Bucket {
    objects: HashMap<String, Vec<u8>>,
    parts: BTreeMap<u32, Vec<u8>>,
    aborted: u32,
    largest: usize,
}

type Shared = Arc<Mutex<Bucket>>;

/// One upload at a time, of whoever shows the right name and hashes what they send.
async fn serve(
    State(bucket): State<Shared>,
    method: Method,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let said = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
    let hash = HEXLOWER.encode(&Sha256::digest(&body));
    let signed = said("authorization").starts_with("AWS4-HMAC-SHA256 Credential=me/");
    if !signed || (said("x-amz-content-sha256") != hash && said("x-amz-content-sha256") != "UNSIGNED-PAYLOAD")
    {
        return StatusCode::FORBIDDEN.into_response();
    }
    let (path, mut bucket) = (uri.path().to_owned(), bucket.lock().unwrap());
    let part = query.get("partNumber").and_then(|it| it.parse::<u32>().ok());
    match (method, part) {
        (Method::POST, _) if query.contains_key("uploads") => {
            bucket.parts.clear();
            "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
                .into_response()
        }
        (Method::PUT, Some(part)) => {
            bucket.largest = bucket.largest.max(body.len());
            bucket.parts.insert(part, body.to_vec());
            [("etag", format!("\"{part}\""))].into_response()
        }
        // several at once, which deletes one too
        (Method::POST, _) if query.contains_key("delete") => {
            let text = String::from_utf8(body.to_vec()).unwrap();
            let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
            let mut said = vec!["<DeleteResult>".to_owned()];
            for key in keys {
                bucket.objects.remove(&format!("{}/{key}", path.trim_end_matches('/')));
                said.push(format!("<Deleted><Key>{key}</Key></Deleted>"));
            }
            said.push("</DeleteResult>".to_owned());
            said.concat().into_response()
        }
        (Method::POST, _) => {
            let whole = std::mem::take(&mut bucket.parts).into_values().collect::<Vec<_>>().concat();
            bucket.objects.insert(path, whole);
            "<CompleteMultipartUploadResult><ETag>\"x\"</ETag></CompleteMultipartUploadResult>"
                .into_response()
        }
        (Method::DELETE, _) if query.contains_key("uploadId") => {
            bucket.aborted += 1;
            StatusCode::NO_CONTENT.into_response()
        }
        (Method::DELETE, _) => {
            bucket.objects.remove(&path);
            StatusCode::NO_CONTENT.into_response()
        }
        (Method::GET, _) => match bucket.objects.get(&path) {
            Some(found) => {
                let head = [
                    ("etag", "\"x\"".to_owned()),
                    ("last-modified", "Wed, 21 Oct 2026 07:28:00 GMT".to_owned()),
                ];
                (head, found.clone()).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        },
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

async fn bucket(access_key: &str) -> (S3, Shared) {
    let shared = Shared::default();
    let app = Router::new()
        .fallback(serve)
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(Arc::clone(&shared));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let it = config::Snapshots {
        s3_endpoint: format!("http://{}", listener.local_addr().unwrap()),
        s3_access_key_id: access_key.to_owned(),
        ..config::Snapshots::default()
    };
    crate::tasks::spawn(async move { axum::serve(listener, app).await });
    let tls = crate::tls::trusting(std::path::Path::new("")).unwrap();
    let place = ("copies".to_owned(), "ocmt".to_owned());
    (S3::open(&it, place, Some(Secret::new("secret".to_owned())), tls, true).unwrap(), shared)
}

/// What is meant for TLS never goes in clear: the first byte is that of a handshake.
#[tokio::test]
async fn a_bucket_behind_tls_is_spoken_to_over_tls() {
    use tokio::io::AsyncReadExt as _;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let it = config::Snapshots {
        s3_endpoint: format!("https://{}", listener.local_addr().unwrap()),
        s3_access_key_id: "me".to_owned(),
        ..config::Snapshots::default()
    };
    let tls = crate::tls::trusting(std::path::Path::new("")).unwrap();
    let place = ("copies".to_owned(), "ocmt".to_owned());
    let store = S3::open(&it, place, Some(Secret::new("secret".to_owned())), tls, false).unwrap();
    let first = async { listener.accept().await.unwrap().0.read_u8().await.unwrap() };
    let (tenant, snapshot) = ids();
    let first = tokio::select! {
        biased;
        first = first => first,
        read = store.read(tenant, snapshot) => panic!("nobody has answered: {}", read.is_ok()),
    };
    assert_eq!(first, 22);
}

fn ids() -> (TenantId, SnapshotId) {
    let ids: &dyn IdGen = &RandomIds;
    (ids.id(), ids.id())
}

async fn content(store: &S3, (tenant, snapshot): (TenantId, SnapshotId)) -> Vec<u8> {
    let pieces: Vec<_> = store.read(tenant, snapshot).await.unwrap().try_collect().await.unwrap();
    pieces.concat()
}

#[tokio::test]
async fn an_object_goes_in_parts_comes_back_whole_and_is_deleted() {
    let (store, shared) = bucket("me").await;
    let (tenant, snapshot) = ids();
    let piece = Bytes::from(vec![7; 300_000]);
    let pieces = stream::iter((0..80).map({
        let piece = piece.clone();
        move |_| Ok(piece.clone())
    }));
    store.write(tenant, snapshot, pieces.boxed()).await.unwrap();
    let name = format!("/copies/ocmt/{tenant}/{snapshot}");
    assert_eq!(shared.lock().unwrap().objects[&name].len(), 80 * 300_000);
    assert!(shared.lock().unwrap().largest <= PART, "a part is bounded");
    assert_eq!(content(&store, (tenant, snapshot)).await, vec![7; 80 * 300_000]);
    store.delete(tenant, snapshot).await.unwrap();
    store.delete(tenant, snapshot).await.unwrap();
    assert!(shared.lock().unwrap().objects.is_empty());
    let gone = store.read(tenant, snapshot).await.err().unwrap();
    assert_eq!(gone.0, "has no such object");
}

#[tokio::test]
async fn what_breaks_off_is_no_object() {
    let (store, shared) = bucket("me").await;
    let (tenant, snapshot) = ids();
    let broken = stream::iter([
        Ok(Bytes::from_static(b"half")),
        Err(SnapshotStoreError("the cell broke off".to_owned())),
    ]);
    let refused = store.write(tenant, snapshot, broken.boxed()).await.unwrap_err();
    assert_eq!(refused.0, "the cell broke off");
    assert!(shared.lock().unwrap().objects.is_empty());
    assert_eq!(shared.lock().unwrap().aborted, 1);
}

#[tokio::test]
async fn whoever_is_not_let_in_hears_so() {
    let (store, _) = bucket("somebody").await;
    let (tenant, snapshot) = ids();
    let refused = store.read(tenant, snapshot).await.err().unwrap();
    assert_eq!(refused.0, "does not let this node in");
}

/// FIPS 180-4 and RFC 4231, case 2.
#[test]
fn digests_are_what_the_standards_say() {
    let mut sha = Digests.digest(DigestAlgorithm::Sha256).unwrap();
    sha.update(b"a");
    sha.update(b"bc");
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(HEXLOWER.encode(sha.finish().unwrap()), expected);
    let mut mac = Digests.hmac(DigestAlgorithm::Sha256, b"Jefe").unwrap();
    mac.update(b"what do ya want ");
    mac.update(b"for nothing?");
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(HEXLOWER.encode(mac.finish().unwrap()), expected);
}
