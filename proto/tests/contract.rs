//! The contract itself: every promised service and method is there, and each message keeps the rules
//! of the house (comments, idempotency keys, zero values, bounds, secrets marked).
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{collections::BTreeSet, path::Path};

use ocmt_proto::{DESCRIPTOR, methods};
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};
use protox::prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor, Value};

/// The table of the design's list of public names, as it stands there, and `GetEmailChange` and
/// `CancelEmailChange` (without them nobody could see or stop a change of address that they did not ask for), and those
/// that say which OpenID provider a tenant has; and `ListCapabilities`: without it nobody could see what
/// they are asked for; and `GetSnapshotCellKey` and `DeleteSnapshot` (ADR 0026), and those of their schedules (ADR 0042);
/// and `RefuseSlotRequest` (ADR 0043);
/// and where an audit is streamed to, and how long it is kept; and
/// `ReleaseProgramToken`, the way back of a program that was stopped.
/// they are asked for; and `GetSnapshotCellKey` and `DeleteSnapshot` (ADR 0026); and those of
/// vaults of groups (ADR 0036), and of their cells (ADR 0059).
const TABLE: &str = "
AuthService | SignUp, RequestMagicLink, ExchangeMagicLink, CompleteMfa, StepUp, BeginTotpEnrollment, ConfirmTotpEnrollment, RemoveTotp, RegenerateBackupCodes, BeginPasskeyRegistration, FinishPasskeyRegistration, BeginPasskeyAssertion, FinishPasskeyAssertion, ListPasskeys, RemovePasskey, BeginOidcLogin, FinishOidcLogin, RequestEmailChange, ConfirmEmailChange, GetEmailChange, CancelEmailChange, WhoAmI, ListSessions, RevokeSession, RevokeOtherSessions, SignOut, CreateApiKey, ListApiKeys, RevokeApiKey
TenantService | CreateTenant, GetTenant, ListTenants, UpdateTenantPolicy, GetQuota, UpdateQuota, SuspendTenant, ResumeTenant, DeleteTenant, GetOidcProvider, SetOidcProvider, RemoveOidcProvider, ListInbox, WatchInbox (server stream)
UserService | InviteUser, AcceptInvite, ListUsers, SetRole, CreateRole, ListRoles, DeleteRole, RemoveUser, PublishIdentityKey, GetIdentityKey
GroupService | CreateGroup, GetGroup, ListGroups, DeleteGroup, AddMember, RemoveMember, SetMemberRole, CreateResource, ListResources, DeleteResource, GetGroupVault, AcceptGroupVault, AdmitToGroupVault, OpenGroupUnlock, GetGroupUnlock, ListGroupUnlocks, ApproveGroupUnlock, DenyGroupUnlock, CancelGroupUnlock, CollectGroupUnlock, AppointGroupCell, DismissGroupCell, GetGroupCell, GetGroupCellKey, OpenGroupCell
ShareService | CreateShare, AcceptShare, ListShares, RevokeShare, SendSharedWrite, RequestCapability, ListCapabilities, ApproveCapability, DenyCapability, CreateProgramToken, RevokeProgramToken, ReleaseProgramToken
VaultService | CreateVault, GetVault, ListEntries, GetEntry, PutEntry, DeleteEntry, BatchGetEntries, BatchPutEntries, ListInboxItems, FileInboxItems, ListSharedWrites, FileSharedWrites, GetKeySlots, ReportUnlock, RefuseSlotRequest, AddKeySlot, RemoveKeySlot, BeginRotation, PutRewrappedKeys (client stream), ListStagedObjects, FinishRotation, WatchVault (server stream)
TranscriptService | OpenConversation, AppendTranscript (client stream), ReadTranscript (server stream), ListConversations, DeleteConversation
ContainerService | CreateContainer, GetContainer, ListContainers, StartContainer, PauseContainer, StopContainer, WakeContainer, RemoveContainer, HoldContainer, ReleaseContainer, ExplainIdle, GetCellKey, UnlockCell, ExtendUnlock, LockCell, WatchUnlockRequests (server stream), IssueGatewayToken, OpenChannel (bidi), GetSnapshotCellKey, CreateSnapshot, ListSnapshots, RestoreSnapshot, DeleteSnapshot, PutSnapshotSchedule, GetSnapshotSchedule, DeleteSnapshotSchedule, PutSchedule, ListSchedules, DeleteSchedule, PutAgentPolicy, GetAgentPolicy, PutEgressPolicy, GetEgressPolicy, WatchContainers (server stream)
OAuthService | BeginAuthorization, FinishAuthorization, ListConnections, Disconnect
PairingService | CheckSender, ListPendingPairings, ApprovePairing, RejectPairing, ListPairedSenders, RevokePairedSender
RecoveryService | InviteGuardian, AcceptGuardianship, ResignGuardianship, ListGuardianships, DealShares, GetGuardianSet, ReportLostMailbox, OpenCeremony, GetCeremony, ListCeremonies, ApproveCeremony, DenyCeremony, VoiceDoubt, LockCeremony, VetoCeremony, OverrideStop, CancelCeremony, CollectShares, CompleteCeremony, ChallengeGuardian, AnswerChallenge, WatchCeremonies (server stream)
AuditService | QueryAudit, ExportAudit (server stream), GetCheckpoint, ProveInclusion, ProveConsistency, WatchAudit (server stream), SetAuditStream, GetAuditStream, RemoveAuditStream, SetAuditRetention, GetAuditRetention
AlertService | PutChannel, ListChannels, DeleteChannel, SendTestAlert
ClusterService | CreateJoinToken, JoinCluster, RevokeNode, ForgetNode, ListNodes, DescribePlacement, DrainNode, ResumeNode, MoveTenant, AcceptRestore, WatchCluster (server stream)
OperatorService | BeginDestructiveAct, ConfirmDestructiveAct, CreateOperator, ListOperators, RevokeOperator
";

