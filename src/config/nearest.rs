//! "Did you mean": the known word that a typing mistake most likely meant.

use std::borrow::Cow;

/// The known word nearest to `word`, if one is near: a third of its letters may differ, a swap counts as one.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The hint for a word that is none of the known: the nearest, or all of them where they are few.
pub(super) fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<Cow<'static, str>> {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = nearest(word, known.iter().copied()) {
        return Some(format!("did you mean `{near}`?").into());
    }
    (1..=16).contains(&known.len()).then(|| format!("known: {}", known.join(", ")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_word_and_a_stranger_does_not() {
        let known = ["authenticate", "forward", "host", "acc", "ip"];
        for (word, expected) in [
            ("autenticate", Some("authenticate")),
            ("froward", Some("forward")),
            ("Host", Some("host")),
            ("ac", Some("acc")),
            ("backend", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }

    #[test]
    fn few_words_are_listed_where_none_is_near() {
        assert_eq!(hint("zebra", ["acc", "ip"]).unwrap(), "known: acc, ip");
        assert_eq!(hint("zebra", []), None);
    }
}
