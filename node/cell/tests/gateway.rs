//! Which gateway tokens a cell takes before it lets anybody to its workload: its own look, whatever the node has looked at.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod common;

use std::time::Duration;

use common::{Client, Options, TestCell, free_port, id};
use ocmt_crypto::{
    cell::GatewayAuthority,
    gateway_token::{self, GatewayClaims, GatewayKeys},
    sign::SigningKey,
};
use ocmt_proto::cell::v1::ProxyRequest;
use ocmt_types::{Clock as _, SystemClock, Timestamp};
use tonic::{Request, metadata::MetadataValue};

/// A cell whose workload waits for an unlock: who is let to it hears that, and nobody else does.
struct Door {
    cell: TestCell,
    client: Client,
    key: SigningKey,
}

impl Door {
    async fn open() -> Self {
        let port = free_port().to_string();
        let options = Options {
            extra: &["--workload-port", &port, "--plain"],
            workload: &["sleep", "600"],
            ..Options::default()
        };
        let cell = TestCell::start(&options);
        let client = cell.client().await;
        Self { cell, client, key: SigningKey::generate(&mut rand::rng()) }
    }

    fn keys(&self) -> GatewayKeys {
        GatewayKeys { current: self.key.verify_key(), previous: None }
    }

    fn states(&self, keys: &GatewayKeys, at: Timestamp) -> Vec<u8> {
        GatewayAuthority::of(&self.cell.start, self.cell.place).unwrap().state(keys, at)
    }

    fn claims(&self) -> GatewayClaims {
        let now = SystemClock.now();
        GatewayClaims {
            container: self.cell.place.container,
            tenant: self.cell.place.tenant,
            user: id(),
            session: id(),
            issued_at: now,
            expires_at: now + Duration::from_secs(600),
        }
    }

    fn token(&self, claims: &GatewayClaims) -> String {
        gateway_token::issue(claims, &self.key, &mut rand::rng()).unwrap()
    }

    /// What it is told who shows this.
    async fn told(&self, keys: Option<&[u8]>, token: Option<&str>) -> String {
        let mut request = Request::new(tokio_stream::empty::<ProxyRequest>());
        if let Some(token) = token {
            request.metadata_mut().insert("ocmt-gateway-token", token.parse().unwrap());
        }
        if let Some(keys) = keys {
            request.metadata_mut().insert_bin("ocmt-gateway-keys-bin", MetadataValue::from_bytes(keys));
        }
        let refused = self.client.clone().proxy(request).await.unwrap_err();
        refused.metadata().get("ocmt-cell-reason").unwrap().to_str().unwrap().to_owned()
    }
}

const LET_IN: &str = "CELL_LOCKED";
const REFUSED: &str = "CELL_TOKEN_REFUSED";

#[tokio::test]
async fn who_shows_no_token_that_the_host_stands_behind_is_refused() {
    let door = Door::open().await;
    let (stated, token) = (door.states(&door.keys(), SystemClock.now()), door.token(&door.claims()));
    assert_eq!(door.told(Some(&stated), Some(&token)).await, LET_IN);
    assert_eq!(door.told(Some(&stated), None).await, REFUSED);
    assert_eq!(door.told(None, Some(&token)).await, REFUSED);
    // whoever has the control token and makes keys and tokens of their own
    let own = SigningKey::generate(&mut rand::rng());
    let forged = gateway_token::issue(&door.claims(), &own, &mut rand::rng()).unwrap();
    assert_eq!(door.told(Some(&stated), Some(&forged)).await, REFUSED);
    let mut swapped = stated.clone();
    let at = swapped.windows(32).position(|it| it == door.key.verify_key().0).unwrap();
    swapped[at..at + 32].copy_from_slice(&own.verify_key().0);
    assert_eq!(door.told(Some(&swapped), Some(&forged)).await, REFUSED);
}

#[tokio::test]
async fn a_token_that_is_over_changed_or_loosely_written_is_refused() {
    let door = Door::open().await;
    let stated = door.states(&door.keys(), SystemClock.now());
    let good = door.claims();
    let past = Timestamp(good.issued_at.0 - 600_000);
    let over = GatewayClaims { issued_at: past, expires_at: Timestamp(good.issued_at.0 - 1_000), ..good };
    assert_eq!(door.told(Some(&stated), Some(&door.token(&over))).await, REFUSED);
    let token = door.token(&good);
    let footer = token.rfind('.').unwrap();
    let changed = format!("{}A{}", &token[..20], &token[21..]);
    let changed = if changed == token { format!("{}B{}", &token[..20], &token[21..]) } else { changed };
    for bad in [changed, token[..footer].to_owned(), format!("{token}="), format!("{token}.")] {
        assert_eq!(door.told(Some(&stated), Some(&bad)).await, REFUSED, "{bad}");
    }
    assert_eq!(door.told(Some(&stated), Some(&token)).await, LET_IN);
}

#[tokio::test]
async fn a_token_of_one_cell_opens_no_other() {
    let (door, other) = (Door::open().await, Door::open().await);
    let (now, token) = (SystemClock.now(), door.token(&door.claims()));
    let theirs = door.states(&door.keys(), now);
    assert_eq!(door.told(Some(&theirs), Some(&token)).await, LET_IN);
    // of one cluster, both hosts state the same key
    let same = other.states(&door.keys(), now);
    assert_eq!(other.told(Some(&same), Some(&token)).await, REFUSED, "a token of another container");
    let of_it = GatewayClaims {
        container: other.cell.place.container,
        tenant: other.cell.place.tenant,
        ..door.claims()
    };
    assert_eq!(other.told(Some(&same), Some(&door.token(&of_it))).await, LET_IN);
    assert_eq!(
        other.told(Some(&theirs), Some(&door.token(&of_it))).await,
        REFUSED,
        "keys stated to another cell"
    );
}

#[tokio::test]
async fn the_key_before_holds_within_its_window_and_what_was_stated_for_a_minute() {
    let door = Door::open().await;
    let (now, token) = (SystemClock.now(), door.token(&door.claims()));
    let next = SigningKey::generate(&mut rand::rng()).verify_key();
    let with = |until| GatewayKeys { current: next, previous: Some((door.key.verify_key(), until)) };
    let within = door.states(&with(now + Duration::from_secs(60)), now);
    assert_eq!(door.told(Some(&within), Some(&token)).await, LET_IN);
    let after = door.states(&with(Timestamp(now.0 - 1)), now);
    assert_eq!(door.told(Some(&after), Some(&token)).await, REFUSED);
    let long_ago = door.states(&door.keys(), Timestamp(now.0 - 120_000));
    assert_eq!(door.told(Some(&long_ago), Some(&token)).await, REFUSED);
}
