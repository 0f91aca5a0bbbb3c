//! Every method of the contract: it is served to whoever may call it, or says that it is not built.

use std::collections::BTreeSet;

use ocmt::rpc::unimplemented;
use ocmt_testkit::{TestNode, raw};
use tonic::Code;

use crate::requests::{self, Ids};

/// Those that one calls in order to get a credential.
const OPEN: [&str; 5] = [
    "/ocmt.v1.AuthService/SignUp",
    "/ocmt.v1.AuthService/RequestMagicLink",
    "/ocmt.v1.AuthService/ExchangeMagicLink",
    "/ocmt.v1.UserService/AcceptInvite",
    // a node's, by invitation
    "/ocmt.v1.ClusterService/JoinCluster",
];

#[tokio::test]
async fn what_is_not_built_says_so_and_all_else_is_served() {
    let node = TestNode::start().await.unwrap();
    let channel = node.target().unwrap().connect().await.unwrap();
    let served: BTreeSet<String> = requests::all(&Ids::random()).into_iter().map(|made| made.path).collect();
    let mut unbuilt = Vec::new();
    for method in ocmt_proto::methods::all() {
        match unimplemented::reason(method.path) {
            Some(why) => {
                let answer = raw::call(&channel, method.path, None, Vec::new()).await.unwrap();
                assert_eq!(
                    (answer.code, answer.message.as_str()),
                    (Code::Unimplemented, why),
                    "{}",
                    method.path
                );
                assert_eq!(answer.reason, "UNIMPLEMENTED", "{}", method.path);
                unbuilt.push(method.path);
            }
            None => assert!(served.contains(method.path), "{} is served, but no test calls it", method.path),
        }
    }
    println!("{} methods served, {} not built yet: {unbuilt:#?}", served.len(), unbuilt.len());
    for path in &served {
        assert!(unimplemented::reason(path).is_none(), "{path} is listed as not built");
        let answer = raw::call(&channel, path, None, Vec::new()).await.unwrap();
        assert_ne!(answer.code, Code::Unimplemented, "{path} is neither served nor listed");
    }
}

#[tokio::test]
async fn every_served_method_asks_for_a_good_credential() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let good = ada.token().unwrap();
    let bob = node.person("bob").await.unwrap();
    let ended = bob.token().unwrap();
    bob.client.sign_out().await.unwrap();
    let last = if good.ends_with('0') { "1" } else { "0" };
    let altered = format!("{}{last}", &good[..good.len() - 1]);
    let credentials = [None, Some("x"), Some("ocmt_ses_"), Some(altered.as_str()), Some(ended.as_str())];
    let mut wrong = Vec::new();
    for made in requests::all(&Ids::random()).iter().filter(|made| !OPEN.contains(&made.path.as_str())) {
        // the listener ends connections whose streams break off by the dozen, which these do
        let channel = node.target().unwrap().connect().await.unwrap();
        for credential in credentials {
            let answer = raw::call(&channel, &made.path, credential, made.bytes.clone()).await.unwrap();
            if answer.code != Code::Unauthenticated {
                wrong.push(format!("{} with {credential:?}: {answer:?}", made.path));
            }
            assert!(
                !answer.message.contains(credential.unwrap_or("\0")),
                "{} echoes the credential",
                made.path
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
