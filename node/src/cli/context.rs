//! What every command of a user stands on: the stored session, the connection, the vault.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, bail};
use ocmt_client::{
    Client, ClientError, Identity,
    ca::ClusterCa,
    connect::{Credential, Target},
    state::{LocalState, StoredSession},
    vault::{Key, Vault},
};
use ocmt_crypto::{CryptoError, vault::Rollback};

use zeroize::Zeroizing;

use super::{
    args::{Global, PassphraseArgs},
    output::{Output, waiting},
    secrets,
};

/// The session of this command and how it shows its results.
pub(super) struct Context {
    global: Global,
    /// What this device remembers.
    pub(super) state: LocalState,
    /// Where results go.
    pub(super) out: Output,
}

impl Context {
    pub(super) fn new(global: Global) -> anyhow::Result<Self> {
        let folder = match &global.state_dir {
            Some(folder) => folder.clone(),
            None => default_state_dir()?,
        };
        let state = LocalState::open(&folder)?;
        let out = Output { json: global.json };
        Ok(Self { global, state, out })
    }

    /// The newest stored session that fits the arguments.
    pub(super) fn session(&self) -> Result<StoredSession, ClientError> {
        let (endpoint, tenant) = (self.global.endpoint.as_deref(), self.global.tenant);
        if let Some(found) = self.state.session(endpoint, tenant)? {
            return Ok(found);
        }
        // a session is good at every node, and kept under the endpoint that it was got at
        let text = match (endpoint, self.state.session(None, tenant)?) {
            (Some(asked), Some(other)) => format!(
                "signed in at {}, not at {asked}: leave --endpoint (OCMT_ENDPOINT) out, or `ocmt login` there. \
                 Several nodes of one cluster are given together, at login: --endpoint https://a:7443,https://b:7443",
                other.endpoint
            ),
            _ => "not signed in: run `ocmt login`".to_owned(),
        };
        Err(ClientError::Usage(text))
    }

    /// The address of whoever is signed in; empty if nobody is.
    pub(super) fn email(&self) -> String {
        self.session().map(|session| session.email.clone()).unwrap_or_default()
    }

    /// The tenant named on the command line.
    pub(super) fn tenant(&self) -> Option<ocmt_types::TenantId> {
        self.global.tenant
    }

    /// A connection with an API key, if there is one, else with the stored session.
    pub(super) async fn client(&self) -> anyhow::Result<Client> {
        if let Some(key) = self.api_key()? {
            let client = self.anonymous().await?.with_api_key(&key).await?;
            let of = client.identity()?.tenant;
            if self.global.tenant.is_some_and(|named| named != of) {
                let text = format!("the API key is of the tenant {of}, not of the one that --tenant names");
                return Err(ClientError::Usage(text).into());
            }
            return Ok(client);
        }
        let session = self.session()?;
        let pem = match &self.global.ca {
            Some(file) => read_ca(file)?,
            None => session.ca_pem.clone(),
        };
        let target = Target { endpoint: session.endpoint.clone(), ca: ClusterCa::from_pem(&pem)? };
        let identity = Identity { tenant: session.tenant, user: session.user };
        let client = Client::connect(target).await?;
        Ok(client.signed_in(Credential::new(session.token.clone()), identity))
    }

    /// The API key to ask with: of the file that was named, else of the environment. Never an argument.
    fn api_key(&self) -> anyhow::Result<Option<Zeroizing<String>>> {
        if let Some(file) = &self.global.api_key_file {
            return secrets::line(file).map(Some);
        }
        match env::var("OCMT_API_KEY") {
            Ok(key) if !key.is_empty() => Ok(Some(Zeroizing::new(key))),
            Ok(_) | Err(env::VarError::NotPresent) => Ok(None),
            Err(env::VarError::NotUnicode(_)) => {
                Err(ClientError::Usage("OCMT_API_KEY is no API key".to_owned()).into())
            }
        }
    }

    /// The cluster's authority: the one named, else that of the newest session; none if neither is there.
    pub(super) fn authority(&self) -> anyhow::Result<Option<ClusterCa>> {
        let last = || self.state.session(self.global.endpoint.as_deref(), self.global.tenant);
        let pem = match &self.global.ca {
            Some(file) => Some(read_ca(file)?),
            None => last()?.map(|last| last.ca_pem.clone()),
        };
        Ok(pem.map(|pem| ClusterCa::from_pem(&pem)).transpose()?)
    }

