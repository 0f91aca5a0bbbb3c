#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use super::{
    super::{leaf_hash, root},
    *,
};

const LEAVES: u64 = 70;

fn record(n: u64) -> Vec<u8> {
    n.to_be_bytes().to_vec()
}

/// A log as a store keeps it: the roots of its complete subtrees, leaves too, by what completes them.
struct Kept {
    peaks: Vec<Peaks>,
    roots: BTreeMap<Subtree, Digest32>,
}

fn kept() -> Kept {
    let mut peaks = Peaks::default();
    let mut kept = Kept { peaks: vec![peaks.clone()], roots: BTreeMap::new() };
    for n in 0..LEAVES {
        let leaf = leaf_hash(&record(n));
        kept.roots.insert(Subtree { level: 0, index: n }, leaf);
        for (hash, level) in peaks.push(leaf).into_iter().zip(1..) {
            let subtree = Subtree { level, index: n >> level };
            assert_eq!(subtree.completed_by(), n + 1);
            kept.roots.insert(subtree, hash);
        }
        kept.peaks.push(peaks.clone());
    }
    kept
}

impl Kept {
    fn tree(&self, size: u64) -> Tree {
        Tree { size, root: self.peaks[usize::try_from(size).unwrap()].root() }
    }
    fn path(&self, parts: Option<Vec<Part>>) -> Vec<Digest32> {
        parts.unwrap().iter().map(|part| part.hash(|of| self.roots.get(of).copied()).unwrap()).collect()
    }
}

#[test]
fn a_log_that_grew_has_the_root_of_its_records() {
    let leaves: Vec<_> = (0..LEAVES).map(|n| leaf_hash(&record(n))).collect();
    for (size, peaks) in kept().peaks.iter().enumerate() {
        assert_eq!(peaks.root(), root(&leaves[..size]), "{size}");
        let again = Peaks::from_bytes(peaks.size(), &peaks.to_bytes()).unwrap();
        assert_eq!(&again, peaks);
        assert!(Peaks::from_bytes(peaks.size() + 1, &peaks.to_bytes()).is_err() || size % 2 == 1);
        assert!(Peaks::from_bytes(peaks.size(), &[peaks.to_bytes(), vec![0]].concat()).is_err());
    }
}

#[test]
fn every_record_is_proven_in_every_log_and_no_other_is() {
    let kept = kept();
    for size in 1..=LEAVES {
        let tree = kept.tree(size);
        for index in 0..size {
            let path = kept.path(inclusion(size, index));
            tree.includes(index, &record(index), &path).unwrap();
            assert!(
                tree.includes(index, &record(index + 1), &path).is_err(),
                "{size} {index}: another record"
            );
            assert!(size == 1 || tree.includes(index ^ 1, &record(index), &path).is_err(), "another place");
            for at in 0..path.len() {
                let mut bent = path.clone();
                bent[at].0[7] ^= 1;
                assert!(tree.includes(index, &record(index), &bent).is_err());
            }
            assert!(tree.includes(index, &record(index), &[&path[..], &[tree.root]].concat()).is_err());
        }
    }
    assert!(inclusion(0, 0).is_none() && inclusion(5, 5).is_none() && inclusion(u64::MAX, 1).is_none());
}

#[test]
fn every_log_is_proven_the_beginning_of_every_later_one_and_no_other_is() {
    let kept = kept();
    for new in 1..=LEAVES {
        for old in 1..=new {
            let (first, second) = (kept.tree(old), kept.tree(new));
            let path = kept.path(consistency(old, new));
            second.extends(&first, &path).unwrap();
            let mut other = first;
            other.root.0[0] ^= 1;
            assert!(second.extends(&other, &path).is_err(), "{old} {new}: another beginning");
            for at in 0..path.len() {
                let mut bent = path.clone();
                bent[at].0[7] ^= 1;
                assert!(second.extends(&first, &bent).is_err());
            }
        }
    }
    assert!(consistency(0, 3).is_none() && consistency(4, 3).is_none() && consistency(1, u64::MAX).is_none());
    assert!(kept.tree(3).extends(&kept.tree(0), &[]).is_err());
}

/// RFC 6962, section 2.1.3: the tree of seven leaves, and which nodes its proofs are of.
#[test]
fn the_proofs_of_the_rfcs_example_are_its_nodes() {
    let node = |level, index| Part(vec![Subtree { level, index }]);
    // a..j and d0..d6 there; j = [4, 6), l = [4, 7), i = d6
    let j = node(1, 2);
    let l = Part(vec![Subtree { level: 1, index: 2 }, Subtree { level: 0, index: 6 }]);
    assert_eq!(inclusion(7, 0).unwrap(), [node(0, 1), node(1, 1), l.clone()]);
    assert_eq!(inclusion(7, 3).unwrap(), [node(0, 2), node(1, 0), l.clone()]);
    assert_eq!(inclusion(7, 4).unwrap(), [node(0, 5), node(0, 6), node(2, 0)]);
    assert_eq!(inclusion(7, 6).unwrap(), [j.clone(), node(2, 0)]);
    assert_eq!(consistency(3, 7).unwrap(), [node(0, 2), node(0, 3), node(1, 0), l.clone()]);
    assert_eq!(consistency(4, 7).unwrap(), [l]);
    assert_eq!(consistency(6, 7).unwrap(), [j, node(0, 6), node(2, 0)]);
}
