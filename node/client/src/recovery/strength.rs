//! Who could open a vault with whom, and where a circle of guardians is weak. Pure: of addresses and units alone, so that it can
//! be asked of a circle that is to be.

use std::collections::BTreeMap;

use serde::Serialize;

/// One guardian, or one to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chair {
    /// Their address.
    pub email: String,
    /// Units they hold.
    pub units: u32,
}

/// What is weak about a circle. Each says what could happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Weakness {
    /// All units are needed: one guardian who is lost loses the vault, and there is no going on over a wrong stop.
    AllNeeded,
    /// Without this one guardian the others are too few.
    Indispensable {
        /// Whose address.
        email: String,
    },
    /// This one and any one other are enough.
    AlmostAlone {
        /// Whose address.
        email: String,
    },
    /// These addresses look like one person's.
    OnePerson {
        /// The addresses.
        emails: Vec<String>,
    },
    /// This address looks like the owner's own.
    Owner {
        /// The address.
        email: String,
    },
    /// People of one household or one employer are enough by themselves, or all but one.
    OneHouse {
        /// The part behind the @.
        domain: String,
        /// The addresses.
        emails: Vec<String>,
    },
}

/// Domains where anybody has an address: sharing one says nothing.
const ANYBODYS: [&str; 14] = [
    "gmail.com",
    "googlemail.com",
    "outlook.com",
    "hotmail.com",
    "live.com",
    "yahoo.com",
    "icloud.com",
    "me.com",
    "proton.me",
    "protonmail.com",
    "gmx.net",
    "gmx.de",
    "web.de",
    "aol.com",
];

/// Smallest groups that are listed; there may be more of them than anybody reads.
pub const MOST_GROUPS: usize = 100;

/// The smallest groups that have `needed` units together: nobody in one can be left out. At most [`MOST_GROUPS`].
pub fn groups(chairs: &[Chair], needed: u32) -> Vec<Vec<Chair>> {
    let mut sorted: Vec<&Chair> = chairs.iter().collect();
    // heaviest first: a group that is reached with its last member lacks nothing that could be left out
    sorted.sort_by(|a, b| b.units.cmp(&a.units).then_with(|| a.email.cmp(&b.email)));
    let mut found = Vec::new();
    grow(&sorted, needed, &mut Vec::new(), &mut found);
    found
}

fn grow<'a>(rest: &[&'a Chair], missing: u32, group: &mut Vec<&'a Chair>, found: &mut Vec<Vec<Chair>>) {
    for (at, chair) in rest.iter().enumerate() {
        let after = rest.get(at..).unwrap_or_default();
        let reachable: u32 = after.iter().map(|chair| chair.units).sum();
        if found.len() >= MOST_GROUPS || reachable < missing {
            return;
        }
        group.push(chair);
        if chair.units >= missing {
            found.push(group.iter().map(|chair| (*chair).clone()).collect());
        } else {
            grow(after.get(1..).unwrap_or_default(), missing - chair.units, group, found);
        }
        group.pop();
    }
}

/// What is weak about a circle of which `needed` units open the vault of `owner`.
pub fn weaknesses(owner: &str, chairs: &[Chair], needed: u32) -> Vec<Weakness> {
    let total: u32 = chairs.iter().map(|chair| chair.units).sum();
    let mut weak = Vec::new();
    if total <= needed {
        weak.push(Weakness::AllNeeded);
    } else {
        let lost = chairs.iter().filter(|chair| total - chair.units < needed);
        weak.extend(lost.map(|chair| Weakness::Indispensable { email: chair.email.clone() }));
    }
    let heavy = chairs.iter().filter(|chair| chair.units > 1 && chair.units + 1 >= needed);
    weak.extend(heavy.map(|chair| Weakness::AlmostAlone { email: chair.email.clone() }));
    let mut people: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut houses: BTreeMap<String, Vec<&Chair>> = BTreeMap::new();
    for chair in chairs {
        if person(&chair.email) == person(owner) {
            weak.push(Weakness::Owner { email: chair.email.clone() });
        }
        people.entry(person(&chair.email)).or_default().push(chair.email.clone());
        houses.entry(domain(&chair.email).to_owned()).or_default().push(chair);
    }
    let twice = people.into_values().filter(|emails| emails.len() > 1);
    weak.extend(twice.map(|emails| Weakness::OnePerson { emails }));
    for (domain, members) in houses {
        let together: u32 = members.iter().map(|chair| chair.units).sum();
        if members.len() > 1 && together + 1 >= needed && !ANYBODYS.contains(&domain.as_str()) {
            let emails = members.iter().map(|chair| chair.email.clone()).collect();
            weak.push(Weakness::OneHouse { domain, emails });
        }
    }
    weak
}

