//! What goes on: containers by state, how long they take to wake, ceremonies, limits. Containers, and ceremonies that are not over, are
//! counted in the database and are the cluster's; all else is what the node that is asked has counted since it began.

use axum::{extract::State, http::StatusCode, response::Response};
use ocmt_store::{
    StoreError,
    tables::{CeremonyPurpose, ContainerState},
};

use super::{
    super::{answer::html, frame::Frame},
    Console,
    at::At,
    samples::{Samples, Times},
    stored,
    view::{Bar, Chart, Section, Work},
};

const WAKES: &str = "ocmt_container_wake_seconds";
const LIMITS: &str = "ocmt_limit_decisions_total";

/// All of it.
pub(super) async fn show(State(console): State<Console>, who: At) -> Response {
    let frame = who.frame();
    let counted = async {
        let recoveries = [CeremonyPurpose::Recover, CeremonyPurpose::Override];
        Ok::<_, StoreError>((
            containers(&console, &frame).await?,
            ceremonies(&console, &frame, &recoveries).await?,
            ceremonies(&console, &frame, &[CeremonyPurpose::Unlock]).await?,
        ))
    };
    let (containers, recoveries, together) = match counted.await {
        Ok(counted) => counted,
        Err(error) => return who.refused(&stored(&error)),
    };
    let samples = Samples::read(&(console.ground.counts)());
    let entered = samples.by("ocmt_ceremony_transitions_total", "state", None);
    let said = |(state, count): (String, u64)| (frame.say(&format!("state.{state}")).to_owned(), count);
    let limits = |decision| samples.by(LIMITS, "limit", Some(("decision", decision)));
    let page = Work {
        frame,
        node: console.ground.node.to_string(),
        awake: samples.one("ocmt_tenants_awake").unwrap_or_default().to_string(),
        sections: vec![
            section(
                frame.say("node.containers"),
                vec![chart(&frame, frame.say("work.containers"), containers)],
            ),
            section(frame.say("work.wakes"), wakes(&frame, &samples)),
            section(
                frame.say("work.recovery"),
                vec![
                    chart(&frame, frame.say("work.open"), recoveries),
                    chart(&frame, frame.say("work.together"), together),
                    chart(&frame, frame.say("work.ceremonies"), entered.into_iter().map(said).collect()),
                ],
            ),
            section(
                frame.say("work.limits"),
                vec![
                    chart(&frame, frame.say("work.admitted"), limits("admitted")),
                    chart(&frame, frame.say("work.refused"), limits("refused")),
                ],
            ),
        ],
    };
    html(StatusCode::OK, &page, [])
}

async fn containers(console: &Console, frame: &Frame) -> Result<Vec<(String, u64)>, StoreError> {
    let mut all = Vec::new();
    for state in ContainerState::ALL {
        let count = console.ground.store.cluster().count_in_state(*state).await?;
        let said = frame.say(&format!("container.is_{state}")).to_owned();
        all.push((said, u64::try_from(count).unwrap_or(0)));
    }
    Ok(all)
}

/// Those that are not over.
async fn ceremonies(
    console: &Console,
    frame: &Frame,
    purposes: &[CeremonyPurpose],
) -> Result<Vec<(String, u64)>, StoreError> {
    let all = console.ground.store.cluster().live_ceremonies(purposes).await?;
    let said = |state| frame.say(&format!("state.{state}")).to_owned();
    Ok(all.into_iter().map(|(state, count)| (said(state), u64::try_from(count).unwrap_or(0))).collect())
}

fn wakes(frame: &Frame, samples: &Samples) -> Vec<Chart> {
    let kinds = [
        ("unpause", frame.say("work.unpause")),
        ("start", frame.say("work.start")),
        ("create", frame.say("work.create")),
        ("none", frame.say("work.awake_already")),
    ];
    let of = |(kind, title): (&str, &str)| {
        let times = samples.times(WAKES, "kind", kind);
        let last = times.buckets.iter().rev().nth(1).map_or(0.0, |(bound, _)| *bound);
        let label = |bound: f64| {
            if bound.is_finite() {
                format!("≤ {} s", frame.number(bound))
            } else {
                format!("> {} s", frame.number(last))
            }
        };
        let rows = times.buckets.iter().map(|(bound, count)| (label(*bound), *count));
        // of none a table says nothing
        let rows = if times.count() > 0 { rows.collect() } else { Vec::new() };
        Chart { note: within(frame, &times), ..chart(frame, title, rows) }
    };
    kinds.into_iter().map(of).collect()
}

/// What half of them took at most, and nearly all.
fn within(frame: &Frame, times: &Times) -> String {
    let said = |seconds: f64| {
        if seconds.is_finite() { format!("{} s", frame.number(seconds)) } else { "∞".to_owned() }
    };
    match (times.within(50), times.within(95)) {
        (Some(half), Some(most)) => {
            format!("{} {}", frame.put("work.half", said(half)), frame.put("work.most", said(most)))
        }
        _ => frame.say("work.no_wakes").to_owned(),
    }
}

fn section(title: &str, charts: Vec<Chart>) -> Section {
    Section { title: title.to_owned(), charts }
}

/// Bars as long as their counts are beside the largest.
fn chart(frame: &Frame, title: &str, rows: Vec<(String, u64)>) -> Chart {
    let note = if rows.is_empty() { frame.say("trail.nothing") } else { "" };
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    let bar = |(label, count): (String, u64)| Bar { label, count, width: count.saturating_mul(100) / most };
    Chart { title: title.to_owned(), note: note.to_owned(), bars: rows.into_iter().map(bar).collect() }
}
