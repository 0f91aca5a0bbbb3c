//! Schedules: when containers wake by themselves.

use ocmt_proto::v1 as pb;
use ocmt_types::{ContainerId, ScheduleId, Timestamp};
use serde::Serialize;

use crate::{
    Client, ClientError,
    client::{id, idempotency_key, present},
    pages::Pages,
    wire::time,
};

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Schedule {
    /// Which.
    pub id: ScheduleId,
    /// What wakes.
    pub container: ContainerId,
    /// Five fields.
    pub cron: String,
    /// The zone that they are read in.
    pub time_zone: String,
    /// Whether it wakes anything.
    pub enabled: bool,
    /// Its next time; it fires within the minute that begins then.
    pub next_at: Option<Timestamp>,
}

impl Client {
    /// Makes a schedule, or changes the one that is named. An empty zone is UTC.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn put_schedule(
        &self,
        schedule: Option<ScheduleId>,
        container: ContainerId,
        cron: &str,
        time_zone: &str,
        enabled: bool,
    ) -> Result<Schedule, ClientError> {
        let request = pb::PutScheduleRequest {
            schedule_id: schedule.map(|id| id.to_string()).unwrap_or_default(),
            container_id: container.to_string(),
            cron: cron.to_owned(),
            time_zone: time_zone.to_owned(),
            enabled,
            idempotency_key: idempotency_key(),
        };
        let answer = self.containers().put_schedule(request).await?.into_inner();
        parse(present(answer.schedule, "schedule")?)
    }

    /// All schedules of a container.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_schedules(&self, container: ContainerId) -> Result<Vec<Schedule>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request =
                pb::ListSchedulesRequest { container_id: container.to_string(), page_size: 100, page_token };
            let page = self.containers().list_schedules(request).await?.into_inner();
            for schedule in page.schedules {
                all.push(parse(schedule)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// Deletes a schedule.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete_schedule(&self, schedule: ScheduleId) -> Result<(), ClientError> {
        let request = pb::DeleteScheduleRequest {
            schedule_id: schedule.to_string(),
            idempotency_key: idempotency_key(),
        };
        self.containers().delete_schedule(request).await?;
        Ok(())
    }
}

fn parse(schedule: pb::Schedule) -> Result<Schedule, ClientError> {
    Ok(Schedule {
        id: id(&schedule.schedule_id, "schedule_id")?,
        container: id(&schedule.container_id, "container_id")?,
        cron: schedule.cron,
        time_zone: schedule.time_zone,
        enabled: schedule.enabled,
        next_at: schedule.next_at.as_ref().map(time),
    })
}