/// Methods that change nothing, by the beginning of their name.
const READS: &[&str] = &[
    "Get", "List", "Watch", "Read", "Query", "Export", "Prove", "BatchGet", "Explain", "WhoAmI", "Collect",
    "Describe", "Hello", "Ping",
];

fn pool() -> DescriptorPool {
    DescriptorPool::decode(DESCRIPTOR).unwrap()
}

fn our_messages() -> Vec<MessageDescriptor> {
    pool().all_messages().filter(|message| message.package_name().starts_with("ocmt.")).collect()
}

/// Messages that a request is or can hold.
fn messages_of_requests() -> Vec<MessageDescriptor> {
    let pool = pool();
    let mut open: Vec<_> =
        methods::all().iter().map(|each| pool.get_message_by_name(each.request).unwrap()).collect();
    let mut found = BTreeSet::new();
    while let Some(message) = open.pop() {
        if message.package_name().starts_with("ocmt.") && found.insert(message.full_name().to_owned()) {
            open.extend(message.fields().filter_map(|field| field.kind().as_message().cloned()));
        }
    }
    found.iter().map(|name| pool.get_message_by_name(name).unwrap()).collect()
}

fn bound(field: &FieldDescriptor, name: &str) -> Option<Value> {
    let extension = field.parent_pool().get_extension_by_name("ocmt.v1.bounds").unwrap();
    let bounds = field.options().get_extension(&extension).into_owned();
    let bounds = bounds.as_message()?;
    bounds.has_field_by_name(name).then(|| bounds.get_field_by_name(name).unwrap().into_owned())
}

fn redacted(field: &FieldDescriptor) -> bool {
    field.options().get_field_by_name("debug_redact").is_some_and(|value| value.as_bool() == Some(true))
}

#[test]
fn every_promised_method_is_there_and_no_other() {
    let promised: BTreeSet<_> = TABLE
        .lines()
        .filter_map(|row| row.split_once(" | "))
        .flat_map(|(service, names)| names.split(", ").map(move |name| (service, name)))
        .map(|(service, name)| match name.split_once(" (") {
            Some((name, "client stream)")) => (service, name, true, false),
            Some((name, "server stream)")) => (service, name, false, true),
            Some((name, "bidi)")) => (service, name, true, true),
            Some((_, other)) => panic!("{other}"),
            None => (service, name, false, false),
        })
        .collect();
    let there: BTreeSet<_> = methods::all()
        .iter()
        .filter_map(|method| Some((method.service.strip_prefix("ocmt.v1.")?, method)))
        .filter(|(service, _)| *service != "NodeService")
        .map(|(service, method)| (service, method.name, method.client_streaming, method.server_streaming))
        .collect();
    assert_eq!(promised, there);
}

#[test]
fn a_method_is_found_by_its_path() {
    for method in methods::all() {
        assert_eq!(methods::find(method.path), Some(method));
        assert_eq!(method.path, format!("/{}/{}", method.service, method.name));
    }
    assert_eq!(methods::find("/ocmt.v1.AuthService/Nothing"), None);
}

#[test]
fn each_method_has_request_and_response_of_its_own() {
    let mut seen = BTreeSet::new();
    for method in methods::all() {
        let package = method.service.rsplit_once('.').unwrap().0;
        assert_eq!(method.request, format!("{package}.{}Request", method.name));
        assert_eq!(method.response, format!("{package}.{}Response", method.name));
        assert!(seen.insert(method.request), "{} is shared", method.request);
    }
}

