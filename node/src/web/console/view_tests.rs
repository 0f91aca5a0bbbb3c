use super::{
    super::super::hostile::{self, EVIL, harmless},
    *,
};

fn frame() -> Frame {
    hostile::frame().of_user()
}

fn evil() -> String {
    EVIL.to_owned()
}

fn node() -> OneNode {
    let said = Said { id: evil(), state: evil(), tenants: 1, containers: 2, memory: evil() };
    OneNode {
        said,
        address: evil(),
        version: evil(),
        renewals: 1,
        certificate: evil(),
        can_drain: true,
        can_resume: true,
    }
}

#[test]
fn what_nodes_and_tenants_are_called_is_text_and_nothing_else() {
    let frame = frame();
    harmless(&Overview {
        frame,
        operator: EVIL,
        serving: evil(),
        tenants: 1,
        containers: 1,
        memory: evil(),
        view: 1,
        sealing: evil(),
        notes: vec![evil()],
    });
    harmless(&Nodes { frame, nodes: vec![node()], next: evil() });
    harmless(&Node { frame, one: node() });
    let act = Act { frame, title: EVIL, text: EVIL, button: EVIL, one: node(), act: EVIL, token: EVIL };
    harmless(&act);
    let tenant = || OneTenant { id: evil(), name: evil(), state: evil() };
    harmless(&Tenants { frame, tenants: vec![tenant()], further: true, next: evil() });
    let limits = vec![Limit { what: evil(), said: evil(), used: 1, limit: 2 }];
    harmless(&Tenant { frame, one: tenant(), made: evil(), deleted: evil(), limits });
    let one = OnePlacement { tenant: evil(), owner: evil(), preferred: evil(), epoch: 1, at_home: false };
    harmless(&Placements { frame, placements: vec![one], node: evil(), next: evil() });
    let bars = vec![Bar { label: evil(), count: 1, width: 100 }];
    let charts = vec![Chart { title: evil(), note: evil(), bars }];
    let sections = vec![Section { title: evil(), charts }];
    harmless(&Work { frame, node: evil(), awake: evil(), sections });
    let one = OneRecord {
        number: 1,
        at: evil(),
        severity: evil(),
        outcome: evil(),
        action: evil(),
        actor: evil(),
        object: evil(),
        details: vec![evil()],
    };
    harmless(&Trail { frame, alerts: false, records: vec![one], next: Some(1) });
    let one = OneHead { whose: evil(), own: false, records: 1, root: evil() };
    harmless(&Heads { frame, heads: vec![one], next: Some(evil()) });
    let one = OneFinding { severity: evil(), rule: "a", place: evil(), what: evil(), why: "b", mend: evil() };
    harmless(&Findings {
        frame,
        node: evil(),
        at: evil(),
        running: evil(),
        findings: vec![one],
        left_out: 1,
        unchecked: vec![evil()],
        passed: 1,
    });
}
