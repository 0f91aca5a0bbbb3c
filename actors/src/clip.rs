//! Text that has to fit.

/// At most `max` bytes, cut between characters.
pub(crate) fn clip(text: &str, max: usize) -> String {
    let (kept, _) = text.split_at(text.floor_char_boundary(max));
    kept.to_owned()
}

#[cfg(test)]
mod tests {
    use super::clip;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(clip("ab", 3), "ab");
        assert_eq!(clip("ab", 2), "ab");
        assert_eq!(clip("aé", 2), "a");
        assert_eq!(clip("é", 0), "");
    }
}
