//! `ocmt inbox`.

use ocmt_client::inbox::InboxItem;
use serde::Serialize;

use super::{
    args::InboxListArgs,
    context::Context,
    output::{self, print},
    show,
};

#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    item: &'a InboxItem,
    resume_token: &'a str,
}

pub(super) async fn run(context: &Context, args: InboxListArgs) -> anyhow::Result<()> {
    let client = context.client().await?;
    if !args.watch {
        let items = client.list_inbox().await?;
        return context.out.list(&items, &["WHEN", "WHAT", "FROM", "ABOUT"], cells);
    }
    let mut watch = client.watch_inbox(&args.resume).await?;
    let mut token = args.resume.clone();
    loop {
        let next = watch.next().await;
        let (item, resume_token) =
            next.map_err(|error| output::cut_off(error, "ocmt inbox --watch", &token))?;
        token.clone_from(&resume_token);
        let line = if context.out.json {
            serde_json::to_string(&Told { item: &item, resume_token: &resume_token })?
        } else {
            cells(&item).join("  ")
        };
        print(&(line + "\n"))?;
    }
}

fn cells(item: &InboxItem) -> Vec<String> {
    let said = item.says.as_ref().and_then(|says| says.get("kind")).and_then(serde_json::Value::as_str);
    let what = said.map_or_else(|| item.kind.to_owned(), |kind| format!("{}: {kind}", item.kind));
    vec![show::at(item.received_at), what, item.from.clone(), item.subject.clone()]
}