#[test]
fn every_mutation_has_an_idempotency_key() {
    let pool = pool();
    // the cell's state is its idempotency, and letters and orders carry ids of their own: see the
    // comments of the two services
    let apart = ["ocmt.cell.v1.CellService", "ocmt.v1.NodeService"];
    for method in methods::all().iter().filter(|method| !apart.contains(&method.service)) {
        let request = pool.get_message_by_name(method.request).unwrap();
        let carrier = match request.get_field_by_name("start") {
            Some(start) if method.client_streaming => start.kind().as_message().unwrap().clone(),
            _ => request,
        };
        let key = carrier.get_field_by_name("idempotency_key");
        if READS.iter().any(|read| method.name.starts_with(read)) {
            assert!(key.is_none(), "{} changes nothing and has a key", method.path);
            continue;
        }
        let key = key.unwrap_or_else(|| panic!("{} has no idempotency_key", method.path));
        assert_eq!((key.number(), key.kind()), (15, Kind::Bytes), "{}", method.path);
        assert_eq!(bound(&key, "required"), Some(Value::Bool(true)), "{}", method.path);
        assert_eq!(bound(&key, "min_len"), Some(Value::U32(16)), "{}", method.path);
        assert_eq!(bound(&key, "max_len"), Some(Value::U32(64)), "{}", method.path);
    }
}

#[test]
fn watches_resume_and_lists_page() {
    let pool = pool();
    for method in methods::all() {
        let request = pool.get_message_by_name(method.request).unwrap();
        let response = pool.get_message_by_name(method.response).unwrap();
        if method.name.starts_with("Watch") {
            assert!(method.server_streaming, "{}", method.path);
            assert!(request.get_field_by_name("resume_token").is_some(), "{}", method.path);
            assert!(response.get_field_by_name("resume_token").is_some(), "{}", method.path);
        }
        let paged = method.name.starts_with("List") || method.name.starts_with("Query");
        assert_eq!(
            request.get_field_by_name("page_token").is_some(),
            paged || method.name == "DescribePlacement"
        );
        assert_eq!(
            request.get_field_by_name("page_token").is_some(),
            response.get_field_by_name("next_page_token").is_some(),
            "{}",
            method.path
        );
    }
}

#[test]
fn the_zero_of_every_enum_is_unspecified() {
    for each in pool().all_enums().filter(|each| each.package_name().starts_with("ocmt.")) {
        let mut prefix = String::new();
        for letter in each.name().chars() {
            if letter.is_ascii_uppercase() && !prefix.is_empty() {
                prefix.push('_');
            }
            prefix.push(letter.to_ascii_uppercase());
        }
        let zero = each.get_value(0).unwrap();
        assert_eq!(zero.name(), format!("{prefix}_UNSPECIFIED"));
        assert!(each.values().all(|value| value.name().starts_with(&prefix)), "{}", each.full_name());
    }
}

#[test]
fn everything_of_any_size_in_a_request_is_bounded() {
    for field in messages_of_requests().iter().flat_map(MessageDescriptor::fields) {
        if matches!(field.kind(), Kind::String | Kind::Bytes) {
            let form = bound(&field, "format").and_then(|value| value.as_enum_number());
            let bounded =
                bound(&field, "max_len").is_some() || bound(&field, "len").is_some() || form == Some(1);
            assert!(bounded, "{} has no largest length", field.full_name());
        }
        assert!(!field.is_list() || bound(&field, "max_items").is_some(), "{} has no end", field.full_name());
        if matches!(field.kind(), Kind::Message(inner) if inner.full_name() == "google.protobuf.Duration") {
            assert!(bound(&field, "max").is_some(), "{} has no longest time", field.full_name());
        }
        assert!(field.name() != "tenant_id" || !field.full_name().contains("Vault"), "{}", field.full_name());
    }
}

#[test]
fn bounds_fit_their_fields() {
    for field in our_messages().iter().flat_map(MessageDescriptor::fields) {
        let sized = matches!(field.kind(), Kind::String | Kind::Bytes);
        let number = matches!(field.kind(), Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64)
            || matches!(field.kind(), Kind::Message(inner) if inner.full_name() == "google.protobuf.Duration");
        for (name, fits) in [
            ("min_len", sized),
            ("max_len", sized),
            ("len", sized),
            ("format", matches!(field.kind(), Kind::String)),
            ("min", number),
            ("max", number),
            ("min_items", field.is_list()),
            ("max_items", field.is_list()),
            ("required", !field.is_list()),
        ] {
            assert!(fits || bound(&field, name).is_none(), "{} cannot have {name}", field.full_name());
        }
    }
}

