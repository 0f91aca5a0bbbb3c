//! A mail server of a few lines, which does what a test wants of it.

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How it comes to TLS, or does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Way {
    #[default]
    Implicit,
    Starttls,
    /// Somebody took the offer out.
    Stripped,
    /// Somebody speaks behind the consent to TLS.
    InjectsBehindConsent,
    /// Somebody speaks before the client has asked for TLS.
    InjectsBehindOffer,
    Clear,
    /// One line without an end.
    Endless,
    /// The same under TLS.
    EndlessUnderTls,
}

/// What a test wants.
#[derive(Default)]
pub(crate) struct Wish {
    pub(crate) way: Way,
    /// For which name its certificate is; `localhost` if empty.
    pub(crate) name: &'static str,
    pub(crate) password: Option<&'static str>,
    pub(crate) offers: Vec<&'static str>,
    /// The next answers to a verb (`.` is the end of a letter) instead of the usual ones.
    pub(crate) answers: Mutex<VecDeque<(&'static str, &'static str)>>,
    /// Says nothing to this verb and all that follows. The empty one is the greeting.
    pub(crate) hangs_at: Option<&'static str>,
}

/// A letter as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Received {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) text: String,
}

/// What has happened so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    pub(crate) taken: Vec<Received>,
    /// Letters that were refused at their end.
    pub(crate) turned_away: Vec<Received>,
    pub(crate) clear: Vec<String>,
    pub(crate) under_tls: Vec<String>,
    pub(crate) open: usize,
    pub(crate) most_open: usize,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) ca_file: PathBuf,
    pub(crate) log: watch::Sender<Log>,
    folder: tempfile::TempDir,
    _tasks: JoinSet<()>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Server {
    pub(crate) async fn start(wish: Wish) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = if wish.name.is_empty() { "localhost" } else { wish.name };
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, made.cert.pem()).unwrap();
        let key = rustls_pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls = tls.unwrap().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key);
        let acceptor = TlsAcceptor::from(Arc::new(tls.unwrap()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = watch::Sender::<Log>::default();
        let mut tasks = JoinSet::new();
        let (wish, its_log) = (Arc::new(wish), log.clone());
        tasks.spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let talk = Talk { wish: wish.clone(), log: its_log.clone(), acceptor: acceptor.clone() };
                talks.spawn(async move {
                    talk.log.send_modify(|log| {
                        log.open += 1;
                        log.most_open = log.most_open.max(log.open);
                    });
                    let _ = talk.begin(Box::new(stream)).await;
                    talk.log.send_modify(|log| log.open -= 1);
                });
            }
        });
        Self { address, ca_file, log, folder, _tasks: tasks }
    }

    /// A file for the user of this test alone.
    pub(crate) fn secret_file(&self, text: &str, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.folder().join("password");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn seen(&self) -> Log {
        self.log.borrow().clone()
    }

    /// The log, once it is like this.
    pub(crate) async fn when(&self, holds: impl FnMut(&Log) -> bool) -> Log {
        let mut log = self.log.subscribe();
        timeout(PATIENCE, log.wait_for(holds)).await.expect("the server never saw it").unwrap().clone()
    }
}

struct Talk {
    wish: Arc<Wish>,
    log: watch::Sender<Log>,
    acceptor: TlsAcceptor,
}

impl Talk {
    async fn begin(&self, mut stream: Box<dyn Stream>) -> io::Result<()> {
        match self.wish.way {
            Way::Endless => self.never_end(&mut stream).await,
            Way::Implicit | Way::EndlessUnderTls => {
                if self.wish.hangs_at == Some("TLS") {
                    return std::future::pending().await;
                }
                let mut stream: Box<dyn Stream> = Box::new(self.acceptor.accept(stream).await?);
                if self.wish.way == Way::EndlessUnderTls {
                    return self.never_end(&mut stream).await;
                }
                self.talk(stream, true, true).await.map(drop)
            }
            _ => match self.talk(stream, false, true).await? {
                Some(stream) => {
                    let stream = Box::new(self.acceptor.accept(stream).await?);
                    self.talk(stream, true, false).await.map(drop)
                }
                None => Ok(()),
            },
        }
    }

    async fn never_end(&self, stream: &mut Box<dyn Stream>) -> io::Result<()> {
        stream.write_all(b"220 ").await?;
        loop {
            stream.write_all(&[b'x'; 4096]).await?;
        }
    }

