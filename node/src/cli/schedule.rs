//! `ocmt schedule`.

use ocmt_client::schedule::Schedule;

use super::{args::ScheduleCommand, context::Context, show};

pub(super) async fn run(context: &Context, command: ScheduleCommand) -> anyhow::Result<()> {
    let client = context.client().await?;
    match command {
        ScheduleCommand::Put(args) => {
            let container = client.container_or_only(args.container).await?;
            let put =
                client.put_schedule(args.schedule, container, &args.cron, &args.time_zone, !args.off).await?;
            context.out.value(&put, || format!("schedule {}: next {}", put.id, next(&put)))
        }
        ScheduleCommand::Ls(which) => {
            let container = client.container_or_only(which.container).await?;
            let all = client.list_schedules(container).await?;
            context.out.list(&all, &["SCHEDULE", "WHEN", "ZONE", "NEXT"], |one| {
                vec![one.id.to_string(), one.cron.clone(), one.time_zone.clone(), next(one)]
            })
        }
        ScheduleCommand::Rm { schedule } => {
            client.delete_schedule(schedule).await?;
            context.out.done("the schedule was deleted")
        }
    }
}

fn next(schedule: &Schedule) -> String {
    match (schedule.enabled, schedule.next_at) {
        (false, _) => "off".to_owned(),
        (true, next) => show::when(next),
    }
}
