//! `ocmt group`.

use ocmt_client::{Client, group::Member};
use ocmt_types::GroupId;
use serde_json::json;

use super::{args::GroupCommand, context::Context, group_vault, output::note, show};

pub(super) async fn run(context: &Context, command: GroupCommand) -> anyhow::Result<()> {
    let command = match command {
        GroupCommand::Vault(command) => return Box::pin(group_vault::run(context, command)).await,
        other => other,
    };
    let client = context.client().await?;
    match command {
        GroupCommand::Create { name } => {
            let group = client.create_group(&name).await?;
            context.out.value(&group, || format!("group {} ({})", group.name, group.id))
        }
        GroupCommand::Ls => {
            let groups = client.list_groups().await?;
            context.out.list(&groups, &["GROUP", "NAME", "MEMBERS", "SINCE"], |group| {
                let members = group.members.to_string();
                vec![group.id.to_string(), group.name.clone(), members, show::at(group.created_at)]
            })
        }
        GroupCommand::Get { group } => {
            let (group, members) = client.group(group).await?;
            let resources = client.list_resources(group.id).await?;
            if context.out.json {
                let all = json!({ "group": group, "members": members, "resources": resources });
                return context.out.value(&all, String::new);
            }
            note(&format!("{} ({})", group.name, group.id));
            context.out.list(&members, &["USER", "ADDRESS", "ROLE", "SINCE"], |member| {
                let role = member.role.as_str().to_owned();
                vec![member.user.to_string(), member.email.clone(), role, show::at(member.added_at)]
            })?;
            context.out.list(&resources, &["RESOURCE", "CONTAINER", "SINCE"], |resource| {
                vec![resource.id.to_string(), resource.container.to_string(), show::at(resource.created_at)]
            })
        }
        GroupCommand::Rm { group } => {
            client.delete_group(group).await?;
            context.out.done("the group was deleted, and its vault if it had one; the containers in it stay with their owners")
        }
        GroupCommand::Add { group, user, role } => {
            let member = client.add_member(group, user, role.into()).await?;
            context.out.value(&member, || is_now(&member))
        }
        GroupCommand::Role { group, user, role } => {
            let member = client.set_member_role(group, user, role.into()).await?;
            tell_role(context, &client, group, &member).await
        }
        GroupCommand::Remove { group, user } => {
            let due = client.remove_member(group, user).await?;
            let text = match due {
                true => {
                    "the member was taken out of the group, and may have kept the key of its vault: an administrator \
                         runs `ocmt group vault rotate` now"
                }
                false => "the member was taken out of the group",
            };
            context.out.value(&json!({ "rotation_due": due }), || text.to_owned())
        }
        GroupCommand::Share { group, container } => {
            let resource = client.create_resource(group, container).await?;
            context.out.value(&resource, || format!("the group holds it as {}", resource.id))
        }
        GroupCommand::Unshare { resource } => {
            client.delete_resource(resource).await?;
            context.out.done("the group holds it no more")
        }
        // seen to before
        GroupCommand::Vault(_) => Ok(()),
    }
}

/// Whoever was lowered may have lost their part in the group's vault, and kept its key.
async fn tell_role(
    context: &Context,
    client: &Client,
    group: GroupId,
    member: &Member,
) -> anyhow::Result<()> {
    context.out.value(member, || is_now(member))?;
    let vault = client.group_vault(group).await;
    if !context.out.json && vault.is_ok_and(|vault| vault.due_since.is_some()) {
        note("The keys of the group's vault are due: an administrator runs `ocmt group vault rotate` now.");
    }
    Ok(())
}

fn is_now(member: &Member) -> String {
    format!("{} is {} of the group now", member.email, member.role.as_str())
}
