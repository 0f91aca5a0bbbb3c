//! Groups that one is in, and beside them what people share with each other ([`super::shares`]).

use axum::{
    Form,
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use data_encoding::BASE64URL_NOPAD;
use ocmt_actors::{
    ActorError,
    api::{
        group_vaults::GetGroupVault,
        groups::{
            GetGroup, GroupDetail, GroupInfo, GroupRole, ListGroups, ListResources, MemberInfo, RemoveMember,
            ResourceInfo,
        },
    },
};
use ocmt_types::{GroupId, Timestamp};
use serde::Deserialize;

use super::{
    super::{
        answer::{html, refused},
        frame::Frame,
        pages::{Entered, Guest, Pages, Visitor},
    },
    MOST, shares, then,
    view::{Group, Groups, OneGroup, OneMember, OneResource},
};

const HERE: &str = "/app/groups";
/// As many as one call answers.
const PAGE: u32 = 100;

#[derive(Deserialize)]
pub(super) struct Wanted {
    /// Groups behind this name, in base64url.
    after: Option<String>,
    /// Shares behind this one.
    shares: Option<String>,
    /// One left a group whose vault is due for new keys.
    due: Option<String>,
}

/// One page of groups, and one of shares.
pub(super) async fn list(
    State(pages): State<Pages>,
    Query(wanted): Query<Wanted>,
    Entered { visitor, guest }: Entered,
) -> Response {
    match gathered(&pages, &visitor, &guest, &wanted).await {
        Ok(page) => {
            let (csrf, cookie) = visitor.own_csrf();
            html(StatusCode::OK, &Groups { csrf: &csrf, ..page }, [cookie])
        }
        Err(error) => refused(&error, &visitor),
    }
}

async fn gathered(
    pages: &Pages,
    visitor: &Visitor,
    guest: &Guest,
    wanted: &Wanted,
) -> Result<Groups<'static>, ActorError> {
    let frame = visitor.frame().of_user();
    let after = wanted.after.as_deref().map(named).transpose()?;
    let groups = pages.ask(&guest.caller, ListGroups { after, limit: MOST }).await?;
    let shared = shares::page(pages, guest, wanted.shares.as_deref()).await?;
    Ok(Groups {
        frame,
        groups: groups.groups.iter().map(|one| row(&frame, one)).collect(),
        next: groups.next.map(|name| BASE64URL_NOPAD.encode(name.as_bytes())),
        further: wanted.after.is_some(),
        shares: shared.shares.iter().map(|one| shares::row(&frame, &guest.me.email, one)).collect(),
        next_share: shared.next.map(shares::token),
        further_shares: wanted.shares.is_some(),
        due: wanted.due.is_some(),
        csrf: "",
    })
}

/// The name that a page of the list begins behind: any text, so that it is no part of an address as it is.
fn named(after: &str) -> Result<String, ActorError> {
    let bytes = BASE64URL_NOPAD.decode(after.as_bytes()).ok();
    let name = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    name.ok_or_else(|| ActorError::invalid("after", "is no page of this list"))
}

fn row(frame: &Frame, one: &GroupInfo) -> OneGroup {
    OneGroup {
        id: one.id.to_string(),
        name: one.name.clone(),
        members: one.members,
        since: frame.at(one.created_at),
        vault: one.vault.is_some(),
    }
}

/// One group, who is in it and what it holds.
pub(super) async fn show(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    Entered { visitor, guest }: Entered,
) -> Response {
    match looked_at(&pages, &guest, &id).await {
        Ok(found) => shown(&visitor, &guest, &found),
        Err(error) => refused(&error, &visitor),
    }
}

struct Found {
    group: GroupDetail,
    held: Vec<ResourceInfo>,
    /// Since when its vault is due for new keys.
    due: Option<Timestamp>,
}

async fn looked_at(pages: &Pages, guest: &Guest, id: &str) -> Result<Found, ActorError> {
    let group: GroupId = id.parse().map_err(|_| ActorError::NotFound)?;
    let found = pages.ask(&guest.caller, GetGroup { group }).await?;
    let due = match found.group.vault {
        Some(_) => pages.ask(&guest.caller, GetGroupVault { group }).await?.due,
        None => None,
    };
    let page = move |after| async move {
        let ask = ListResources { group, after, limit: PAGE };
        pages.ask(&guest.caller, ask).await.map(|page| (page.resources, page.next))
    };
    Ok(Found { group: found, held: Pages::all(page).await?, due: due.map(|(_, since)| since) })
}

fn shown(visitor: &Visitor, guest: &Guest, found: &Found) -> Response {
    let frame = visitor.frame().of_user();
    let (csrf, cookie) = visitor.own_csrf();
    let page = Group {
        frame,
        one: row(&frame, &found.group.group),
        due: found.due.map(|time| frame.at(time)),
        members: found.group.members.iter().map(|one| member(&frame, one)).collect(),
        held: found
            .held
            .iter()
            .map(|one| OneResource { container: one.container.to_string(), since: frame.at(one.created_at) })
            .collect(),
        inside: found.group.members.iter().any(|one| one.user == guest.me.user),
        csrf: &csrf,
    };
    html(StatusCode::OK, &page, [cookie])
}

fn member(frame: &Frame, one: &MemberInfo) -> OneMember {
    let role = match one.role {
        GroupRole::Observer => "role.observer",
        GroupRole::Member => "role.member",
        GroupRole::Admin => "role.admin",
    };
    OneMember { email: one.email.clone(), role: frame.say(role).to_owned(), since: frame.at(one.added_at) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    group: String,
    csrf: String,
}

/// Takes oneself out of a group.
pub(super) async fn leave(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    let left = async {
        let sender = pages.sender(&visitor, &one.csrf).await?;
        let group = one.group.parse().map_err(|_| ActorError::NotFound)?;
        let user = sender.caller.user().ok_or(ActorError::NotFound)?.user;
        let left = pages.act(&sender, RemoveMember { group, user }).await?;
        Ok(if left.rotation_due { format!("{HERE}?due=1") } else { HERE.to_owned() })
    };
    then(left.await, &visitor)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_of_any_letters_is_found_again_by_its_page() {
        let name = "\"><script>&after=x #%";
        assert_eq!(named(&BASE64URL_NOPAD.encode(name.as_bytes())).unwrap(), name);
        for bad in ["\"><script>", "_w", "a"] {
            assert!(named(bad).is_err(), "{bad}");
        }
    }
}
