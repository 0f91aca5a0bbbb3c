//! A passphrase to be: judged here, on the device that it is typed on, and never sent.
//!
//! Who runs the platform holds the locked half of every slot and can try passphrases on it for years, at
//! the price of one Argon2id each. So a passphrase has to be long, in no list, and hard to guess by what
//! `zxcvbn` knows of people: its highest grade, 10^10 tries or more. [`NewPassphrase`] is the only thing
//! that a slot is made of, so that no way around it is left.

use ocmt_crypto::kdf::Passphrase;
use zxcvbn::{Score, feedback::Feedback, zxcvbn};

use crate::ClientError;

/// The least length, in code points after NFC.
pub const LEAST_CHARS: usize = 12;
/// What a passphrase about this program is made of.
const ABOUT_US: [&str; 6] = ["ocmt", "vault", "passphrase", "openclaw", "multitenant", "guardian"];
/// Phrases that everybody knows: letters and digits alone, in small letters, one a line.
const WELL_KNOWN: &str = include_str!("passphrase/well_known.txt");
/// The most common of those that were stolen elsewhere and are long enough, in small letters, one a line. Offline: what is
/// typed here is asked of nobody.
const BREACHED: &str = include_str!("passphrase/breached.txt");

/// A passphrase that is good enough to lock a vault with.
pub struct NewPassphrase(Passphrase);

impl NewPassphrase {
    /// Judges what somebody typed; `about` is what an attacker knows of them: the address, a name.
    ///
    /// # Errors
    /// [`ClientError::Usage`] with the reason, which holds nothing of the passphrase.
    pub fn new(typed: &str, about: &[&str]) -> Result<Self, ClientError> {
        let passphrase = Passphrase::new(typed)?;
        let text = std::str::from_utf8(passphrase.expose()).unwrap_or_default();
        judge(text, about).map_err(|why| ClientError::Usage(format!("not this passphrase: {why}")))?;
        Ok(Self(passphrase))
    }

    /// What was typed, normalised.
    pub fn as_passphrase(&self) -> &Passphrase {
        &self.0
    }
}

/// Why not, if not.
fn judge(text: &str, about: &[&str]) -> Result<(), String> {
    let chars = text.chars().count();
    if chars < LEAST_CHARS {
        return Err(format!("it has {chars} characters, and {LEAST_CHARS} are the least"));
    }
    let mut known: Vec<&str> = ABOUT_US.to_vec();
    for fact in about {
        known.push(fact);
        known.extend(fact.split(|c: char| !c.is_alphanumeric()).filter(|part| part.chars().count() > 2));
    }
    if is_well_known(text, &known) {
        return Err("it is one that everybody knows. Take words that nobody would put together".to_owned());
    }
    if is_breached(text) {
        return Err(
            "it was stolen elsewhere and is in lists that everybody who guesses has. Take five words drawn by chance"
                .to_owned(),
        );
    }
    let guessed = zxcvbn(text, &known);
    if guessed.score() < Score::Four {
        let tries = guessed.guesses_log10().max(0.0);
        let advice = guessed.feedback().map(advice).unwrap_or_default();
        let advice = format!("{advice} Five words drawn by chance are good, and can be remembered.");
        return Err(format!(
            "it would be guessed within about 10^{tries:.0} tries, and 10^10 are the least.{advice}"
        ));
    }
    Ok(())
}

/// What `zxcvbn` says of it: sentences of its own, nothing of the passphrase.
fn advice(feedback: &Feedback) -> String {
    let mut said = feedback.warning().map(|warning| format!(" {warning}")).unwrap_or_default();
    for suggestion in feedback.suggestions() {
        said.push_str(&format!(" {suggestion}"));
    }
    said
}

/// Whether it stands in the list of breached ones, however its letters are cased.
fn is_breached(text: &str) -> bool {
    let lower = zeroize::Zeroizing::new(text.trim().to_lowercase());
    BREACHED.lines().any(|line| line == lower.as_str())
}

