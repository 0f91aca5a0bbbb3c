//! The ground that faults are played on does what it says: a cut link loses packets and a mended one does not, the
//! database comes back with what was committed, and nothing is left behind.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use ocmt_cluster_tests::{network::Network, postgres::Postgres, wait::until};

const PORT: &str = "7444";
const PATIENCE: Duration = Duration::from_secs(60);

/// Something on a host that answers, until it is dropped.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(network: &Network, host: usize) -> Served {
    let (namespace, address) = (network.namespace(host), network.address(host).to_string());
    let redis = ["redis-server", "--bind", &address, "--port", PORT, "--save", ""];
    let serve = ["netns", "exec", &namespace, "setpriv", "--pdeathsig", "KILL"];
    let mut command = Command::new("ip");
    command.args(serve).args(redis).current_dir("/").stdout(Stdio::null());
    Served(command.args(["--protected-mode", "no"]).spawn().unwrap())
}

/// Whether another host answers; a lost packet is waited for 1 s.
fn reaches(network: &Network, host: usize, other: usize) -> bool {
    let (namespace, address) = (network.namespace(host), network.address(other).to_string());
    let ask = ["netns", "exec", &namespace, "timeout", "1", "redis-cli", "-h", &address, "-p", PORT, "ping"];
    let output = Command::new("ip").args(ask).output().unwrap();
    String::from_utf8_lossy(&output.stdout).contains("PONG")
}

/// Whether the database answers a host.
fn is_served(network: &Network, host: usize, port: u16) -> bool {
    let (namespace, gateway, port) =
        (network.namespace(host), network.gateway().to_string(), port.to_string());
    let ask = ["netns", "exec", &namespace, "pg_isready", "-q", "-t", "1", "-h", &gateway, "-p", &port];
    Command::new("ip").args(ask).output().unwrap().status.success()
}

#[tokio::test]
async fn chaos_ground_cuts_what_it_is_told_and_mends_it_again() {
    let network = Network::new(3).unwrap();
    let mut postgres = Postgres::start(network.gateway()).await.unwrap();
    let _served: Vec<Served> = (0..3).map(|host| serve(&network, host)).collect();
    let all = async || Ok(reaches(&network, 0, 1) && reaches(&network, 1, 0) && reaches(&network, 1, 2));
    until("all hosts answer", PATIENCE, all).await.unwrap();
    // of what goes through one try may come too late on a busy machine; of what was cut none comes at all
    let goes = async |what: &str, is: &dyn Fn() -> bool| {
        until(what, PATIENCE, async || Ok(is())).await.unwrap();
    };
    goes("the third answers", &|| reaches(&network, 0, 2)).await;
    network.cut(0, 1).unwrap();
    assert!(!reaches(&network, 0, 1) && !reaches(&network, 1, 0));
    goes("what was not cut", &|| reaches(&network, 0, 2) && reaches(&network, 1, 2)).await;
    goes("the database", &|| is_served(&network, 0, postgres.port())).await;
    network.cut_port(0, postgres.port()).unwrap();
    assert!(!is_served(&network, 0, postgres.port()));
    goes("the database elsewhere", &|| is_served(&network, 1, postgres.port())).await;
    network.heal(0).unwrap();
    goes("what was mended", &|| reaches(&network, 0, 1) && is_served(&network, 0, postgres.port())).await;

    let pool = postgres.pool("postgres").await.unwrap();
    sqlx::query("CREATE TABLE kept (n bigint)").execute(&pool).await.unwrap();
    sqlx::query("INSERT INTO kept VALUES (7)").execute(&pool).await.unwrap();
    postgres.crash().await.unwrap();
    assert!(!is_served(&network, 1, postgres.port()));
    postgres.run().await.unwrap();
    let kept = async || {
        let row = sqlx::query_scalar::<_, i64>("SELECT n FROM kept").fetch_one(&pool).await;
        Ok(row.is_ok_and(|n| n == 7))
    };
    until("the committed row is there", PATIENCE, kept).await.unwrap();

    let namespace = network.namespace(0);
    drop((pool, postgres, network));
    let left = Command::new("ip").args(["netns", "list"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&left.stdout).contains(&namespace), "a namespace was left");
}