#[test]
fn fields_that_carry_secrets_are_marked() {
    let secret = |name: &str| {
        [
            "secret",
            "token",
            "totp_code",
            "backup_code",
            "code",
            "pairing_code",
            "binding_secret",
            "session_token",
        ]
        .contains(&name)
            || name.ends_with("_private_key")
            || name == "confirmation_token"
    };
    for field in our_messages().iter().flat_map(MessageDescriptor::fields) {
        if matches!(field.kind(), Kind::String | Kind::Bytes) && secret(field.name()) {
            assert!(redacted(&field), "{} is not marked debug_redact", field.full_name());
        }
    }
}

#[test]
fn a_message_with_a_secret_shows_nothing() {
    use ocmt_proto::v1::{CompleteMfaRequest, ExchangeMagicLinkRequest, SignIn, complete_mfa_request::Proof};
    let sign_in = SignIn { session_token: "ocmt_ses_mark".to_owned(), ..SignIn::default() };
    let exchange = ExchangeMagicLinkRequest { token: "ocmt_lnk_mark".to_owned(), ..Default::default() };
    let proof = Proof::TotpCode("mark42".to_owned());
    let mfa = CompleteMfaRequest { proof: Some(proof.clone()), ..Default::default() };
    let shown = format!("{sign_in:?} {exchange:?} {proof:?} {mfa:?}");
    assert!(!shown.contains("mark"), "{shown}");
}

fn files_with_comments() -> Vec<FileDescriptorProto> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["ocmt/v1", "ocmt/cell/v1"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path());
    protox::compile(files, [root])
        .unwrap()
        .file
        .into_iter()
        .filter(|file| file.package().starts_with("ocmt."))
        .collect()
}

/// Calls back with the full name and comment of everything in a file that has one coming.
fn comments(file: &FileDescriptorProto, mut each: impl FnMut(&str, &[i32], &str)) {
    let info = file.source_code_info.as_ref().unwrap();
    let comment = |path: &[i32]| {
        let place = info.location.iter().find(|place| place.path == path);
        place.and_then(|place| place.leading_comments.clone()).unwrap_or_default()
    };
    let index = |at: usize| i32::try_from(at).unwrap();
    for (m, message) in file.message_type.iter().enumerate() {
        each(message.name(), &[4, index(m)], &comment(&[4, index(m)]));
        for (f, field) in message.field.iter().enumerate() {
            let path = [4, index(m), 2, index(f)];
            each(&format!("{}.{}", message.name(), field.name()), &path, &comment(&path));
        }
    }
    for (e, kind) in file.enum_type.iter().enumerate() {
        each(kind.name(), &[5, index(e)], &comment(&[5, index(e)]));
        for (v, value) in kind.value.iter().enumerate() {
            each(value.name(), &[5, index(e), 2, index(v)], &comment(&[5, index(e), 2, index(v)]));
        }
    }
    for (s, service) in file.service.iter().enumerate() {
        each(service.name(), &[6, index(s)], &comment(&[6, index(s)]));
        for (m, method) in service.method.iter().enumerate() {
            each(method.name(), &[6, index(s), 2, index(m)], &comment(&[6, index(s), 2, index(m)]));
        }
    }
}

#[test]
fn everything_has_a_comment() {
    let mut seen = 0;
    for file in files_with_comments() {
        comments(&file, |name, _, comment| {
            seen += 1;
            assert!(!comment.trim().is_empty(), "{}: {name} has no comment", file.name());
        });
        // nested types would be missed above
        let flat = |message: &DescriptorProto| {
            message.enum_type.is_empty() && message.nested_type.iter().all(is_map_entry)
        };
        assert!(file.message_type.iter().all(flat), "{}", file.name());
    }
    assert!(seen > 1500, "only {seen} things were looked at");
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry)
}

#[test]
fn comments_of_fields_of_any_size_say_how_big_they_are() {
    use prost_types::field_descriptor_proto::{Label, Type};
    for file in files_with_comments() {
        comments(&file, |name, path, comment| {
            let [4, message, 2, field] = *path else { return };
            let at = |index: i32| usize::try_from(index).unwrap();
            let field = &file.message_type[at(message)].field[at(field)];
            // pages say it by their request's page_size
            let paged = comment.contains("`page_size`")
                || comment.contains("in order")
                || comment.contains("In the order");
            let sized =
                matches!(field.r#type(), Type::String | Type::Bytes) || field.label() == Label::Repeated;
            let says = comment.contains("UUID") || comment.contains(|c: char| c.is_ascii_digit()) || paged;
            assert!(!sized || says, "{}: {name} does not say how big it can be", file.name());
        });
    }
}

#[test]
fn enum_values_are_numbered_without_gaps() {
    let gapless = |each: &EnumDescriptorProto| {
        each.value.iter().enumerate().all(|(at, v)| usize::try_from(v.number()) == Ok(at))
    };
    for file in files_with_comments() {
        assert!(file.enum_type.iter().all(gapless), "{}", file.name());
    }
}
