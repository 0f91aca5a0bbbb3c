//! Something that alerts are posted to: it keeps what came, and answers as the test wants.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, StatusCode, body::Incoming};
use serde_json::Value;
use tokio::{sync::watch, task::JoinSet};

use crate::secure::Secure;

/// How long a test waits for a post at the most.
const PATIENCE: Duration = Duration::from_secs(90);

/// One post.
#[derive(Debug, Clone)]
pub struct Posted {
    /// Path and query.
    pub path: String,
    /// The signature, if there was one.
    pub signature: Option<String>,
    /// The body as it came.
    pub text: String,
    /// The body, where it is JSON.
    pub body: Value,
}

/// The receiver; gone when it is dropped.
pub struct Receiver {
    /// `https://localhost:PORT`.
    pub url: String,
    /// Its authority, PEM.
    pub ca_pem: String,
    posts: Arc<Mutex<Vec<Posted>>>,
    came: watch::Receiver<usize>,
    status: Arc<AtomicU16>,
    hangs: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl Receiver {
    /// Starts one on a free port of this machine.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let secure = Secure::listen().await?;
        let (url, ca_pem) = (format!("https://{}", secure.host), secure.ca_pem.clone());
        let (posts, status) = (Arc::<Mutex<Vec<Posted>>>::default(), Arc::new(AtomicU16::new(200)));
        let hangs = Arc::<AtomicBool>::default();
        let (told, came) = watch::channel(0);
        let told = Arc::new(told);
        let (kept, answers, stuck) = (Arc::clone(&posts), Arc::clone(&status), Arc::clone(&hangs));
        let tasks = secure.serve(move |request| {
            let status = (!stuck.load(Ordering::SeqCst)).then(|| answers.load(Ordering::SeqCst));
            take(Arc::clone(&kept), Arc::clone(&told), status, request)
        });
        Ok(Self { url, ca_pem, posts, came, status, hangs, _tasks: tasks })
    }

    /// It answers so from now on.
    pub fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// It takes what comes from now on, and never answers; or answers again.
    pub fn hangs(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::SeqCst);
    }

    /// What came so far.
    pub fn posts(&self) -> Vec<Posted> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first post that is so, when it has come.
    ///
    /// # Errors
    /// None came in time.
    pub async fn post(&self, is: impl Fn(&Posted) -> bool) -> anyhow::Result<Posted> {
        let mut came = self.came.clone();
        let find = || self.posts().into_iter().find(|post| is(post));
        let wait = came.wait_for(|_| find().is_some());
        tokio::time::timeout(PATIENCE, wait).await.context("no such post came")??;
        find().context("it went")
    }
}

async fn take(
    kept: Arc<Mutex<Vec<Posted>>>,
    told: Arc<watch::Sender<usize>>,
    status: Option<u16>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let signature = request.headers().get("ocmt-signature");
    let signature = signature.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let path = request.uri().to_string();
    let bytes =
        request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let body = serde_json::from_str(&text).unwrap_or_default();
    kept.lock().unwrap_or_else(PoisonError::into_inner).push(Posted { path, signature, text, body });
    told.send_modify(|came| *came += 1);
    let Some(status) = status else { return std::future::pending().await };
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    Ok(answer)
}
