//! Another address for one's account.

use ocmt_proto::v1 as pb;
use ocmt_types::Timestamp;

use crate::{
    Client, ClientError,
    auth::token_of,
    client::{idempotency_key, present},
    wire::time,
};

/// A change of address that does not count yet.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct EmailChange {
    /// The new address.
    pub email: String,
    /// When it was asked for; absent in the answer to confirming it.
    pub requested_at: Option<Timestamp>,
    /// From when it counts; none until the new address is confirmed.
    pub effective_at: Option<Timestamp>,
}

impl Client {
    /// Asks for another address: a link goes there, a notice to the address of now. It ends an earlier change.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with reason `STEP_UP_REQUIRED`, `INVALID_ARGUMENT`, `CEREMONY_LIVE`,
    /// `TOO_MANY_EMAIL_CHANGES`.
    pub async fn request_email_change(&self, new_email: &str) -> Result<(), ClientError> {
        let request = pb::RequestEmailChangeRequest {
            new_email: new_email.to_owned(),
            idempotency_key: idempotency_key(),
        };
        self.auth().request_email_change(request).await?;
        Ok(())
    }

    /// Shows the mailed link (its address, or the token alone) in the session that asked.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with reason `BAD_LINK`, `ADDRESS_TAKEN`, `CEREMONY_LIVE`.
    pub async fn confirm_email_change(&self, link: &str) -> Result<EmailChange, ClientError> {
        let request = pb::ConfirmEmailChangeRequest {
            token: token_of(link).to_owned(),
            idempotency_key: idempotency_key(),
        };
        let confirmed = self.auth().confirm_email_change(request).await?.into_inner();
        let effective_at = Some(time(&present(confirmed.effective_at, "effective_at")?));
        Ok(EmailChange { email: confirmed.email, requested_at: None, effective_at })
    }

    /// The change that is under way.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn email_change(&self) -> Result<Option<EmailChange>, ClientError> {
        let answer = self.auth().get_email_change(pb::GetEmailChangeRequest {}).await?.into_inner();
        Ok(answer.email_change.map(|change| EmailChange {
            email: change.email,
            requested_at: change.requested_at.as_ref().map(time),
            effective_at: change.effective_at.as_ref().map(time),
        }))
    }

    /// Stops the change that is under way.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with reason `NO_EMAIL_CHANGE` if there is none.
    pub async fn cancel_email_change(&self) -> Result<(), ClientError> {
        let request = pb::CancelEmailChangeRequest { idempotency_key: idempotency_key() };
        self.auth().cancel_email_change(request).await?;
        Ok(())
    }
}
