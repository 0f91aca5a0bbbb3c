//! `ocmt recovery who`: who could open the vault with whom, and where the circle of guardians is weak.

use ocmt_client::{
    Client, ClientError,
    recovery::{
        Guardianship, Side,
        strength::{Chair, MOST_GROUPS, Weakness, groups, weaknesses},
    },
};
use serde::Serialize;

use super::{args::WhoArgs, context::Context};

#[derive(Serialize)]
struct Answer {
    needed: u32,
    of: u32,
    /// The smallest groups that can open the vault together.
    groups: Vec<Vec<Chair>>,
    weak: Vec<Weakness>,
}

pub(super) async fn run(context: &Context, client: &Client, args: &WhoArgs) -> anyhow::Result<()> {
    let owner = client.who_am_i().await?.email;
    let (mut chairs, dealt) = match client.circle(None).await? {
        Some(circle) => (held(&client.guardianships(Some(Side::Owner)).await?), u32::from(circle.threshold)),
        None if args.need.is_some() => (Vec::new(), 0),
        None => {
            let text = "your vault has no guardians. Ask what would be with --with ADDRESS (more than once) and --need K";
            return Err(ClientError::Usage(text.to_owned()).into());
        }
    };
    for gone in &args.without {
        let before = chairs.len();
        chairs.retain(|chair| !chair.email.eq_ignore_ascii_case(gone));
        if chairs.len() == before {
            return Err(ClientError::Usage(format!("{gone} is no guardian of yours")).into());
        }
    }
    chairs.extend(args.with.iter().map(|new| Chair { email: new.email.clone(), units: new.units }));
    let needed = args.need.map_or(dealt, u32::from);
    let answer = Answer {
        needed,
        of: chairs.iter().map(|chair| chair.units).sum(),
        groups: groups(&chairs, needed),
        weak: weaknesses(&owner, &chairs, needed),
    };
    context.out.value(&answer, || told(&answer))
}

/// Those who hold units of the set in force.
fn held(guardians: &[Guardianship]) -> Vec<Chair> {
    let held = guardians.iter().filter(|guardian| guardian.set.is_some());
    held.map(|guardian| Chair { email: guardian.email.clone(), units: guardian.units }).collect()
}

fn told(answer: &Answer) -> String {
    let mut text = format!("{} of {} are needed. ", answer.needed, answer.of);
    match answer.groups.len() {
        0 => text.push_str("NOBODY can open the vault: these guardians are too few."),
        n => {
            let more = if n == MOST_GROUPS { "; there are more" } else { "" };
            text.push_str(&format!("These could open it together, once you had the time to stop it{more}:"));
        }
    }
    for group in &answer.groups {
        text.push_str(&format!("\n  {}", names(group.iter().map(|chair| chair.email.as_str()))));
    }
    for weak in &answer.weak {
        text.push_str(&format!("\nWeak: {}", in_words(weak)));
    }
    text
}

/// What could happen, for somebody who has not thought of it.
pub(super) fn in_words(weak: &Weakness) -> String {
    match weak {
        Weakness::AllNeeded => "all of them are needed. If one loses their device or passphrase, or will not help, nobody can give your vault back; and a stop that was wrong cannot be gone on over.".to_owned(),
        Weakness::Indispensable { email } => format!("without {email} the others are too few. If {email} is lost, so is the way back."),
        Weakness::AlmostAlone { email } => format!("{email} and any one other are enough."),
        Weakness::OnePerson { emails } => format!("{} look like one person.", names(emails.iter().map(String::as_str))),
        Weakness::Owner { email } => format!("{email} looks like yourself: what you lose, you would lose there too."),
        Weakness::OneHouse { domain, emails } => format!("{} are all at {domain}: people of one household or one employer are lost, or talked into something, together.", names(emails.iter().map(String::as_str))),
    }
}

fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = all.collect();
    match all.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => all.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_weaknesses_are_told_in_words() {
        let chair = |email: &str| Chair { email: email.to_owned(), units: 1 };
        let circle = [chair("a@x.example"), chair("b@x.example"), chair("c@z.example")];
        let answer = Answer {
            needed: 2,
            of: 3,
            groups: groups(&circle, 2),
            weak: weaknesses("ada@own.example", &circle, 2),
        };
        let text = told(&answer);
        assert!(text.contains("\n  a@x.example and b@x.example\n  a@x.example and c@z.example\n"), "{text}");
        assert!(text.contains("Weak: a@x.example and b@x.example are all at x.example"), "{text}");
        let nobody = Answer { groups: Vec::new(), weak: vec![Weakness::AllNeeded], ..answer };
        assert!(told(&nobody).contains("NOBODY") && told(&nobody).contains("Weak: all of them"));
    }
}
