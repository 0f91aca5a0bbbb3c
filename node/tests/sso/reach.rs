//! Whom a node asks because a tenant says so.

use std::sync::Arc;

use ocmt::sso::{Fetch, Providers};
use ocmt_actors::api::sso::SsoBegun;
use ocmt_types::Secret;
use tokio_rustls::TlsConnector;
use tonic::Code;

use crate::{
    kit::Kit,
    provider::{CLIENT, Provider, Wrong},
};

#[tokio::test]
async fn a_provider_that_is_not_what_it_says_is_not_used() {
    for wrong in [Wrong::CallsItselfOtherwise, Wrong::KeysInClear, Wrong::SendsElsewhere, Wrong::Endless] {
        let kit = Kit::start(wrong).await;
        let refused = kit.begin().await.err().unwrap_or_else(|| panic!("{wrong:?} was used"));
        assert_eq!(refused.code(), Some(Code::Unavailable), "{wrong:?}: {refused}");
        assert!(!kit.provider.asked().contains(&"/elsewhere".to_owned()));
    }
}

#[tokio::test]
async fn outside_dev_and_demo_nothing_of_the_nodes_own_network_is_asked() {
    let provider = Provider::start(Wrong::Nothing).await;
    let begun = SsoBegun {
        issuer: provider.issuer.clone(),
        client_id: CLIENT.to_owned(),
        state: Secret::new("s".to_owned()),
        nonce: "n".to_owned(),
        verifier: Secret::new("v".repeat(43)),
    };
    for (reaches_all, goes) in [(true, true), (false, false)] {
        let tls = ocmt::tls::trusting(&provider.ca_file).unwrap();
        let fetch = Fetch::new(TlsConnector::from(Arc::new(tls)), reaches_all);
        let url = Providers::new(fetch, "https://node.example").authorization(&begun).await;
        assert_eq!(url.is_ok(), goes, "{reaches_all}: {url:?}");
        let asked = provider.asked().len();
        assert_eq!(asked, 2, "what it says of itself and its keys, and nothing the second time");
    }
}
