//! Names of fields as different readers take them: to find what one of them would find, however it is spelled.

/// Whether anybody could read a field that is called `own` as `name`: without regard to case, also beyond ASCII; as a
/// list or a table of that name (`cmd[]`, `cmd[0]`, `[cmd]`, and Rack's `]cmd`); and as PHP, which drops blanks at the beginning and takes a
/// blank, a dot or an open bracket for `_`.
pub fn reads_as(own: &str, name: &str) -> bool {
    goes_on_as(&own[beginning(own)..], name)
}

/// Where a name begins for those readers who take something off it.
pub(super) fn beginning(own: &str) -> usize {
    own.len() - own.trim_start_matches(|letter| is_around(letter) || letter == '[' || letter == ']').len()
}

/// The same as [`reads_as`] of what stands from there on.
pub(super) fn goes_on_as(rest: &str, name: &str) -> bool {
    let mut rest = rest.chars();
    for letter in name.chars() {
        match rest.next() {
            Some(its) if letter == its || folded(letter).eq(folded(its)) => {}
            Some(' ' | '.' | '[') if letter == '_' => {}
            Some(_) | None => return false,
        }
    }
    let behind = rest.as_str().trim_start_matches(is_around);
    behind.is_empty() || behind.starts_with(['[', ']'])
}

/// What some readers take off both ends.
fn is_around(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control() || letter == '"' || letter == '\''
}

/// Upper case first: what has no capital of its own, such as a long s, meets its letter there.
fn folded(letter: char) -> impl Iterator<Item = char> {
    letter.to_uppercase().flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_by_every_reader() {
        for own in [
            "api_key",
            "API_Key",
            "api_key[]",
            "api_key[0][x]",
            "[api_key]",
            " api_key",
            "api_key ",
            "api.key",
            "api key",
            "api[key",
            "api_key]",
            "]api_key",
            "][[api_key",
            "\"api_key\"",
            "'api_key'",
            "api_\u{212a}ey",
        ] {
            assert!(reads_as(own, "api_key"), "{own}");
        }
        for own in
            ["", "api", "api-key", "apikey", "xapi_key", "api_keys", "api_key.x", "api_key x", "x[api_key]", "[]"]
        {
            assert!(!reads_as(own, "api_key"), "{own}");
        }
        assert!(reads_as("\u{17f}ignature", "signature"));
        assert!(!reads_as("c d", "cmd"));
    }
}