/// An address without what people may add to their own: case, what is behind a plus, dots.
fn person(email: &str) -> String {
    let email = email.to_lowercase();
    let (local, domain) = email.split_once('@').unwrap_or((&email, ""));
    let local = local.split('+').next().unwrap_or(local).replace('.', "");
    format!("{local}@{domain}")
}

fn domain(email: &str) -> &str {
    email.rsplit_once('@').map_or("", |(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chair(email: &str, units: u32) -> Chair {
        Chair { email: email.to_owned(), units }
    }

    fn names(groups: &[Vec<Chair>]) -> Vec<String> {
        let name =
            |group: &Vec<Chair>| group.iter().map(|chair| chair.email.as_str()).collect::<Vec<_>>().join(" ");
        groups.iter().map(name).collect()
    }

    #[test]
    fn who_could_open_it_with_whom() {
        let circle = [chair("a", 1), chair("b", 1), chair("c", 2)];
        assert_eq!(names(&groups(&circle, 3)), ["c a", "c b"]);
        assert_eq!(names(&groups(&circle, 2)), ["c", "a b"]);
        assert_eq!(names(&groups(&circle, 5)), Vec::<String>::new());
        let many: Vec<_> = (0..20).map(|n| chair(&n.to_string(), 1)).collect();
        assert_eq!(groups(&many, 10).len(), MOST_GROUPS);
    }

    /// Every circle of up to five with one to three units, against every subset, one by one.
    #[test]
    fn the_groups_are_exactly_the_smallest_ones() {
        for code in 0..3_u32.pow(5) {
            for size in 1..=5_u32 {
                let units: Vec<u32> = (0..size).map(|n| code / 3_u32.pow(n) % 3 + 1).collect();
                let circle: Vec<_> = units
                    .iter()
                    .zip("abcde".chars())
                    .map(|(units, c)| chair(&c.to_string(), *units))
                    .collect();
                let weight = |set: u32| -> u32 {
                    units.iter().enumerate().filter(|(n, _)| set >> n & 1 == 1).map(|(_, units)| units).sum()
                };
                for needed in 1..=8 {
                    let smallest = (1..1_u32 << size).filter(|set| {
                        weight(*set) >= needed
                            && (0..size).all(|n| set >> n & 1 == 0 || weight(set & !(1 << n)) < needed)
                    });
                    assert_eq!(groups(&circle, needed).len(), smallest.count(), "{units:?}, {needed} needed");
                }
            }
        }
    }

    #[test]
    fn weak_circles_are_named_and_good_ones_are_not() {
        let of = |chairs: &[Chair], needed| weaknesses("ada@own.example", chairs, needed);
        let good = [chair("a@x.example", 1), chair("b@y.example", 1), chair("c@z.example", 1)];
        assert_eq!(of(&good, 2), []);
        assert_eq!(of(&good, 3), [Weakness::AllNeeded]);
        let heavy = [chair("a@x.example", 2), chair("b@y.example", 1), chair("c@z.example", 1)];
        let email = || "a@x.example".to_owned();
        assert_eq!(
            of(&heavy, 3),
            [Weakness::Indispensable { email: email() }, Weakness::AlmostAlone { email: email() }]
        );
        let twice = [chair("anna.b@gmail.com", 1), chair("AnnaB+x@gmail.com", 1), chair("c@z.example", 1)];
        assert!(matches!(of(&twice, 2).as_slice(), [Weakness::OnePerson { emails }] if emails.len() == 2));
        let house = [chair("a@smith.example", 1), chair("b@smith.example", 1), chair("c@z.example", 1)];
        assert!(
            matches!(of(&house, 2).as_slice(), [Weakness::OneHouse { domain, .. }] if domain == "smith.example")
        );
        let own = [chair("ada+2@own.example", 1), chair("b@y.example", 1), chair("c@z.example", 1)];
        assert_eq!(of(&own, 2), [Weakness::Owner { email: "ada+2@own.example".to_owned() }]);
        let gmail = [chair("a@gmail.com", 1), chair("b@gmail.com", 1), chair("c@gmail.com", 1)];
        assert_eq!(of(&gmail, 2), []);
    }
}
