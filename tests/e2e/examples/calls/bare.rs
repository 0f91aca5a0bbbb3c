//! The least that answers a `GetEntry`: TLS, tonic and an actor that has the answer. A process of its own, as the node is.

use std::{
    convert::Infallible,
    fs,
    net::Ipv4Addr,
    path::Path,
    process::Stdio,
    task::{Context, Poll},
};

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use ocmt_client::{Client, connect::Target};
use ocmt_proto::v1::{GetEntryRequest, GetEntryResponse};
use ocmt_testkit::TestNode;
use prost::Message as _;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, rpc::CallResult};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};
use tonic::{
    Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService, UnaryService},
    transport::{Identity, Server as Tonic, ServerTlsConfig, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

/// The first argument of the process that is this server.
pub(crate) const NAME: &str = "bare";

/// Dropping it ends the process.
pub(crate) struct Server {
    _child: Child,
    endpoint: String,
}

impl Server {
    /// One with the certificate of `node`, that answers what `clients` get there.
    pub(crate) async fn start(
        node: &TestNode,
        clients: &[Client],
        request: &GetEntryRequest,
    ) -> anyhow::Result<Self> {
        let client = clients.first().context("no client")?;
        let answer = client.vaults().get_entry(request.clone()).await?.into_inner();
        let file = node.folder().join("answer");
        fs::write(&file, answer.encode_to_vec())?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg(NAME)
            .args([&node.folder().join("data"), &file])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let said = child.stdout.take().context("it says nothing")?;
        let endpoint = BufReader::new(said).lines().next_line().await?.context("it ended")?;
        Ok(Self { _child: child, endpoint })
    }

    /// Where it is, under the authority that `client` believes.
    pub(crate) fn target(&self, client: &Client) -> Target {
        client.target().at(&self.endpoint)
    }
}

/// The process: answers until it is killed.
pub(crate) async fn serve(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let (data, answer) = (arguments.next().context("no folder")?, arguments.next().context("no answer")?);
    let read = |name: &str| fs::read(Path::new(&data).join("pki").join(name));
    let identity = Identity::from_pem(read("listener.pem")?, read("listener.key")?);
    let answer = GetEntryResponse::decode(fs::read(answer)?.as_slice())?;
    let (actor, _) = Actor::spawn(None, Keeper, answer).await?;
    let listener = TcpIncoming::bind((Ipv4Addr::LOCALHOST, 0).into())?.with_nodelay(Some(true));
    println!("https://{}", listener.local_addr()?);
    Tonic::builder()
        .tls_config(ServerTlsConfig::new().identity(identity))?
        .add_service(Bare(actor))
        .serve_with_incoming(listener)
        .await?;
    Ok(())
}

struct Keeper;

type Ask = RpcReplyPort<GetEntryResponse>;

impl Actor for Keeper {
    type Msg = Ask;
    type State = GetEntryResponse;
    type Arguments = GetEntryResponse;

    async fn pre_start(
        &self,
        _: ActorRef<Ask>,
        answer: GetEntryResponse,
    ) -> Result<GetEntryResponse, ActorProcessingErr> {
        Ok(answer)
    }

    async fn handle(
        &self,
        _: ActorRef<Ask>,
        ask: Ask,
        answer: &mut GetEntryResponse,
    ) -> Result<(), ActorProcessingErr> {
        let _ = ask.send(answer.clone());
        Ok(())
    }
}

#[derive(Clone)]
struct Bare(ActorRef<Ask>);

impl NamedService for Bare {
    const NAME: &'static str = "ocmt.v1.VaultService";
}

impl tower::Service<http::Request<Body>> for Bare {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let actor = Self(self.0.clone());
        Box::pin(async move {
            let codec = ProstCodec::<GetEntryResponse, GetEntryRequest>::default();
            Ok(Grpc::new(codec).unary(actor, request).await)
        })
    }
}

impl UnaryService<GetEntryRequest> for Bare {
    type Response = GetEntryResponse;
    type Future = BoxFuture<'static, Result<Response<GetEntryResponse>, Status>>;

    fn call(&mut self, _: Request<GetEntryRequest>) -> Self::Future {
        let actor = self.0.clone();
        Box::pin(async move {
            match actor.call(|port| port, None).await {
                Ok(CallResult::Success(answer)) => Ok(Response::new(answer)),
                _ => Err(Status::unavailable("the actor is gone")),
            }
        })
    }
}
