//! Whose policy a cell believes, and that an older one does not come back.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ocmt_types::{ContainerId, Digest32, Id as _, NodeId, TenantId, Timestamp, UserId};
use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};

use crate::{CryptoError, sign::SigningKey, testing::assert_brittle};

use super::{
    AgentPolicyStatement, CellPlace, DeliveredPolicy, MAX_POLICY_DOCUMENT, NewestPolicy, PolicyAuthority,
    Standing, StartSecret, policy_digest,
};

const DOCUMENT: &[u8] = br#"{"format":1}"#;

fn place() -> CellPlace {
    CellPlace {
        tenant: TenantId::from_bytes([1; 16]),
        container: ContainerId::from_bytes([2; 16]),
        generation: 3,
    }
}

fn statement(document: &[u8]) -> AgentPolicyStatement {
    AgentPolicyStatement {
        tenant: place().tenant,
        user: Some(UserId::from_bytes([3; 16])),
        container: Some(place().container),
        version: 7,
        digest: policy_digest(document),
        stated_at: Timestamp(1_700_000_000_000),
        node: NodeId::from_bytes([5; 16]),
    }
}

/// A start secret, an identity key, and another one of each.
fn world() -> (StartSecret, SigningKey, StartSecret, SigningKey) {
    let rng = &mut StdRng::seed_from_u64(11);
    (
        StartSecret::generate(rng),
        SigningKey::generate(rng),
        StartSecret::generate(rng),
        SigningKey::generate(rng),
    )
}

fn signed(statement: &AgentPolicyStatement, key: &SigningKey) -> Vec<u8> {
    statement.sign_by(|purpose, message| key.sign(purpose, message))
}

#[test]
fn a_statement_is_of_its_node_and_document_to_the_last_bit() {
    let (_, node, _, other) = world();
    let bytes = signed(&statement(DOCUMENT), &node);
    let key = node.verify_key();
    assert_eq!(AgentPolicyStatement::verify(&bytes, &key, DOCUMENT), Ok(statement(DOCUMENT)));
    assert_eq!(AgentPolicyStatement::claimed_node(&bytes), Ok(statement(DOCUMENT).node));
    assert_brittle(&bytes, |bytes| AgentPolicyStatement::verify(bytes, &key, DOCUMENT).is_ok());
    for document in [b"{\"format\":2}".as_slice(), b"", b"{\"format\":1} "] {
        assert_eq!(AgentPolicyStatement::verify(&bytes, &key, document), Err(CryptoError::Refused));
    }
    assert!(AgentPolicyStatement::verify(&bytes, &other.verify_key(), DOCUMENT).is_err());
}

#[test]
fn a_cell_believes_the_key_that_its_host_vouches_for_and_no_other() {
    let (start, node, other_start, other) = world();
    let (host, cell) = (
        PolicyAuthority::of(&start, place()).unwrap(),
        PolicyAuthority::of(&StartSecret::from_bytes(*start.expose()), place()).unwrap(),
    );
    let (bytes, signer) = (signed(&statement(DOCUMENT), &node), node.verify_key());
    let voucher = host.vouch(&signer);
    let good = DeliveredPolicy { document: DOCUMENT, statement: &bytes, signer, voucher: &voucher };
    assert_eq!(cell.verify(&good), Ok(statement(DOCUMENT)));

    let bytes = signed(&statement(DOCUMENT), &other);
    let forged = DeliveredPolicy { statement: &bytes, signer: other.verify_key(), ..good };
    assert!(cell.verify(&forged).is_err(), "a voucher for another key");
    assert!(cell.verify(&DeliveredPolicy { statement: &bytes, ..good }).is_err(), "signed by another key");
    for stranger in [
        PolicyAuthority::of(&other_start, place()).unwrap(),
        PolicyAuthority::of(&start, CellPlace { generation: 4, ..place() }).unwrap(),
    ] {
        let voucher = stranger.vouch(&signer);
        assert!(
            cell.verify(&DeliveredPolicy { voucher: &voucher, ..good }).is_err(),
            "another cell's voucher"
        );
    }
    assert!(cell.verify(&DeliveredPolicy { voucher: &[], ..good }).is_err());
}

#[test]
fn a_cell_takes_what_is_stated_for_itself_alone_and_within_bounds() {
    let (start, node, ..) = world();
    let authority = PolicyAuthority::of(&start, place()).unwrap();
    let (signer, voucher) = (node.verify_key(), authority.vouch(&node.verify_key()));
    let verify = |statement: &AgentPolicyStatement, document: &[u8]| {
        let bytes = signed(statement, &node);
        authority.verify(&DeliveredPolicy { document, statement: &bytes, signer, voucher: &voucher })
    };
    let good = statement(DOCUMENT);
    assert!(verify(&good, DOCUMENT).is_ok());
    for other in [
        AgentPolicyStatement { container: None, ..good },
        AgentPolicyStatement { container: Some(ContainerId::from_bytes([9; 16])), ..good },
        AgentPolicyStatement { tenant: TenantId::from_bytes([9; 16]), ..good },
    ] {
        assert!(verify(&other, DOCUMENT).is_err(), "{other:?}");
    }
    let longest = vec![b' '; MAX_POLICY_DOCUMENT];
    assert!(verify(&statement(&longest), &longest).is_ok());
    let longer = vec![b' '; MAX_POLICY_DOCUMENT + 1];
    assert!(verify(&statement(&longer), &longer).is_err());
}

proptest! {
    /// Whatever comes in whatever order: what holds is the newest so far, and never one that was before it.
    #[test]
    fn what_is_over_does_not_come_back(stated in proptest::collection::vec((0_u64..5, 0_i64..3, 0_u8..2), 1..20)) {
        let mut newest = NewestPolicy::default();
        let mut holds: Option<(u64, i64, u8)> = None;
        for (version, at, text) in stated {
            let stated = AgentPolicyStatement {
                version,
                stated_at: Timestamp(at),
                digest: Digest32([text; 32]),
                ..statement(DOCUMENT)
            };
            let expected = match holds {
                Some((held, _, same)) if held == version && same == text => Standing::Same,
                Some((held, since, _)) if held > version || held == version && since >= at => Standing::Older,
                _ => Standing::Newer,
            };
            prop_assert_eq!(newest.take(&stated), expected);
            if expected == Standing::Newer {
                holds = Some((version, at, text));
            }
            prop_assert_eq!(newest.version(), holds.map(|(version, ..)| version));
        }
    }
}