/// Whether it is a phrase of the list, or what is known of its owner, with signs or digits put around or between.
fn is_well_known(text: &str, known: &[&str]) -> bool {
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let whole = zeroize::Zeroizing::new(plain(text));
    let core = whole.trim_matches(|c: char| c.is_ascii_digit());
    let is_it = |phrase: &str| phrase == *whole || (!core.is_empty() && phrase == core);
    WELL_KNOWN.lines().any(is_it) || known.iter().any(|fact| is_it(&plain(fact)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ABOUT: [&str; 1] = ["grace.hopper@navy.example"];

    fn refused(typed: &str) -> Option<String> {
        NewPassphrase::new(typed, &ABOUT).err().map(|error| error.to_string())
    }

    #[test]
    fn good_ones_are_taken() {
        for typed in [
            "violin ledger umbrella quartz",
            "tramway-Okapi-39-lantern",
            "x9$Lq2!vTz7w",
            "сельдерей Камчатка утюг",
            "\u{1f40c} slow snails eat my lettuce",
        ] {
            assert_eq!(refused(typed), None, "{typed}");
        }
    }

    #[test]
    fn short_ones_are_refused_by_characters_and_not_by_bytes() {
        for typed in
            ["x9$Lq2!vTz7", "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}", "\u{1f40c}\u{1f40d}\u{1f40e}"]
        {
            assert!(refused(typed).unwrap().contains("12 are the least"), "{typed}");
        }
        // eleven letters, as typed by a keyboard that sends the accents apart: eleven after NFC, too
        let apart = "x9$Lq2!vTze\u{301}";
        assert_eq!(apart.chars().count(), 12);
        assert!(refused(apart).unwrap().contains("it has 11 characters"));
    }

    #[test]
    fn what_everybody_knows_is_refused() {
        for typed in [
            "correct horse battery staple",
            "Correct-Horse-Battery-Staple!",
            "correcthorsebatterystaple99",
            "To be, or not to be: that is the question",
            "The quick brown fox jumps over the lazy dog",
            "grace.hopper@navy.example",
            "GraceHopper@navy.example1",
        ] {
            assert!(refused(typed).unwrap().contains("everybody knows"), "{typed}");
        }
    }

    #[test]
    fn what_was_stolen_elsewhere_is_refused_however_random_it_looks() {
        for typed in ["yfdbufnjh10305070", "Yandi20080527", " sdf7asdf6asdg8df", "PE#5GZ29PTZMSE"] {
            assert!(refused(typed).unwrap().contains("stolen elsewhere"), "{typed}");
        }
        for line in BREACHED.lines() {
            assert!(refused(line).is_some(), "{line}");
            assert!(line.chars().count() >= LEAST_CHARS && line == line.to_lowercase(), "{line}");
        }
        assert!(BREACHED.lines().count() > 150);
    }

    #[test]
    fn what_is_guessed_in_time_is_refused_with_a_reason_that_does_not_repeat_it() {
        for typed in [
            "passwordpassword",
            "aaaaaaaaaaaaaaaaaaaa",
            "123456789012345",
            "qwertyuiopasdfgh",
            "hopper2024hopper",
            "ocmtocmtocmt",
        ] {
            let why = refused(typed).unwrap();
            assert!(why.contains("tries") && !why.contains(typed), "{typed}: {why}");
        }
    }

    #[test]
    fn a_long_one_is_judged_in_time_and_the_list_is_what_it_says() {
        let long = "tramway okapi lantern ledger ".repeat(30);
        assert_eq!(refused(&long), None);
        assert!(refused(&"x".repeat(5000)).is_some());
        for line in WELL_KNOWN.lines() {
            assert!(line.chars().all(|c| c.is_alphanumeric() && !c.is_uppercase()), "{line}");
            assert!(line.chars().count() >= 8, "{line}");
        }
    }
}