    /// Until the end, or until the client wants TLS.
    async fn talk(
        &self,
        stream: Box<dyn Stream>,
        tls: bool,
        greets: bool,
    ) -> io::Result<Option<Box<dyn Stream>>> {
        let mut stream = BufReader::new(stream);
        let (mut letter, mut line) = (Received::default(), String::new());
        if greets {
            self.answer(&mut stream, "", "220 test ESMTP").await?;
        }
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(None);
            }
            let said = line.trim_end().to_owned();
            let verb = said.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            self.log
                .send_modify(|log| if tls { &mut log.under_tls } else { &mut log.clear }.push(said.clone()));
            match verb.as_str() {
                "EHLO" => self.answer(&mut stream, "EHLO", &self.extensions(tls)).await?,
                "STARTTLS" => {
                    let injected = self.wish.way == Way::InjectsBehindConsent;
                    let rest = if injected { "\r\n250-evil\r\n250 AUTH PLAIN" } else { "" };
                    self.answer(&mut stream, "STARTTLS", &format!("220 go on{rest}")).await?;
                    return Ok(Some(stream.into_inner()));
                }
                "AUTH" => {
                    let right = self.wish.password.is_some_and(|right| {
                        said == format!("AUTH PLAIN {}", data_encoding::BASE64.encode(right.as_bytes()))
                    });
                    // as some servers do, it repeats what it does not like
                    let no = format!("535 5.7.8 cannot take {said}");
                    self.answer(&mut stream, "AUTH", if right { "235 2.7.0 yes" } else { &no }).await?;
                }
                "MAIL" => {
                    letter.from = said;
                    self.answer(&mut stream, "MAIL", "250 2.1.0 yes").await?;
                }
                "RCPT" => {
                    letter.to = said;
                    self.answer(&mut stream, "RCPT", "250 2.1.5 yes").await?;
                }
                "DATA" => {
                    self.answer(&mut stream, "DATA", "354 go on").await?;
                    letter.text = text(&mut stream).await?;
                    let answer = self.next(".").unwrap_or("250 2.0.0 taken");
                    let it = std::mem::take(&mut letter);
                    self.log.send_modify(|log| {
                        if answer.starts_with('2') { &mut log.taken } else { &mut log.turned_away }.push(it);
                    });
                    self.answer(&mut stream, ".", answer).await?;
                }
                "QUIT" => return self.answer(&mut stream, "QUIT", "221 bye").await.map(|()| None),
                _ => self.answer(&mut stream, "", "500 5.5.1 what").await?,
            }
        }
    }

    async fn answer(
        &self,
        stream: &mut BufReader<Box<dyn Stream>>,
        verb: &str,
        usual: &str,
    ) -> io::Result<()> {
        if self.wish.hangs_at == Some(verb) {
            return std::future::pending().await;
        }
        let answer = if verb == "." { usual } else { self.next(verb).unwrap_or(usual) };
        stream.get_mut().write_all(format!("{answer}\r\n").as_bytes()).await?;
        stream.get_mut().flush().await
    }

    fn next(&self, verb: &str) -> Option<&'static str> {
        let mut answers = self.wish.answers.lock().unwrap();
        let at = answers.iter().position(|(of, _)| *of == verb)?;
        answers.remove(at).map(|(_, answer)| answer)
    }

    fn extensions(&self, tls: bool) -> String {
        let mut lines = vec!["test"];
        let offers =
            matches!(self.wish.way, Way::Starttls | Way::InjectsBehindConsent | Way::InjectsBehindOffer);
        if offers && !tls {
            lines.push("STARTTLS");
        }
        if self.wish.password.is_some() {
            lines.push("AUTH PLAIN LOGIN");
        }
        lines.extend(&self.wish.offers);
        let last = lines.pop().unwrap();
        let rest: String = lines.iter().map(|line| format!("250-{line}\r\n")).collect();
        let injected = self.wish.way == Way::InjectsBehindOffer && !tls;
        format!("{rest}250 {last}{}", if injected { "\r\n220 go on\r\n250 evil" } else { "" })
    }
}

/// A letter up to its end, with doubled dots made single.
async fn text(stream: &mut BufReader<Box<dyn Stream>>) -> io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == ".\r\n" {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
