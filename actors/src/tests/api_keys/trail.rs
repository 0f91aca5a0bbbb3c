//! What is kept of a key's use: in the trail, in its row, and in the tenant's count of calls.

use std::time::Duration;

use super::{keys_of, made, reason};
use crate::{
    QuotaChange,
    api::{
        audit::QueryAudit,
        auth::WhoAmI,
        container::{ContainerSpec, CreateContainer},
        tenant::GetTenant,
        users::ListUsers,
    },
    tests::{
        kit::Kit,
        quotas::{done, limit_to},
    },
};

#[tokio::test]
async fn what_is_done_by_a_key_is_in_the_trail_under_it_and_its_user() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let key = made(&kit, &ann, &["tenant.read"]).await;
    kit.call(&key.caller, GetTenant).await.unwrap();
    kit.call(&key.caller, ListUsers::default()).await.unwrap_err();
    kit.call(&ann.caller, GetTenant).await.unwrap();
    let own = QueryAudit { user: Some(ann.user), limit: 100, ..QueryAudit::default() };
    let trail = kit.call(&ann.caller, own).await.unwrap().records;
    let id = key.issued.key.id.to_string();
    let by_key: Vec<_> = trail.iter().filter(|record| record.by_key() == Some(&id)).collect();
    let said: Vec<_> = by_key.iter().map(|it| (it.method.as_str(), it.result.as_str())).collect();
    assert_eq!(
        said,
        [("TenantService/GetTenant", "OK"), ("UserService/ListUsers", "PERMISSION_DENIED")],
        "done and refused, and nothing of the session's"
    );
    let making = trail.iter().find(|record| record.method == "AuthService/CreateApiKey").unwrap();
    assert_eq!((making.object.clone(), making.by_key()), (format!("api_key/{id}"), None));
    assert!(making.details.contains(&("scopes".to_owned(), "tenant.read".to_owned())));
    for record in &trail {
        let secret = key.secret().as_bytes();
        assert!(!record.canonical.windows(secret.len()).any(|part| part == secret));
    }
}

#[tokio::test]
async fn last_use_is_told_to_the_minute_and_written_no_more_often() {
    for kit in [Kit::sim().await, Kit::sqlite().await] {
        let ann = kit.founder("ann@example.com").await;
        let key = made(&kit, &ann, &["tenant.read"]).await;
        let used = async || keys_of(&kit, &ann).await[0].last_used_at;
        assert_eq!(used().await, None, "to show it is not to use it");
        kit.call(&key.caller, ListUsers::default()).await.unwrap_err();
        assert_eq!(used().await, None, "a refused call leaves nothing but its record");
        let first = key.issued.key.created_at;
        for (after, expected) in [(0, 0), (59, 0), (1, 60), (59, 60), (61, 180)] {
            kit.clock.advance(Duration::from_secs(after));
            kit.call(&key.caller, GetTenant).await.unwrap();
            assert_eq!(used().await, Some(first + Duration::from_secs(expected)));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_by_keys_are_calls_of_the_tenant() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let key = made(&kit, &ann, &["tenant.read"]).await;
    limit_to(&kit, &ann, QuotaChange { calls_per_minute: Some(5), ..QuotaChange::default() }).await;
    kit.clock.advance(Duration::from_secs(61));
    let answers = futures_util::future::join_all((0..20).map(|_| kit.call(&key.caller, GetTenant))).await;
    assert_eq!(done(answers, "QUOTA_CALLS"), 5);
    assert_eq!(reason(kit.call(&ann.caller, WhoAmI).await), "QUOTA_CALLS");
}

#[tokio::test]
async fn a_repeat_by_another_key_is_another_request() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let (one, other) =
        (made(&kit, &ann, &["container.create"]).await, made(&kit, &ann, &["container.create"]).await);
    let create = CreateContainer {
        user: None,
        spec: ContainerSpec {
            image: format!("sha256:{}", "0".repeat(64)),
            argv: vec!["/app".to_owned()],
            workload_port: None,
            memory_bytes: None,
            pids: None,
            cpu_shares: None,
            pause_after_ms: None,
            stop_after_ms: None,
            gateway_plain: false,
            sealed_volume_bytes: None,
        },
        start: false,
    };
    let tenant = kit.system.tenant(ann.tenant);
    let ask =
        async |caller: &crate::Caller| tenant.call(caller.clone(), kit.keyed(1, 1), create.clone()).await;
    let first = ask(&one.caller).await.unwrap().container.id;
    assert_eq!(ask(&one.caller).await.unwrap().container.id, first, "a repeat is the same");
    assert_eq!(reason(ask(&other.caller).await), "ALREADY_EXISTS");
}
