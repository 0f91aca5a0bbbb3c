//! Lists the caller's containers, wakes those that sleep, and prints the first records of the audit.
//!
//! ```sh
//! OCMT_ENDPOINT=https://127.0.0.1:7443 OCMT_CA=ca.pem OCMT_API_KEY=ocmt_key_... \
//!     cargo run -p ocmt-client --example quickstart
//! ```

#![allow(clippy::print_stdout)]

use std::{env, error::Error, fs};

use ocmt_client::{Client, ca::ClusterCa, connect::Target, container::State};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // the cluster's own authority alone is believed
    let ca = ClusterCa::from_pem(&fs::read_to_string(env::var("OCMT_CA")?)?)?;
    let target = Target { endpoint: env::var("OCMT_ENDPOINT")?, ca };
    let client = Client::connect(target).await?.with_api_key(&env::var("OCMT_API_KEY")?).await?;

    for one in client.list_containers().await? {
        println!("{} {:?}", one.id, one.state);
        if matches!(one.state, State::Paused | State::Stopped) {
            // repeated by the client when a node is lost on the way, and done once all the same
            let (_, wake) = client.wake_container(one.id).await?;
            println!("  woke {} {} ms", wake.kind, wake.millis);
        }
    }
    let records = client.audit_lines().await?;
    for line in records.iter().take(5) {
        println!("{} {} {}", line.seq, line.action, line.outcome);
    }
    // and what no other client here does: is it all there, and as it was written?
    let head = ocmt_client::audit::verify(client.identity()?.tenant, &records)?;
    println!("{} records verified", head.seq);
    Ok(())
}
