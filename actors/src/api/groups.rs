//! Groups of users, and what lies under their permissions.

use ocmt_types::{ContainerId, GroupId, ResourceId, Timestamp, UserId, VaultId};
use serde::{Deserialize, Serialize};

use super::users::Done;
pub use crate::authorize::GroupRole;
use crate::call::calls;

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupInfo {
    /// Which.
    pub id: GroupId,
    /// Name, unique in the tenant.
    pub name: String,
    /// How many members it has.
    pub members: u32,
    /// Its vault; none if none was made.
    #[serde(default)]
    pub vault: Option<VaultId>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberInfo {
    /// Who.
    pub user: UserId,
    /// The address.
    pub email: String,
    /// What the member may do in the group.
    pub role: GroupRole,
    /// Since when.
    pub added_at: Timestamp,
}

/// Make a group; the caller becomes its administrator.
#[derive(Debug, Clone)]
pub struct CreateGroup {
    /// 1 to 100 bytes, unique in the tenant.
    pub name: String,
}

/// One group with its members. For members, and for the tenant's administrators.
#[derive(Debug, Clone)]
pub struct GetGroup {
    /// Which.
    pub group: GroupId,
}

/// Answer of [`GetGroup`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDetail {
    /// The group.
    pub group: GroupInfo,
    /// All of them, those who came first at the front.
    pub members: Vec<MemberInfo>,
}

/// A page of the groups that the caller may see, in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct ListGroups {
    /// Behind this name.
    pub after: Option<String>,
    /// 1 to 100; 0 means 50.
    pub limit: u32,
}

/// Answer of [`ListGroups`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPage {
    /// Groups.
    pub groups: Vec<GroupInfo>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<String>,
}

/// Delete a group. What lay under its permissions stays where it is. With step-up.
#[derive(Debug, Clone)]
pub struct DeleteGroup {
    /// Which.
    pub group: GroupId,
}

/// Take a user of the tenant into a group.
#[derive(Debug, Clone)]
pub struct AddMember {
    /// Into which.
    pub group: GroupId,
    /// Whom.
    pub user: UserId,
    /// As what.
    pub role: GroupRole,
}

/// Take a member out; everybody may take out themselves. The last administrator stays.
#[derive(Debug, Clone)]
pub struct RemoveMember {
    /// Out of which.
    pub group: GroupId,
    /// Whom.
    pub user: UserId,
}

/// Answer of [`RemoveMember`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRemoved {
    /// The group's vault is due for new keys: the member could open it.
    pub rotation_due: bool,
}

/// Give a member another role. The last administrator stays one.
#[derive(Debug, Clone)]
pub struct SetMemberRole {
    /// In which.
    pub group: GroupId,
    /// Whom.
    pub user: UserId,
    /// To what.
    pub role: GroupRole,
}

/// Put a container of one's own under the permissions of a group: observers see it, members start and stop it,
/// administrators of the group take it out. What runs inside stays its owner's alone.
#[derive(Debug, Clone)]
pub struct CreateResource {
    /// Under which.
    pub group: GroupId,
    /// What.
    pub container: ContainerId,
}

/// Something that lies under a group's permissions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceInfo {
    /// Which.
    pub id: ResourceId,
    /// Under which group.
    pub group: GroupId,
    /// What it is.
    pub container: ContainerId,
    /// Since when.
    pub created_at: Timestamp,
}

/// A page of a group's resources in the order of their ids.
#[derive(Debug, Clone)]
pub struct ListResources {
    /// Of which.
    pub group: GroupId,
    /// Behind this one.
    pub after: Option<ResourceId>,
    /// 1 to 100; 0 means 50.
    pub limit: u32,
}

/// Answer of [`ListResources`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourcePage {
    /// Resources.
    pub resources: Vec<ResourceInfo>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<ResourceId>,
}

/// Take something out of a group: for its owner, and for the group's administrators.
#[derive(Debug, Clone)]
pub struct DeleteResource {
    /// Which.
    pub resource: ResourceId,
}

calls! {
    /// Calls about groups.
    Groups: GroupsCall of "GroupService" {
        write CreateGroup => GroupInfo,
        read GetGroup => GroupDetail,
        read ListGroups => GroupPage,
        write DeleteGroup => Done,
        write AddMember => MemberInfo,
        write RemoveMember => MemberRemoved,
        write SetMemberRole => MemberInfo,
        write CreateResource => ResourceInfo,
        read ListResources => ResourcePage,
        write DeleteResource => Done,
    }
}
