//! Which limit a method or a page falls under.

use http::Method as Verb;
use ocmt_proto::methods;

use super::class::Class;
use crate::web;

/// What makes a session or a member of the cluster, before anybody is known.
const SIGN_IN: [&str; 9] = [
    "SignUp",
    "RequestMagicLink",
    "ExchangeMagicLink",
    "BeginPasskeyAssertion",
    "FinishPasskeyAssertion",
    "BeginOidcLogin",
    "FinishOidcLogin",
    "AcceptInvite",
    "JoinCluster",
];
/// What shows a second factor.
const MFA: [&str; 3] = ["CompleteMfa", "StepUp", "ConfirmTotpEnrollment"];
/// What vaults are opened with.
const UNLOCK: [&str; 5] =
    ["GetKeySlots", "GetGroupCellKey", "GetSnapshotCellKey", "ReportUnlock", "UnlockCell"];
/// What stops a ceremony, or says that it should not go on.
const STOP: [&str; 7] = [
    "DenyGroupUnlock",
    "DenyCeremony",
    "VoiceDoubt",
    "LockCeremony",
    "VetoCeremony",
    "ResignGuardianship",
    "RefuseSlotRequest",
];
/// Other steps of ceremonies.
const RECOVERY: [&str; 17] = [
    "AppointGroupCell",
    "DismissGroupCell",
    "OpenGroupCell",
    "OpenGroupUnlock",
    "ApproveGroupUnlock",
    "CancelGroupUnlock",
    "CollectGroupUnlock",
    "ReportLostMailbox",
    "OpenCeremony",
    "ApproveCeremony",
    "OverrideStop",
    "CancelCeremony",
    "CollectShares",
    "CompleteCeremony",
    "ChallengeGuardian",
    "AnswerChallenge",
    "DealShares",
];
/// How methods begin that change nothing.
const READS: [&str; 10] =
    ["Get", "List", "Watch", "Query", "Read", "Explain", "Check", "BatchGet", "WhoAmI", "Prove"];

/// The limit of a request; none for what is neither a method nor a page of ours.
pub fn class_of(verb: &Verb, path: &str) -> Option<Class> {
    if let Some(method) = methods::find(path) {
        return Some(of_method(method.name));
    }
    web::is_page(path).then(|| of_page(verb, path))
}

fn of_method(name: &str) -> Class {
    if SIGN_IN.contains(&name) {
        Class::SignIn
    } else if MFA.contains(&name) {
        Class::Mfa
    } else if UNLOCK.contains(&name) {
        Class::Unlock
    } else if STOP.contains(&name) {
        Class::Stop
    } else if RECOVERY.contains(&name) {
        Class::Recovery
    } else if READS.iter().any(|read| name.starts_with(read)) {
        Class::Read
    } else {
        Class::Write
    }
}

fn of_page(verb: &Verb, path: &str) -> Class {
    match path {
        "/auth/mfa" if verb == Verb::POST => Class::Mfa,
        "/guardian/resign" | "/app/recovery/veto" | "/app/recovery/refuse" => Class::Stop,
        "/guardian/lost-mailbox" => Class::Recovery,
        "/auth/sign-out" | "/app/sessions/end" | "/app/sessions/end-others" => Class::Write,
        "/auth/sign-up" | "/auth/passkey" if verb == Verb::POST => Class::SignIn,
        "/app/passkeys/remove" => Class::Write,
        // forms of one's own pages; to list them is a read
        path if path.starts_with("/app/") && verb == Verb::POST => Class::Write,
        path if path.starts_with("/auth/link") && verb == Verb::POST => Class::SignIn,
        _ => Class::Read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_lists_is_a_method() {
        for name in SIGN_IN.iter().chain(&MFA).chain(&UNLOCK).chain(&RECOVERY).chain(&STOP) {
            assert!(methods::all().iter().any(|method| method.name == *name), "{name} is no method");
        }
        for read in READS {
            assert!(
                methods::all().iter().any(|method| method.name.starts_with(read)),
                "nothing begins with {read}"
            );
        }
    }

    #[test]
    fn whoever_needs_no_session_is_counted_by_address() {
        for path in crate::edge::guard::OPEN {
            assert_eq!(class_of(&Verb::POST, path), Some(Class::SignIn), "{path}");
        }
        assert_eq!(class_of(&Verb::POST, "/auth/link"), Some(Class::SignIn));
        assert_eq!(class_of(&Verb::POST, "/auth/link/x"), Some(Class::SignIn));
        assert_eq!(class_of(&Verb::POST, "/auth/sign-up"), Some(Class::SignIn));
        assert_eq!(class_of(&Verb::POST, "/auth/passkey"), Some(Class::SignIn));
        assert_eq!(class_of(&Verb::POST, "/guardian/resign"), Some(Class::Stop));
        assert_eq!(class_of(&Verb::POST, "/app/recovery/veto"), Some(Class::Stop));
        assert_eq!(class_of(&Verb::POST, "/app/recovery/refuse"), Some(Class::Stop));
        assert_eq!(class_of(&Verb::POST, "/guardian/lost-mailbox"), Some(Class::Recovery));
        assert_eq!(class_of(&Verb::POST, "/app/sessions/end"), Some(Class::Write));
        for form in
            ["/app/containers/wake", "/app/connections/end", "/app/shares/end", "/app/pairing/approve"]
        {
            assert_eq!(class_of(&Verb::POST, form), Some(Class::Write), "{form}");
        }
        assert_eq!(class_of(&Verb::GET, "/app/containers"), Some(Class::Read));
        assert_eq!(class_of(&Verb::GET, "/auth/link/x"), Some(Class::Read));
        assert_eq!(class_of(&Verb::POST, "/auth/mfa"), Some(Class::Mfa));
        assert_eq!(class_of(&Verb::GET, "/elsewhere"), None);
    }

    #[test]
    fn what_stops_a_recovery_is_not_among_what_brings_it_on() {
        let class = |name: &str| class_of(&Verb::POST, &format!("/ocmt.v1.RecoveryService/{name}"));
        for stop in ["VetoCeremony", "DenyCeremony", "LockCeremony", "VoiceDoubt", "ResignGuardianship"] {
            assert_eq!(class(stop), Some(Class::Stop), "{stop}");
        }
        for on in ["OpenCeremony", "ApproveCeremony", "CollectShares", "OverrideStop"] {
            assert_eq!(class(on), Some(Class::Recovery), "{on}");
        }
    }

    #[test]
    fn what_changes_something_is_no_read() {
        let path = "/ocmt.v1.VaultService/";
        assert_eq!(class_of(&Verb::POST, &format!("{path}GetEntry")), Some(Class::Read));
        assert_eq!(class_of(&Verb::POST, &format!("{path}PutEntry")), Some(Class::Write));
        assert_eq!(class_of(&Verb::POST, &format!("{path}GetKeySlots")), Some(Class::Unlock));
        // it starts a cell
        let cell = class_of(&Verb::POST, "/ocmt.v1.ContainerService/GetSnapshotCellKey");
        assert_eq!(cell, Some(Class::Unlock));
    }
}
