//! Merkle tree hashes as in RFC 6962, section 2.1, with SHA-256.

pub mod log;

use ocmt_types::Digest32;
use sha2::{Digest as _, Sha256};

/// The hash of one leaf.
pub fn leaf_hash(leaf: &[u8]) -> Digest32 {
    Digest32(Sha256::new().chain_update([0]).chain_update(leaf).finalize().into())
}

/// The root over leaf hashes; of none, SHA-256 of nothing.
pub fn root(leaves: &[Digest32]) -> Digest32 {
    match leaves {
        [] => Digest32(Sha256::digest([]).into()),
        [leaf] => *leaf,
        _ => {
            // the largest power of two smaller than their number goes left
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&root(left), &root(right))
        }
    }
}

/// The hash of the node above two.
pub fn node_hash(left: &Digest32, right: &Digest32) -> Digest32 {
    Digest32(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let leaves = inputs.map(leaf_hash);
        for (count, expected) in [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
            (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ] {
            assert_eq!(root(&leaves[..count]).to_string(), expected);
        }
    }
}
