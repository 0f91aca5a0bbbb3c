//! Roles of the tenant.

use ocmt_proto::v1 as pb;
use serde::Serialize;

use crate::{
    Client, ClientError,
    client::{idempotency_key, present},
    pages::Pages,
};

/// A role: a built-in one, or one that narrows a built-in one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Role {
    /// Its name.
    pub id: String,
    /// The built-in role that it narrows; itself if it is one.
    pub base: String,
    /// What can be left out of it and is not.
    pub permissions: Vec<String>,
    /// Whether it is built in.
    pub built_in: bool,
}

impl Client {
    /// Built-in and custom roles of the tenant.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_roles(&self) -> Result<Vec<Role>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request = pb::ListRolesRequest { page_size: 100, page_token };
            let page = self.users().list_roles(request).await?.into_inner();
            all.extend(page.roles.into_iter().map(role));
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// Makes a custom role: `base` with these permissions alone.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_role(
        &self,
        id: &str,
        base: &str,
        permissions: &[String],
    ) -> Result<Role, ClientError> {
        let request = pb::CreateRoleRequest {
            role_id: id.to_owned(),
            base_role_id: base.to_owned(),
            permissions: permissions.to_vec(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.users().create_role(request).await?.into_inner();
        present(answer.role, "role").map(role)
    }

    /// Deletes a custom role that nobody has.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete_role(&self, id: &str) -> Result<(), ClientError> {
        let request = pb::DeleteRoleRequest { role_id: id.to_owned(), idempotency_key: idempotency_key() };
        self.users().delete_role(request).await?;
        Ok(())
    }
}

fn role(from: pb::Role) -> Role {
    Role { id: from.role_id, base: from.base_role_id, permissions: from.permissions, built_in: from.built_in }
}
