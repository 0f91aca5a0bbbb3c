//! Every method of the contract: it is served, or says that it is not built. To whom: [`crate::walk`].

use std::collections::BTreeSet;

use ocmt::rpc::unimplemented;
use ocmt_testkit::{TestNode, raw};
use tonic::Code;

use crate::requests::{self, Ids};

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
