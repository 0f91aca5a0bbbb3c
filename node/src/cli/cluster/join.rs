//! `ocmt cluster join`: keys made here, certificates that come back. Nothing is said to a server before it has
//! shown that it is of the authority in the invitation.

use std::{io::Read as _, path::Path, sync::Arc};

use anyhow::Context as _;
use hyper_util::rt::TokioIo;
use ocmt_client::ClientError;
use ocmt_crypto::join::JoinToken;
use ocmt_proto::v1::{self as pb, cluster_service_client::ClusterServiceClient};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use zeroize::Zeroizing;

use super::connect::{innermost, key, refused};
use crate::{
    cli::{
        args::JoinArgs,
        output::{Output, note},
        show,
    },
    pki::{self, Admission, Joining, ServerNames},
};

/// Longest invitation that is read, in bytes.
const LONGEST: u64 = 4096;

pub(super) async fn run(args: &JoinArgs, out: Output) -> anyhow::Result<()> {
    let token = token(args.token_file.as_deref())?;
    let token = JoinToken::parse(token.trim()).map_err(|_| {
        ClientError::Usage("that is no invitation of `ocmt cluster invite`, or not all of it".to_owned())
    })?;
    pki::private_dir(&args.data_dir)?;
    let joining =
        Joining::prepare(&args.data_dir.join("pki"), ServerNames::of(&[], args.name.iter().cloned()))?;
    let mut cluster = ClusterServiceClient::new(connect(&token).await?);
    let request = pb::JoinClusterRequest {
        token: token.expose().to_owned(),
        certificate_request_der: joining.node_request()?.into(),
        listener_request_der: joining.listener_request()?.into(),
        sealing_recipient_key: joining.recipient().0.to_vec().into(),
        address: args.advertise.clone(),
        idempotency_key: key(),
    };
    let answer = cluster.join_cluster(request).await.map_err(refused)?.into_inner();
    let admission = read(answer)?;
    let (node, cluster) = (admission.node, admission.cluster);
    joining
        .finish(token.ca(), admission)
        .context("the invitation was used, but its answer cannot be kept")?;
    out.value(&serde_json::json!({ "node": node, "cluster": cluster }), || {
        show::facts(&[("node", node.to_string()), ("cluster", cluster.to_string())])
    })?;
    if !out.json {
        note("This machine is of the cluster now. Next: start it with `ocmt node --config FILE`.");
    }
    Ok(())
}

/// The invitation: from a file, the environment, or the terminal.
fn token(file: Option<&Path>) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    match file {
        Some(path) if path == Path::new("-") => {
            std::io::stdin().lock().take(LONGEST).read_to_string(&mut text)?;
        }
        Some(path) => {
            let open = std::fs::File::open(path);
            let read = open.and_then(|file| file.take(LONGEST).read_to_string(&mut text));
            read.with_context(|| format!("cannot read the invitation {}", path.display()))?;
        }
        None => match std::env::var("OCMT_JOIN_TOKEN") {
            Ok(token) => text = Zeroizing::new(token),
            Err(_) => {
                let typed = rpassword::prompt_password("Invitation: ").map_err(|_| {
                    ClientError::Usage(
                        "there is no terminal to ask for the invitation on: use --token-file or OCMT_JOIN_TOKEN"
                            .to_owned(),
                    )
                })?;
                text = Zeroizing::new(typed);
            }
        },
    }
    Ok(text)
}

/// A channel to the node that made the invitation, and to no other.
async fn connect(token: &JoinToken) -> anyhow::Result<Channel> {
    let failed = |why: String| ClientError::Connect { endpoint: token.endpoint().to_owned(), why };
    let uri: Uri = token.endpoint().parse().map_err(|_| failed("is no URL".to_owned()))?;
    let authority = uri.authority().context("the invitation names no host")?.to_string();
    let tls = TlsConnector::from(Arc::new(pki::joining_client(token.ca())?));
    let connector = tower::service_fn(move |_: Uri| {
        let (tls, authority) = (tls.clone(), authority.clone());
        async move {
            let tcp = TcpStream::connect(&authority).await?;
            let name = ServerName::try_from(pki::JOIN_NAME).map_err(std::io::Error::other)?;
            std::io::Result::Ok(TokioIo::new(tls.connect(name, tcp).await?))
        }
    });
    // the connector speaks TLS itself, with a name of its own
    let endpoint = Endpoint::from_shared(token.endpoint().replacen("https://", "http://", 1));
    let endpoint = endpoint.map_err(|error| failed(error.to_string()))?;
    endpoint.connect_with_connector(connector).await.map_err(|error| failed(innermost(&error)).into())
}

fn read(answer: pb::JoinClusterResponse) -> anyhow::Result<Admission> {
    let wrong = |what| ClientError::Answer(what);
    let chain = |ders: Vec<bytes::Bytes>| ders.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
    Ok(Admission {
        cluster: answer.cluster_id.parse().map_err(|_| wrong("cluster_id"))?,
        node: answer.node_id.parse().map_err(|_| wrong("node_id"))?,
        ca: CertificateDer::from(answer.ca_der.to_vec()),
        node_chain: chain(answer.certificate_chain_der),
        listener_chain: chain(answer.listener_chain_der),
        sealed: answer.sealed_sealing_keys.to_vec(),
    })
}
