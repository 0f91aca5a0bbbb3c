//! `ocmt tenant egress`: where containers may connect to.

use anyhow::Context as _;
use ocmt_client::{
    Client,
    egress::{EgressPolicy, EgressRule},
};

use super::{
    args::{EgressCommand, EgressSetArgs},
    context::Context,
};

pub(super) async fn run(context: &Context, client: &Client, command: EgressCommand) -> anyhow::Result<()> {
    match command {
        EgressCommand::Show { container } => {
            let policy = client.egress_policy(container).await?;
            context.out.value(&policy, || describe(&policy, container.is_some()))
        }
        EgressCommand::Set(args) => {
            let set = set(client, &args).await?;
            context.out.value(&set, || describe(&set, args.container.is_some()))
        }
    }
}

async fn set(client: &Client, args: &EgressSetArgs) -> anyhow::Result<EgressPolicy> {
    let rules = args.allowed.iter().map(|text| rule(text)).collect::<anyhow::Result<_>>()?;
    let before = client.egress_policy(args.container).await?;
    // what is not named stays
    let max_bytes_per_day = args.max_mib_per_day.map_or(before.max_bytes_per_day, |mib| u64::from(mib) << 20);
    let policy = EgressPolicy { rules, max_bytes_per_day, version: before.version };
    Ok(client.set_egress_policy(args.container, &policy).await?)
}

/// `HOST:PORT,PORT`
fn rule(text: &str) -> anyhow::Result<EgressRule> {
    let wrong = || format!("{text:?} is not HOST:PORT or HOST:PORT,PORT, such as api.example.com:443");
    let (host, ports) = text.rsplit_once(':').with_context(wrong)?;
    let ports = ports.split(',').map(str::parse).collect::<Result<Vec<u16>, _>>().with_context(wrong)?;
    Ok(EgressRule { host: host.to_owned(), ports })
}

fn describe(policy: &EgressPolicy, of_container: bool) -> String {
    if policy.version == 0 && of_container {
        return "nothing of its own: the tenant's policy holds".to_owned();
    }
    if policy.rules.is_empty() {
        return "nowhere".to_owned();
    }
    let ports = |rule: &EgressRule| rule.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    let mut lines: Vec<String> =
        policy.rules.iter().map(|rule| format!("{}:{}", rule.host, ports(rule))).collect();
    if policy.max_bytes_per_day > 0 {
        lines.push(format!("at most {} MiB out in one day and container", policy.max_bytes_per_day >> 20));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_destination_is_a_host_with_its_ports() {
        let two = rule("*.example.org:80,443").unwrap();
        assert_eq!((two.host.as_str(), two.ports), ("*.example.org", vec![80, 443]));
        for bad in ["example.org", "example.org:", "example.org:x", "example.org:80,", "example.org:70000"] {
            assert!(rule(bad).is_err(), "{bad} was taken");
        }
    }
}
