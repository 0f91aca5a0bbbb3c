//! Whatever others wrote is text on every one of these pages.

use super::{
    super::super::hostile::{EVIL, frame, harmless},
    *,
};

fn text() -> String {
    EVIL.to_owned()
}

fn container() -> OneContainer {
    OneContainer { id: text(), state: text(), since: text(), image: text(), made: text() }
}

fn group() -> OneGroup {
    OneGroup { id: text(), name: text(), members: 1, since: text(), vault: true }
}

#[test]
fn what_a_container_says_of_itself_is_text() {
    let frame = frame();
    let containers = vec![container()];
    harmless(&Containers { frame, containers, further: true, next: Some(text()) });
    harmless(&Shown {
        frame,
        one: container(),
        own: true,
        command: text(),
        cell: text(),
        active: text(),
        exit: text(),
        failure: text(),
        unsealed: text(),
        answers: false,
        awake: Some(Awake { now: true, reasons: vec![text()], pause: text(), stop: text(), wake: text() }),
        can_wake: true,
        can_pause: true,
        csrf: EVIL,
    });
    let one = OneConnection {
        id: text(),
        container: text(),
        provider: text(),
        scopes: text(),
        made: text(),
        renewed: text(),
        unfiled: true,
    };
    let (connections, ended) = (vec![one], Some(text()));
    harmless(&Connections { frame, connections, ended, revoked: false, csrf: EVIL });
}

#[test]
fn what_people_call_groups_and_what_they_share_is_text() {
    let frame = frame();
    let share = OneShare {
        id: text(),
        whose: text(),
        state: text(),
        may: text(),
        entries: 1,
        since: text(),
        until: text(),
        can_take: true,
        can_end: true,
        waits: true,
    };
    harmless(&Groups {
        frame,
        groups: vec![group()],
        further: true,
        next: Some(text()),
        shares: vec![share],
        further_shares: true,
        next_share: Some(text()),
        due: true,
        csrf: EVIL,
    });
    harmless(&Group {
        frame,
        one: group(),
        due: Some(text()),
        members: vec![OneMember { email: text(), role: text(), since: text() }],
        held: vec![OneResource { container: text(), since: text() }],
        inside: true,
        csrf: EVIL,
    });
}

#[test]
fn what_somebody_asks_for_is_text() {
    let frame = frame();
    let request = || OneRequest {
        id: text(),
        is_program: true,
        who: text(),
        may: text(),
        entry: text(),
        reason: text(),
        lasts: text(),
        since: text(),
        until: text(),
    };
    let (asked, mine) = (vec![request()], vec![request()]);
    for (is_program, at_device) in [(true, false), (true, true), (false, false)] {
        let (one, csrf, lifetime) = (OneRequest { is_program, ..request() }, EVIL, 1);
        let (tenant, vault, requester, program, permissions) = (text(), text(), text(), text(), text());
        let keys = Approval {
            frame,
            one,
            tenant,
            vault,
            requester,
            program,
            at_device,
            permissions,
            lifetime,
            csrf,
        };
        harmless(&keys);
    }
    harmless(&Approvals { frame, asked, mine, further: false, next: Some(text()), csrf: EVIL });
}

#[test]
fn how_a_sender_calls_themselves_and_what_a_channel_is_called_is_text() {
    let frame = frame();
    let waiting = OnePairing {
        id: text(),
        name: text(),
        channel: text(),
        sender: text(),
        container: text(),
        since: text(),
        until: text(),
    };
    let sender = OneSender {
        id: text(),
        name: String::new(),
        channel: text(),
        sender: text(),
        container: text(),
        since: text(),
    };
    harmless(&Pairings {
        frame,
        waiting: vec![waiting],
        further: false,
        next: Some(text()),
        senders: vec![sender],
        further_senders: false,
        next_sender: Some(text()),
        wrong: true,
        csrf: EVIL,
    });
    let channel = OneChannel {
        id: text(),
        name: text(),
        kind: text(),
        hint: text(),
        least: text(),
        actions: text(),
        tried: text(),
    };
    let trial = Some(Trial { taken: false, why: text() });
    harmless(&Alerts { frame, email: EVIL, channels: vec![channel], trial, csrf: EVIL });
}
