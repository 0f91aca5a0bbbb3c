//! Schedules of ContainerService.

use ocmt_actors::api::schedule::{DeleteSchedule, ListSchedules, PutSchedule, ScheduleInfo};
use ocmt_proto::v1 as pb;
use tonic::{Request, Response};

use super::{Answer, Rpc, convert};

pub(super) async fn put(
    rpc: &Rpc,
    request: Request<pb::PutScheduleRequest>,
) -> Answer<pb::PutScheduleResponse> {
    let it = request.get_ref();
    let ask = PutSchedule {
        schedule: convert::optional_id(&it.schedule_id, "schedule_id")?,
        container: convert::id(&it.container_id, "container_id")?,
        cron: it.cron.clone(),
        time_zone: it.time_zone.clone(),
        enabled: it.enabled,
    };
    let schedule = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::PutScheduleResponse { schedule: Some(wire(schedule)) }))
}

pub(super) async fn list(
    rpc: &Rpc,
    request: Request<pb::ListSchedulesRequest>,
) -> Answer<pb::ListSchedulesResponse> {
    let it = request.get_ref();
    let ask = ListSchedules {
        container: convert::id(&it.container_id, "container_id")?,
        after: convert::optional_id(&it.page_token, "page_token")?,
        limit: convert::page_size(it.page_size, 50),
    };
    let page = rpc.ask(&request, &[], ask).await?;
    Ok(Response::new(pb::ListSchedulesResponse {
        schedules: page.schedules.into_iter().map(wire).collect(),
        next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
    }))
}

pub(super) async fn delete(
    rpc: &Rpc,
    request: Request<pb::DeleteScheduleRequest>,
) -> Answer<pb::DeleteScheduleResponse> {
    let it = request.get_ref();
    let ask = DeleteSchedule { schedule: convert::id(&it.schedule_id, "schedule_id")? };
    rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::DeleteScheduleResponse {}))
}

fn wire(info: ScheduleInfo) -> pb::Schedule {
    pb::Schedule {
        schedule_id: info.id.to_string(),
        container_id: info.container.to_string(),
        cron: info.cron,
        time_zone: info.time_zone,
        enabled: info.enabled,
        next_at: info.next_at.map(convert::time),
    }
}
