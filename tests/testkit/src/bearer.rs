//! TLS that shows a client certificate for whoever cannot: a browser of tests has no way to be given one without a person's click.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::Context as _;
use ocmt::pki::OperatorFiles;
use rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Passes what comes to a port of this machine on to another, as an operator. It changes nothing: hosts and origins are those that the
/// browser says. Ends when it is dropped.
pub struct Bearer {
    /// Where it is, `https://ADDRESS:PORT`, at the address of the node and a port of its own.
    pub origin: String,
    _tasks: JoinSet<()>,
}

impl Bearer {
    /// Of the operator whose files are in `folder`, to the operator listener at `node`, which is on this machine.
    ///
    /// # Errors
    /// The files cannot be read, or there is no port.
    pub async fn start(folder: &Path, node: SocketAddr) -> anyhow::Result<Self> {
        let connector = TlsConnector::from(Arc::new(towards(&OperatorFiles::load(folder)?)?));
        let acceptor = TlsAcceptor::from(Arc::new(own(&node.ip().to_string())?));
        // the host that the browser says is one of the node's names then
        let listener = TcpListener::bind((node.ip(), 0)).await?;
        let origin = format!("https://{}", listener.local_addr()?);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, connector) = (acceptor.clone(), connector.clone());
                talks.spawn(async move {
                    let Ok(mut browser) = acceptor.accept(tcp).await else { return };
                    let Ok(tcp) = TcpStream::connect(node).await else { return };
                    let Ok(mut there) = connector.connect(ServerName::from(node.ip()), tcp).await else {
                        return;
                    };
                    let _ = copy_bidirectional(&mut browser, &mut there).await;
                });
            }
        });
        Ok(Self { origin, _tasks: tasks })
    }
}

fn towards(files: &OperatorFiles) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(files.ca.as_bytes()).context("no authority")?)?;
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(files.certificate.as_bytes()).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(files.key.as_bytes()).context("no key")?;
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut tls = tls.with_client_auth_cert(chain, key)?;
    // what the browser's own connection speaks
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

fn own(address: &str) -> anyhow::Result<ServerConfig> {
    let made = rcgen::generate_simple_self_signed([address.to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    Ok(tls.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key)?)
}
