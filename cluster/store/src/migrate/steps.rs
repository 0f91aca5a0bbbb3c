//! The steps of the schema, once for both databases: the same versions, making the same tables.

use super::Migration;

/// `VERSION "name" "file" usable_from VERSION;` for each step, oldest first, numbered from 1 without a gap.
macro_rules! steps {
    ($($version:literal $name:literal $file:literal usable_from $usable_from:literal;)*) => {
        /// SQLite's steps, oldest first.
        pub(crate) const SQLITE: &[Migration] = &[$(Migration {
            version: $version,
            name: $name,
            text: include_str!(concat!("../../../../migrations/sqlite/", $file)),
            usable_from: $usable_from,
        }),*];
        /// PostgreSQL's steps.
        pub(crate) const POSTGRES: &[Migration] = &[$(Migration {
            version: $version,
            name: $name,
            text: include_str!(concat!("../../../../migrations/postgres/", $file)),
            usable_from: $usable_from,
        }),*];
    };
}

steps! {
    1 "first_light" "0001_first_light.sql" usable_from 1;
    // an earlier program names no tenant, and would see none in PostgreSQL
    2 "row_security" "0002_row_security.sql" usable_from 2;
    // an earlier program would give a custom role all of the role that it narrows
    3 "teams" "0003_teams.sql" usable_from 3;
    // an earlier program would let in who has a second factor without asking for it
    4 "factors" "0004_factors.sql" usable_from 4;
    5 "limits" "0005_limits.sql" usable_from 4;
    // an earlier program would leave programs their tokens when a vault was recovered
    6 "programs" "0006_programs.sql" usable_from 6;
    // an earlier program would take an account that has nothing else for one without a second factor
    7 "passkeys" "0007_passkeys.sql" usable_from 7;
    // an earlier program would let a recovery pass and leave a change of address standing
    8 "email_change" "0008_email_change.sql" usable_from 8;
    // an earlier program would take any second factor where the policy wants a passkey
    9 "passkey_shown" "0009_passkey_shown.sql" usable_from 9;
    10 "deletion" "0010_deletion.sql" usable_from 9;
    // an earlier program would leave a user's keys good when the vault was recovered
    11 "api_keys" "0011_api_keys.sql" usable_from 11;
    // an earlier program would leave a removed user their shares, and a recovered vault its takers
    12 "shares" "0012_shares.sql" usable_from 12;
    // an earlier program would remove a user and leave what signs them in standing
    13 "single_sign_on" "0013_single_sign_on.sql" usable_from 13;
    // an earlier program would leave a removed user's requests to be decided
    14 "capabilities" "0014_capabilities.sql" usable_from 14;
    // an earlier program would delete the key of a conversation that is there
    15 "transcripts" "0015_transcripts.sql" usable_from 15;
    // an earlier program would hand out key slots without counting
    16 "unlock_budget" "0016_unlock_budget.sql" usable_from 16;
    // an earlier program would change a vault and tell no watcher, and rotate it without its older versions
    17 "vaults" "0017_vaults.sql" usable_from 17;
    // an earlier program would remove a container and leave its policy standing
    18 "egress" "0018_egress.sql" usable_from 18;
    // an earlier program would remove a container or a user and leave their schedules standing
    19 "life" "0019_life.sql" usable_from 19;
    // an earlier program would remove a container and leave its connections listed
    20 "oauth" "0020_oauth.sql" usable_from 20;
    // an earlier program would change a ceremony and tell no watcher
    21 "ceremonies" "0021_ceremonies.sql" usable_from 21;
    // an earlier program appends without the tree, which is grown after it
    22 "audit_tree" "0022_audit_tree.sql" usable_from 21;
    // an earlier program would give up a sealing key that channels are still under
    23 "alerts" "0023_alerts.sql" usable_from 23;
    // an earlier program would remove a user and leave their snapshots in the object store
    24 "snapshots" "0024_snapshots.sql" usable_from 24;
    // an earlier program would start agents without their policy
    25 "agent_policies" "0025_agent_policies.sql" usable_from 25;
    // an earlier program would leave the volume of a container that is removed with it
    26 "erased_volumes" "0026_erased_volumes.sql" usable_from 26;
    // an earlier program would give up a sealing key that a stream is still under
    27 "audit_streams" "0027_audit_streams.sql" usable_from 27;
    // an earlier program would take an audit whose beginning was pruned for one that is damaged
    28 "audit_retention" "0028_audit_retention.sql" usable_from 28;
    // an earlier program would let one go on reading that was stopped
    29 "program_pace" "0029_program_pace.sql" usable_from 29;
    // an earlier program would take a member out of a group and leave them its vault
    30 "group_vaults" "0030_group_vaults.sql" usable_from 30;
    // an earlier program would end a share and leave what its taker sent to be filed
    31 "shared_writes" "0031_shared_writes.sql" usable_from 31;
    // an earlier program would take the opening of a group's vault by several for a recovery
    32 "group_parts" "0032_group_parts.sql" usable_from 32;
    33 "operator_channels" "0033_operator_channels.sql" usable_from 32;
    // an earlier program would take an inert session for one that is good for ceremonies
    34 "lost_mailbox" "0034_lost_mailbox.sql" usable_from 34;
    35 "gateway_overlap" "0035_gateway_overlap.sql" usable_from 34;
    // an earlier program would end a token and leave standing what was sent by it
    36 "program_writes" "0036_program_writes.sql" usable_from 36;
    // an earlier program would remove a container and leave its volume counted
    37 "volume_quota" "0037_volume_quota.sql" usable_from 37;
    38 "ceremonies_by_purpose" "0038_ceremonies_by_purpose.sql" usable_from 37;
    39 "grants_by_entry" "0039_grants_by_entry.sql" usable_from 37;
    // an earlier program would remove a container or a user and leave their schedule standing
    40 "snapshot_schedules" "0040_snapshot_schedules.sql" usable_from 40;
    41 "unsealed_volumes" "0041_unsealed_volumes.sql" usable_from 40;
    42 "group_cells" "0042_group_cells.sql" usable_from 42;
}
