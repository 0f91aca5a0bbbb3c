//! Letters to a mail server by SMTP (RFC 5321): over TLS from the first byte or after a required STARTTLS.
//!
//! `lettre` speaks SMTP. The way to the server is ours: its own STARTTLS keeps what was read in clear for what was said
//! under TLS, so that whoever stands in between answers for the server. One connection a letter, few at once, each ended
//! by the clock.

mod failure;
mod starttls;
mod stream;

use std::{net::IpAddr, sync::Arc, time::Duration};

use lettre::{
    Message,
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
    },
};
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};
use tokio_rustls::TlsConnector;

use self::{
    failure::{Step, of},
    stream::Carried,
};
use super::{Failure, MailSetting};
use crate::{
    config::{self, SmtpTls},
    secret_file, tls,
};

/// How long one of the server's addresses has to take a connection before the next is tried.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a server that has the letter may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// A mail server, and how it is spoken to.
pub struct Smtp {
    host: String,
    port: u16,
    tls: Option<Tls>,
    hello: ClientId,
    credentials: Option<Credentials>,
    timeout: Duration,
    /// A server has few connections for one client.
    at_once: Semaphore,
}

struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    after_starttls: bool,
}

impl Smtp {
    /// The server that (checked) `settings` name; it is not spoken to yet. We call ourselves by the host of `base_url`.
    ///
    /// # Errors
    /// [`MailSetting`] for files that cannot be read or hold something else.
    pub fn open(settings: &config::Mail, base_url: &str) -> Result<Self, MailSetting> {
        let wrong = |problem| MailSetting::new("mail.smtp", problem);
        let (host, port) = settings.server().ok_or_else(|| wrong("must be `HOST:PORT`"))?;
        let tls = match settings.smtp_tls {
            SmtpTls::None => None,
            kind => Some(Tls {
                connector: TlsConnector::from(Arc::new(
                    tls::trusting(&settings.smtp_ca_file)
                        .map_err(|problem| MailSetting::new("mail.smtp_ca_file", problem))?,
                )),
                name: ServerName::try_from(host.clone()).map_err(|_| wrong("names no host"))?,
                after_starttls: kind == SmtpTls::Starttls,
            }),
        };
        let password = secret_file::read(&settings.smtp_password_file)
            .map_err(|error| MailSetting::new("mail.smtp_password_file", error.to_string()))?;
        let credentials =
            password.map(|password| Credentials::new(settings.smtp_user.clone(), password.expose().clone()));
        let at_once = usize::try_from(settings.smtp_connections).unwrap_or(1);
        Ok(Self {
            host,
            port,
            tls,
            hello: hello(base_url),
            credentials,
            timeout: settings.smtp_timeout.0,
            at_once: Semaphore::new(at_once),
        })
    }

    /// Hands one letter over.
    pub(super) async fn send(&self, message: &Message) -> Result<(), Failure> {
        // each that holds a place is bounded, so the wait is too
        let _place = self.at_once.acquire().await.map_err(|_| Failure::Later("the node stops".to_owned()))?;
        let mut connection = timeout(self.timeout, self.letter(message))
            .await
            .map_err(|_| self.stuck(format!("did not take a letter within {:?}", self.timeout)))??;
        // it is the server's by now, whatever it says to this
        let _ = timeout(GOODBYE, connection.quit()).await;
        Ok(())
    }

    /// The connection, on which the server has taken the letter.
    async fn letter(&self, message: &Message) -> Result<AsyncSmtpConnection, Failure> {
        let refused = |step| move |error| of(step, &error, &self.host);
        let stream = Box::new(self.connect().await?);
        let mut it = AsyncSmtpConnection::connect_with_transport(stream, &self.hello)
            .await
            .map_err(refused(Step::Hello))?;
        if let Some(credentials) = &self.credentials {
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            it.auth(&mechanisms, credentials).await.map_err(refused(Step::Auth))?;
        }
        let envelope = message.envelope();
        let mut parameters = Vec::new();
        if !envelope.to().iter().all(|to| AsRef::<str>::as_ref(to).is_ascii()) {
            if !it.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(Failure::Refused("the mail server takes ASCII addresses alone".to_owned()));
            }
            // the address stands in the header as it is
            parameters =
                vec![MailParameter::SmtpUtfEight, MailParameter::Body(MailBodyParameter::EightBitMime)];
        }
        it.command(Mail::new(envelope.from().cloned(), parameters)).await.map_err(refused(Step::Sender))?;
        for to in envelope.to() {
            it.command(Rcpt::new(to.clone(), Vec::new())).await.map_err(refused(Step::Addressee))?;
        }
        it.command(Data).await.map_err(refused(Step::Letter))?;
        it.message(&message.formatted()).await.map_err(refused(Step::Letter))?;
        Ok(it)
    }

    /// A stream on which nothing was said yet, or whose greeting says no more than that TLS is up.
    async fn connect(&self) -> Result<Carried, Failure> {
        let mut tcp = self.tcp().await?;
        let Some(tls) = &self.tls else { return Ok(Carried::with_its_greeting(tcp)) };
        if tls.after_starttls {
            starttls::ask(&mut tcp, &self.hello).await.map_err(|why| self.stuck(why))?;
        }
        let stream = tls.connector.connect(tls.name.clone(), tcp).await;
        let stream = stream.map_err(|error| self.stuck(format!("no TLS: {error}")))?;
        Ok(if tls.after_starttls { Carried::greeted(stream) } else { Carried::with_its_greeting(stream) })
    }

    async fn tcp(&self) -> Result<TcpStream, Failure> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let addresses = found.map_err(|error| self.stuck(format!("is not found: {error}")))?;
        let mut last = "has no address".to_owned();
        for address in addresses {
            match timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = format!("cannot be reached: {error}"),
                Err(_) => last = format!("does not answer at {address}"),
            }
        }
        Err(self.stuck(last))
    }

    fn stuck(&self, why: impl std::fmt::Display) -> Failure {
        Failure::Stuck(format!("the mail server {}:{} {why}", self.host, self.port))
    }
}

/// The host of our address; servers look at it, and some want a name.
fn hello(base_url: &str) -> ClientId {
    let uri = base_url.parse::<http::Uri>().unwrap_or_default();
    let host = uri.host().unwrap_or("localhost").trim_matches(['[', ']']);
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => ClientId::Ipv4(address),
        Ok(IpAddr::V6(address)) => ClientId::Ipv6(address),
        Err(_) => ClientId::Domain(host.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_calls_itself_by_the_host_of_its_address() {
        for (url, name) in [
            ("https://ocmt.example.org:7443", "ocmt.example.org"),
            ("https://192.0.2.1", "[192.0.2.1]"),
            ("https://[2001:db8::1]:7443", "[IPv6:2001:db8::1]"),
            ("https://a\r\nRSET", "localhost"),
        ] {
            assert_eq!(hello(url).to_string(), name);
        }
    }
}
