//! A list in pages ends: a node that always has one more is not followed for ever.

use crate::ClientError;

/// Pages that a list has at the most: at 48 to 1,000 items each more than any tenant has.
const MOST: u32 = 10_000;

/// Counts the pages of one list.
#[derive(Default)]
pub struct Pages {
    turned: u32,
    before: String,
}

impl Pages {
    /// One page is read, and `next` stands for the one after it; empty if there is none.
    ///
    /// # Errors
    /// [`ClientError::Answer`] if the list leads back to where it was, or has no end.
    pub fn turn(&mut self, next: &str) -> Result<(), ClientError> {
        if next.is_empty() {
            return Ok(());
        }
        self.turned += 1;
        if self.turned >= MOST || next == self.before {
            return Err(ClientError::Answer("a list that has no end"));
        }
        next.clone_into(&mut self.before);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_ends_is_read_to_its_end() {
        let mut pages = Pages::default();
        for page in 1..MOST {
            assert!(pages.turn(&page.to_string()).is_ok(), "{page}");
        }
        assert!(pages.turn("").is_ok());
    }

    #[test]
    fn a_node_that_never_stops_is_left() {
        let mut pages = Pages::default();
        let left = (1..=MOST).find(|page| pages.turn(&page.to_string()).is_err());
        assert_eq!(left, Some(MOST));
        let mut pages = Pages::default();
        assert!(pages.turn("again").is_ok());
        assert!(pages.turn("again").is_err(), "it leads back to where it was");
    }
}
