//! What agents may do: whose word the cell takes, where the workload reads it, and when it hears of a change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod common;

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use common::{
    Client, Options, Script, TestCell, children_of, level, policy::Host, status, status_when, user::User,
};
use ocmt_crypto::cell::StartSecret;
use ocmt_proto::cell::v1::{LockReason, LockRequest, PutAgentPolicyRequest, WorkloadState};

fn reason(status: &tonic::Status) -> &str {
    status.metadata().get("ocmt-cell-reason").map_or("", |reason| reason.to_str().unwrap())
}

async fn refused(client: &mut Client, request: PutAgentPolicyRequest) -> String {
    reason(&client.put_agent_policy(request).await.unwrap_err()).to_owned()
}

/// A workload that writes down where its policy is and what it says, at its start and whenever it is told.
fn reader(out: &Path) -> Script {
    let out = out.display();
    Script::new(&format!(
        "say() {{ echo \"$OCMT_AGENT_POLICY $(cat $OCMT_AGENT_POLICY) $1\" >> {out}; }}\n\
         trap 'say told' HUP\nsay started\nwhile :; do sleep 0.05; done"
    ))
}

/// The last line, once there are so many.
async fn line(out: &Path, count: usize) -> Vec<String> {
    level("a line of the workload", || {
        let text = std::fs::read_to_string(out).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        (lines.len() >= count && text.ends_with('\n'))
            .then(|| lines[count - 1].split(' ').map(str::to_owned).collect())
    })
    .await
}

#[tokio::test]
async fn the_workload_reads_the_policy_from_its_start_and_is_told_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let script = reader(&out);
    let cell = TestCell::start(&Options { workload: &script.argv(), ..Options::default() });
    let (mut client, host) = (cell.bare_client().await, Host::of(&cell));
    client.put_agent_policy(host.gives(1, "{\"a\":1}")).await.unwrap();
    User::new().unlock(&cell, &mut client, &[]).await.unwrap();
    let first = line(&out, 1).await;
    assert_eq!(first[1..], ["{\"a\":1}", "started"]);
    let file = Path::new(&first[0]);
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o444);
    assert_eq!(std::fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);

    client.put_agent_policy(host.gives(2, "{\"a\":2}")).await.unwrap();
    assert_eq!(line(&out, 2).await[1..], ["{\"a\":2}", "told"]);
    // what holds already is no news
    client.put_agent_policy(host.gives(2, "{\"a\":2}")).await.unwrap();
    client.put_agent_policy(host.gives(3, "{\"a\":3}")).await.unwrap();
    assert_eq!(line(&out, 3).await[1..], ["{\"a\":3}", "told"]);
}

#[tokio::test]
async fn nothing_is_started_before_it_is_known_what_agents_may_do() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let script = reader(&out);
    let options = Options { workload: &script.argv(), extra: &["--start-locked"], ..Options::default() };
    let cell = TestCell::start(&options);
    let (mut client, host, user) = (cell.bare_client().await, Host::of(&cell), User::new());
    let early = user.unlock(&cell, &mut client, &[]).await.err().unwrap();
    assert_eq!(reason(&early), "CELL_NO_POLICY");
    assert!(children_of(cell.pid()).is_empty(), "something runs without a policy");
    assert_eq!(status(&mut client).await.workload_state(), WorkloadState::Waiting);
    let forged = Host::with(&StartSecret::generate(&mut rand::rng()), cell.place);
    assert_eq!(refused(&mut client, forged.gives(1, "{}")).await, "CELL_POLICY_REFUSED");
    assert!(children_of(cell.pid()).is_empty(), "a forged policy started it");

    client.put_agent_policy(host.gives(1, "{}")).await.unwrap();
    assert_eq!(line(&out, 1).await[1..], ["{}", "started"]);
    // also what comes after a lock, by policy without secrets
    user.unlock(&cell, &mut client, &[]).await.unwrap();
    line(&out, 2).await;
    client.lock(LockRequest { reason: LockReason::User.into() }).await.unwrap();
    assert_eq!(line(&out, 3).await[1..], ["{}", "started"]);
}

