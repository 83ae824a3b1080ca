//! Parameters of a field, `; name=value; name="value"`, as far as everybody reads them alike (RFC 9110 §5.6.6, RFC 2183).

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameter<'a> {
    pub(super) name: &'a str,
    /// As it stands: a backslash in quotes is one.
    pub(super) value: &'a str,
}

/// The parameters in what stands behind the first semicolon, no two of one name. `None`: they cannot be read in one way.
pub(super) fn parameters(mut text: &str) -> Option<Vec<Parameter<'_>>> {
    let mut found: Vec<Parameter<'_>> = Vec::new();
    loop {
        text = text.trim_start_matches(is_blank);
        if text.is_empty() {
            return Some(found);
        }
        let (name, behind) = text.split_once('=')?;
        let (value, behind) = match behind.strip_prefix('"') {
            Some(quoted) => quoted_value(quoted)?,
            None => plain_value(behind)?,
        };
        if !is_token(name) || found.iter().any(|other| other.name.eq_ignore_ascii_case(name)) {
            return None;
        }
        found.push(Parameter { name, value });
        text = behind.trim_start_matches(is_blank);
        text = match text.strip_prefix(';') {
            Some(behind) => behind,
            None if text.is_empty() => "",
            None => return None,
        };
    }
}

/// Up to the closing quote. A backslash before a quote is an escape to some readers, and to others, who know paths of
/// Windows, a character before the end.
fn quoted_value(text: &str) -> Option<(&str, &str)> {
    let (value, behind) = text.split_once('"')?;
    (!value.ends_with('\\') && !value.chars().any(char::is_control)).then_some((value, behind))
}

/// A token; and some characters that make a boundary and that many clients leave without quotes.
fn plain_value(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|letter| !(is_token_letter(letter) || "=:/?".contains(letter))).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn is_blank(letter: char) -> bool {
    letter == ' ' || letter == '\t'
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_token_letter)
}

fn is_token_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_in_one_way_or_not_at_all() {
        let many: &[(&str, &str)] = &[("name", "a"), ("filename", "C:\\dir\\b;c"), ("filename*", "utf-8''b%20c")];
        for (text, expected) in [
            ("", Some(&[][..])),
            (" ; ", None),
            (" boundary=abc", Some(&[("boundary", "abc")])),
            ("boundary=abc;", Some(&[("boundary", "abc")])),
            (" boundary=\"a b\" ", Some(&[("boundary", "a b")])),
            ("boundary====12===", Some(&[("boundary", "===12===")])),
            (" name=\"\"", Some(&[("name", "")])),
            (" name=a;\tfilename=\"C:\\dir\\b;c\"; filename*=utf-8''b%20c", Some(many)),
            ("name=a; NAME=a", None),
            ("name", None),
            ("name=", None),
            ("name =a", None),
            ("name= a", None),
            ("=a", None),
            ("name=a b", None),
            ("name=a, x/y", None),
            ("name=\"a", None),
            ("name=\"a\"b", None),
            ("name=\"a\\\"; x=\"b\"", None),
            ("name=\"a\tb\"", None),
            ("name=a\u{7f}", None),
            ("n\u{e9}=a", None),
        ] {
            let found = parameters(text);
            let found: Option<Vec<_>> = found.map(|all| all.iter().map(|own| (own.name, own.value)).collect());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
