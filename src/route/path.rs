//! The path of a route, as written: literal text, `{name}` for a part of one segment, `{*rest}` for the rest. Only what a
//! canonical request path can match is let in, so that no route stands there for nothing or can be walked around.

use crate::edge::path::{canonical, has_two_spellings};
use crate::invalid::Invalid;

/// A pattern in the one spelling that the tree knows: parameters are numbered, since nobody reads them by name and
/// `/a/{x}` and `/a/{y}` are the same door.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PathPattern {
    /// For the tree.
    pub(super) path: String,
    /// For a pattern that ends in `{*rest}`: what it stands for where the rest is nothing.
    pub(super) without_rest: Option<String>,
}

impl PathPattern {
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        if !text.starts_with('/') {
            return Err(Invalid::new(format!("the path `{text}` does not start with a slash")));
        }
        let mut path = String::with_capacity(text.len());
        let mut literals = String::with_capacity(text.len());
        let mut without_rest = None;
        let mut rest = text;
        while let Some((literal, tail)) = rest.split_once('{') {
            let (name, tail) = tail.split_once('}').ok_or_else(|| nameless(text))?;
            path.push_str(literal);
            literals.push_str(literal);
            if let Some(name) = name.strip_prefix('*') {
                if !is_name(name) || !tail.is_empty() || !path.ends_with('/') {
                    let invalid =
                        Invalid::new(format!("`{{*{name}}}` in `{text}` does not stand for the whole rest of a path"));
                    return Err(invalid.hint("write it once, at the end, behind a slash: \"/api/{*rest}\""));
                }
                without_rest = Some(path.clone());
                path.push_str("{*rest}");
            } else if is_name(name) {
                path = format!("{path}{{p{}}}", path.len());
            } else {
                return Err(nameless(text));
            }
            // No hexadecimal digit, no dot: it completes neither an encoded octet nor a dot segment.
            literals.push('x');
            rest = tail;
        }
        path.push_str(rest);
        literals.push_str(rest);
        check_literals(text, &literals)?;
        Ok(Self { path, without_rest })
    }
}

pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn nameless(text: &str) -> Invalid {
    Invalid::new(format!("`{text}` has a brace that is not part of a parameter"))
        .hint("a parameter is written \"{name}\", with letters, digits and underscores, or \"{*rest}\" at the end")
}

/// `literals` is the pattern with a letter in the place of each parameter.
fn check_literals(text: &str, literals: &str) -> Result<(), Invalid> {
    match canonical(literals) {
        Ok(path) if path == literals => {}
        Ok(path) if !text.contains('{') => {
            return Err(Invalid::new(format!("no request has the path `{text}`"))
                .hint(format!("its one canonical form is \"{path}\"")));
        }
        Ok(_) => {
            return Err(Invalid::new(format!("no request has a path like `{text}`"))
                .hint("paths are matched after `//`, `.`, `..` and needless percent-encodings are resolved"));
        }
        Err(refusal) => {
            return Err(Invalid::new(format!("no request has a path like `{text}`"))
                .hint(format!("it would be refused: {}", refusal.detail)));
        }
    }
    let raw = literals.bytes().find(|byte| has_two_spellings(*byte));
    let encoded = || percent_encoding::percent_decode_str(literals).find(|byte| has_two_spellings(*byte));
    match raw.or_else(encoded) {
        Some(byte) => {
            Err(Invalid::new(format!("a route cannot hang on the `{}` in `{text}`", char::from(byte))).hint(format!(
                "a caller may write it as `%{byte:02X}` and would get past this route; put a {{name}} in its place"
            )))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_and_literals_stay() {
        for (written, path, without_rest) in [
            ("/", "/", None),
            ("/api/v4/live/", "/api/v4/live/", None),
            ("/a/{x}/b/{long_name}", "/a/{p3}/b/{p10}", None),
            ("/img-{id}.png", "/img-{p5}.png", None),
            ("/{*rest}", "/{*rest}", Some("/")),
            ("/api/{x}/{*everything}", "/api/{p5}/{*rest}", Some("/api/{p5}/")),
            ("/caf%C3%A9/a%20b", "/caf%C3%A9/a%20b", None),
        ] {
            let expected = PathPattern { path: path.into(), without_rest: without_rest.map(str::to_owned) };
            assert_eq!(PathPattern::parse(written).unwrap(), expected, "{written}");
        }
    }

    #[test]
    fn a_path_that_no_request_can_have_is_a_mistake() {
        for (written, word) in [
            ("", "slash"),
            ("api", "slash"),
            ("{*rest}", "slash"),
            ("/a//b", "\"/a/b\""),
            ("/a/../b", "\"/b\""),
            ("/%61pi", "\"/api\""),
            ("/caf%c3%a9", "\"/caf%C3%A9\""),
            ("/a//{x}", "resolved"),
            ("/a%2Fb", "encoded slash"),
            ("/caf\u{e9}", "raw"),
            ("/a b", "raw"),
            ("/a;b", "semicolon"),
            ("/a%2{x}", "percent"),
            ("/{", "{name}"),
            ("/{}", "{name}"),
            ("/{a-b}", "{name}"),
            ("/{{a}}", "{name}"),
            ("/a}", "raw"),
            ("/{*}", "at the end"),
            ("/{*rest}/a", "at the end"),
            ("/a{*rest}", "at the end"),
            ("/a:b", "%3A"),
            ("/a%3Ab", "%3A"),
            ("/user@host/{*rest}", "%40"),
        ] {
            let invalid = PathPattern::parse(written).unwrap_err();
            let said = format!("{} {}", invalid.message, invalid.hint.unwrap_or_default());
            assert!(said.contains(word), "{written}: {said}");
        }
    }
}