#[tokio::test]
async fn what_is_tampered_with_anothers_or_older_is_refused_and_the_one_before_holds() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let script = reader(&out);
    let cell = TestCell::start(&Options { workload: &script.argv(), ..Options::default() });
    let (mut client, host) = (cell.bare_client().await, Host::of(&cell));
    client.put_agent_policy(host.gives(5, "{\"five\":5}")).await.unwrap();
    User::new().unlock(&cell, &mut client, &[]).await.unwrap();
    let file = line(&out, 1).await.remove(0);

    let good = host.gives(6, "{\"six\":6}");
    let flipped = |bytes: &bytes::Bytes| {
        let mut bytes = bytes.to_vec();
        bytes[0] ^= 1;
        bytes::Bytes::from(bytes)
    };
    for (what, tampered) in [
        ("document", PutAgentPolicyRequest { document: flipped(&good.document), ..good.clone() }),
        ("statement", PutAgentPolicyRequest { statement: flipped(&good.statement), ..good.clone() }),
        ("signer", PutAgentPolicyRequest { signer: flipped(&good.signer), ..good.clone() }),
        ("voucher", PutAgentPolicyRequest { voucher: flipped(&good.voucher), ..good.clone() }),
    ] {
        assert_eq!(refused(&mut client, tampered).await, "CELL_POLICY_REFUSED", "{what}");
    }
    let another = Host::of(&cell).another_key();
    let unvouched = PutAgentPolicyRequest { voucher: good.voucher.clone(), ..another.gives(6, "{}") };
    assert_eq!(refused(&mut client, unvouched).await, "CELL_POLICY_REFUSED", "a key that nobody vouches for");
    let mut elsewhere = host.states(6, "{}");
    elsewhere.container = Some(common::id());
    assert_eq!(refused(&mut client, host.sends(&elsewhere, "{}")).await, "CELL_POLICY_REFUSED");
    for older in [host.gives(4, "{\"four\":4}"), host.gives(1, "{\"five\":5}")] {
        assert_eq!(refused(&mut client, older).await, "CELL_POLICY_OLDER");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"five\":5}");

    client.put_agent_policy(good).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"six\":6}");
    // an older one does not come back with a lock either
    client.lock(LockRequest { reason: LockReason::User.into() }).await.unwrap();
    assert_eq!(refused(&mut client, host.gives(5, "{\"five\":5}")).await, "CELL_POLICY_OLDER");
}

#[tokio::test]
async fn a_policy_that_cannot_be_written_is_not_the_newest_that_was_seen() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let script = reader(&out);
    let cell = TestCell::start(&Options { workload: &script.argv(), ..Options::default() });
    let (mut client, host) = (cell.bare_client().await, Host::of(&cell));
    client.put_agent_policy(host.gives(1, "{\"one\":1}")).await.unwrap();
    User::new().unlock(&cell, &mut client, &[]).await.unwrap();
    let file = line(&out, 1).await.remove(0);
    // a folder stands where the next file is written
    let in_its_way = Path::new(&file).with_extension("json.next");
    std::fs::create_dir(&in_its_way).unwrap();
    client.put_agent_policy(host.gives(2, "{\"two\":2}")).await.unwrap_err();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"one\":1}");
    std::fs::remove_dir(&in_its_way).unwrap();
    client.put_agent_policy(host.gives(2, "{\"two\":2}")).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"two\":2}");
}

#[tokio::test]
async fn a_workload_that_takes_no_signal_lives_and_asks_the_cell_what_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (out, go) = (dir.path().join("out"), dir.path().join("go"));
    // it has no handler, spoils its file, and asks again when it may
    let script = Script::new(&format!(
        "chmod 600 $OCMT_AGENT_POLICY; echo '{{}}' > $OCMT_AGENT_POLICY\n\
         while [ ! -e {go} ]; do sleep 0.05; done\n\"$OCMT_CELL\" policy > {out}\nsleep 600",
        go = go.display(),
        out = out.display()
    ));
    let cell = TestCell::start(&Options { workload: &script.argv(), ..Options::default() });
    let (mut client, host) = (cell.bare_client().await, Host::of(&cell));
    client.put_agent_policy(host.gives(1, "{\"tools\":1}")).await.unwrap();
    User::new().unlock(&cell, &mut client, &[]).await.unwrap();
    status_when(&mut client, "the workload", |status| status.workload_state() == WorkloadState::Ready).await;
    client.put_agent_policy(host.gives(2, "{\"tools\":2}")).await.unwrap();
    std::fs::write(&go, "").unwrap();
    let said =
        level("its answer", || std::fs::read_to_string(&out).ok().filter(|text| text.ends_with('\n'))).await;
    assert_eq!(said, "{\"tools\":2}\n");
    assert_eq!(status(&mut client).await.workload_state(), WorkloadState::Ready, "the signal ended it");
}
