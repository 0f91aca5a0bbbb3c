//! What the simulation runs chooses by the order that is written, not by chance: each `select!` is `biased`.
//! Else the same seed would not give the same trace.

use proc_macro2::{Delimiter, TokenTree};

use crate::{
    Finding,
    tokens::{group, is_ident, is_punct, line, walk},
    tree::Source,
};

/// What runs in `tests/sim`, of the crates that it stands on.
const SIMULATED: [&str; 3] = ["actors/src/", "cluster/src/", "tests/sim/src/"];

/// Every `select!` of a simulated file that leaves the choice to chance.
pub fn check(source: &Source) -> Vec<Finding> {
    let of_tests = source.path.contains("/tests/") && !source.path.starts_with("tests/");
    if of_tests || !SIMULATED.iter().any(|folder| source.path.starts_with(folder)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let walked = walk(&source.path, &source.text, &mut |siblings, at| {
        if chooses_by_chance(siblings, at) {
            let message =
                "a select! without `biased;`: its choice is chance, and a simulation cannot be repeated";
            findings.push(Finding::at(&source.path, line(&siblings[at]), message));
        }
    });
    findings.extend(walked.err());
    findings
}

fn chooses_by_chance(siblings: &[TokenTree], at: usize) -> bool {
    if !is_ident(siblings, at, "select") || !is_punct(siblings, at + 1, '!') {
        return false;
    }
    let Some(body) = group(siblings, at + 2, Delimiter::Brace) else {
        return false;
    };
    let body: Vec<TokenTree> = body.stream().into_iter().collect();
    !is_ident(&body, 0, "biased")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, body: &str) -> usize {
        let text = format!("async fn f() {{ {body} }}");
        check(&Source { path: path.to_owned(), text }).len()
    }

    #[test]
    fn a_choice_by_chance_is_found_where_the_simulation_runs() {
        let by_chance = "tokio::select! { () = a() => {} () = b() => {} }";
        let by_order = "tokio::select! { biased; () = a() => {} () = b() => {} }";
        assert_eq!(findings("actors/src/host/mod.rs", by_chance), 1);
        assert_eq!(findings("tests/sim/src/tree/machine.rs", by_chance), 1);
        assert_eq!(findings("cluster/src/heartbeat.rs", by_order), 0);
        assert_eq!(
            findings("cluster/store/src/backend/postgres/tx.rs", by_chance),
            0,
            "runs in no simulation"
        );
        assert_eq!(findings("actors/src/tests/kit.rs", by_chance), 0, "runs in no simulation");
    }
}
