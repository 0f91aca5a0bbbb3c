//! Which node a tenant without an owner should go to: weighted rendezvous hashing.
//!
//! A preference, never ownership. Two nodes with different views prefer different nodes, and a node that
//! joins is preferred at once for tenants that others serve: were that ownership, it would answer from a
//! state it never loaded (the model in `tests/model` finds it in five steps). Ownership is the row that a
//! claim changes, and nothing else.
//!
//! Each node gets the score `-capacity / ln(h)`, `h` in (0, 1) from a hash of tenant and node; the highest
//! wins. So a node gets its share by weight, and when one goes only its own tenants move. The hash is fixed
//! (SHA-256), so that nodes of different versions agree.

use ocmt_types::{NodeId, TenantId};
use sha2::{Digest as _, Sha256};

/// The node that `tenant` should go to, among nodes with their weights; none if there are none. A weight
/// below 1 counts as 1.
pub fn preferred(tenant: TenantId, nodes: impl IntoIterator<Item = (NodeId, i64)>) -> Option<NodeId> {
    let scored = nodes.into_iter().map(|(node, weight)| (score(tenant, node, weight), node));
    // equal scores do not happen in practice; if they do, the id decides
    scored.max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))).map(|(_, node)| node)
}

fn score(tenant: TenantId, node: NodeId, weight: i64) -> f64 {
    let mut hash = Sha256::new();
    hash.update(b"ocmt placement v1");
    hash.update(tenant.as_bytes());
    hash.update(node.as_bytes());
    let digest = hash.finalize();
    let bits = digest.iter().take(7).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte)) >> 3;
    // 53 bits fit a float exactly; the half keeps it off zero and one
    #[expect(clippy::cast_precision_loss, reason = "53 bits, and weights are small")]
    let (uniform, weight) = ((bits as f64 + 0.5) / (1_u64 << 53) as f64, weight.max(1) as f64);
    -weight / uniform.ln()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use ocmt_store::testing::id;

    use super::*;

    const TENANTS: u64 = 12_000;

    fn nodes(weights: &[i64]) -> Vec<(NodeId, i64)> {
        (1..).map(id::<NodeId>).zip(weights.iter().copied()).collect()
    }

    fn shares(nodes: &[(NodeId, i64)]) -> BTreeMap<NodeId, u64> {
        let mut shares = BTreeMap::new();
        for tenant in 0..TENANTS {
            *shares.entry(preferred(id(tenant), nodes.iter().copied()).unwrap()).or_default() += 1;
        }
        shares
    }

    #[test]
    fn shares_follow_the_weights() {
        let nodes = nodes(&[1, 2, 3]);
        for (share, weight) in shares(&nodes).values().zip([1_u64, 2, 3]) {
            let due = TENANTS * weight / 6;
            assert!(share.abs_diff(due) < due / 10, "{share} of {TENANTS} for weight {weight}");
        }
    }

    #[test]
    fn when_a_node_goes_only_its_tenants_move() {
        let all = nodes(&[1, 1, 1]);
        let left = &all[..2];
        for tenant in (0..500).map(id::<TenantId>) {
            let before = preferred(tenant, all.iter().copied()).unwrap();
            let after = preferred(tenant, left.iter().copied()).unwrap();
            assert!(before == after || before == all[2].0);
        }
    }

    #[test]
    fn the_choice_is_the_same_in_every_version() {
        let all = nodes(&[1, 1, 2]);
        let chosen: Vec<usize> = (0..12)
            .map(|n| {
                let node = preferred(id(n), all.iter().copied()).unwrap();
                all.iter().position(|(id, _)| *id == node).unwrap()
            })
            .collect();
        // computed apart from this code, by a script with another SHA-256
        assert_eq!(
            chosen,
            [0, 2, 0, 1, 0, 2, 2, 0, 1, 2, 0, 2],
            "a change of this list is a change of the contract between versions"
        );
    }

    #[test]
    fn no_nodes_no_preference() {
        assert_eq!(preferred(id(1), []), None);
        assert_eq!(preferred(id(1), nodes(&[0])), Some(id(1)), "a weight of zero counts as one");
    }
}