    /// A connection without a session, to the node named, else that of the last sign-in.
    pub(super) async fn anonymous(&self) -> anyhow::Result<Client> {
        let last = self.state.session(self.global.endpoint.as_deref(), None)?;
        let endpoint = self.global.endpoint.clone().or(last.as_ref().map(|last| last.endpoint.clone()));
        let pem = match &self.global.ca {
            Some(file) => Some(read_ca(file)?),
            None => last.as_ref().map(|last| last.ca_pem.clone()),
        };
        let (Some(endpoint), Some(pem)) = (endpoint, pem) else {
            let text = "name the node with --endpoint https://HOST:PORT and its authority with --ca FILE";
            return Err(ClientError::Usage(text.to_owned()).into());
        };
        Ok(Client::connect(Target { endpoint, ca: ClusterCa::from_pem(&pem)? }).await?)
    }

    /// The user's vault, opened.
    pub(super) async fn vault(&self, client: &Client, args: &PassphraseArgs) -> anyhow::Result<Vault> {
        let key = secrets::key(args)?;
        let wrong = match &key {
            Key::Backup(_) => "that is not the backup key of this vault",
            Key::Hardware(_) => "that is not the hardware token of this vault",
            Key::Passphrase(_) | Key::Recovery(_) => "the passphrase is wrong",
        };
        let rollback = if args.accept_rollback { Rollback::Accept } else { Rollback::Refuse };
        let what = match &key {
            Key::Hardware(_) => "asking your hardware token: touch it if it blinks",
            _ => "opening your vault",
        };
        let _waiting = waiting(what);
        match client.unlock_vault(None, key, &self.state, rollback).await {
            // the one error of the cryptography does not say what was wrong; here it is nearly always a typo
            Err(ClientError::Crypto(CryptoError::Refused)) => {
                bail!("the vault does not open: {wrong}, or what the node shows was changed")
            }
            opened => Ok(opened?),
        }
    }

    /// Keeps a fresh session as the one to use from now on.
    pub(super) fn keep(&self, client: &Client, email: String) -> anyhow::Result<()> {
        let identity = client.identity()?;
        let token = client.credential().map(|credential| credential.expose().to_owned());
        self.state.put_session(StoredSession {
            endpoint: client.target().endpoint.clone(),
            ca_pem: client.target().ca.pem().to_owned(),
            tenant: identity.tenant,
            user: identity.user,
            email,
            token: token.unwrap_or_default(),
        })?;
        Ok(())
    }
}

fn read_ca(file: &std::path::Path) -> anyhow::Result<String> {
    fs::read_to_string(file)
        .with_context(|| format!("cannot read the certificate authority {}", file.display()))
}

fn default_state_dir() -> anyhow::Result<PathBuf> {
    let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = folder("XDG_STATE_HOME").or_else(|| folder("HOME").map(|home| home.join(".local/state")));
    Ok(base.context("there is no home folder: name one with --state-dir")?.join("ocmt"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::{IdGen, RandomIds};

    use super::*;

    #[test]
    fn who_asks_at_another_endpoint_is_told_where_they_are_signed_in() {
        let folder = tempfile::tempdir().unwrap();
        let context = |endpoint: Option<&str>| {
            let endpoint = endpoint.map(str::to_owned);
            let state_dir = Some(folder.path().to_owned());
            let global =
                Global { json: false, endpoint, ca: None, tenant: None, api_key_file: None, state_dir };
            Context::new(global).unwrap()
        };
        let refused = |endpoint| context(endpoint).session().err().map(|error| error.to_string());
        assert!(refused(Some("https://b:7443")).unwrap().contains("not signed in"));
        let ids: &dyn IdGen = &RandomIds;
        let session = StoredSession {
            endpoint: "https://a:7443".to_owned(),
            ca_pem: String::new(),
            tenant: ids.id(),
            user: ids.id(),
            email: String::new(),
            token: String::new(),
        };
        context(None).state.put_session(session).unwrap();
        assert_eq!(refused(None), None);
        let text = refused(Some("https://b:7443")).unwrap();
        assert!(text.contains("signed in at https://a:7443, not at https://b:7443"), "{text}");
    }
}
