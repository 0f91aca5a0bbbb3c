//! What people of a tenant may do together: custom roles, groups.

use ocmt_types::{ContainerId, GroupId, ResourceId, Timestamp, UserId};

use super::UserRole;
use crate::{kernel::row::rows, text_enum};

text_enum! {
    /// What a member may do in a group.
    pub enum StoredGroupRole {
        /// Sees.
        Observer = "observer",
        /// Uses.
        Member = "member",
        /// Administers.
        Admin = "admin",
    }
}

rows! {
    /// A role that narrows a built-in one.
    pub struct CustomRole: tenant("roles") {
        key {
            /// Chosen by who made it; no built-in name.
            role_id: String,
        }
        /// The role that it narrows.
        base: UserRole,
        /// What is left of it: names of permissions with spaces between them.
        permissions: String,
        /// When it was made.
        created_at: Timestamp,
    };

    /// A group of users.
    pub struct Group: tenant("user_groups") {
        key {
            /// Which group.
            group_id: GroupId,
        }
        /// What people call it.
        name: String,
        /// When it was made.
        created_at: Timestamp,
    } unique(tenant_id, name);

    /// A user in a group.
    pub struct GroupMember: tenant("group_members") {
        key {
            /// Which group.
            group_id: GroupId,
            /// Who.
            user_id: UserId,
        }
        /// What they may do there.
        role: StoredGroupRole,
        /// Since when.
        added_at: Timestamp,
    } index(tenant_id, user_id);

    /// A container under a group's permissions.
    pub struct GroupResource: tenant("group_resources") {
        key {
            /// Which resource.
            resource_id: ResourceId,
        }
        /// Under which group.
        group_id: GroupId,
        /// What.
        container_id: ContainerId,
        /// Since when.
        created_at: Timestamp,
    } unique(tenant_id, group_id, container_id) index(tenant_id, container_id);
}
