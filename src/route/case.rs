//! Upper and lower case in paths. Most upstreams tell them apart; those on ASP.NET do not, and a route to one may say so.
//! Where both kinds meet on one host, no spelling of a path may lead around a route that was written for it: so what
//! ignores case and what minds it must not reach for the same paths.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::invalid::Invalid;

/// Whether a route tells upper and lower case apart in its path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Case {
    /// It does.
    #[default]
    Minded,
    /// It does not, for the letters of ASCII.
    Ignored,
}

/// The long s, the Kelvin sign, and the i with and without a dot, folded.
const FOREIGN: [(&str, &str); 4] = [("%c5%bf", "s"), ("%e2%84%aa", "k"), ("%c4%b0", "i"), ("%c4%b1", "i")];

/// A path or a pattern in the one spelling that stands for all. What is encoded is folded along, in paths and patterns
/// alike, so that nothing changes its meaning.
pub(super) fn folded(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// The same path as a reader takes it to whom some letters beyond ASCII are another case of one within it; `None` where
/// it has no such letter.
pub(super) fn naturalized(folded: &str) -> Option<String> {
    let has_one = folded.contains('%') && FOREIGN.iter().any(|(foreign, _)| folded.contains(foreign));
    has_one.then(|| FOREIGN.iter().fold(folded.to_owned(), |text, (foreign, letter)| text.replace(foreign, letter)))
}

/// Letters beyond ASCII have cases of their own, about which upstreams disagree: a route that ignores case cannot hang on
/// them.
pub(super) fn foldable(path: &str) -> Result<(), Invalid> {
    if path.match_indices('%').any(|(at, _)| path.as_bytes().get(at + 1).is_some_and(|digit| *digit >= b'8')) {
        return Err(Invalid::new(format!("case cannot be ignored in `{path}`: it has a letter beyond ASCII"))
            .hint("upstreams disagree on its cases; put a {name} in its place"));
    }
    Ok(())
}

/// Whether there is a letter in the literals of a pattern that is in one spelling already.
fn has_letters(pattern: &str) -> bool {
    let mut inside = false;
    pattern.bytes().any(|byte| {
        match byte {
            b'{' => inside = true,
            b'}' => inside = false,
            _ => {}
        }
        !inside && byte.is_ascii_alphabetic()
    })
}

/// Whether a path that the `minded` pattern is written for may come in a spelling that goes to the `ignoring` one instead,
/// or may be kept from it without a word. Both are folded.
pub(super) fn may_be_walked_around(minded: &str, ignoring: &str) -> bool {
    has_letters(minded) && precedence(minded, ignoring) == Some(Ordering::Greater)
}

/// Which of two patterns is asked first for a path that both match: `Greater` is `one`. `None`: no path matches both.
fn precedence(one: &str, other: &str) -> Option<Ordering> {
    let (mut own, mut its) = (one.split('/'), other.split('/'));
    let mut order = Ordering::Equal;
    loop {
        let here = match (own.next(), its.next()) {
            (None, None) | (Some(REST), Some(REST)) => return Some(order),
            // The rest may be nothing.
            (Some(REST), _) => return Some(order.then(Ordering::Less)),
            (_, Some(REST)) => return Some(order.then(Ordering::Greater)),
            (None, Some(_)) | (Some(_), None) => return None,
            (Some(own), Some(its)) => segments(own, its)?,
        };
        order = order.then(here);
    }
}

const REST: &str = "{*rest}";

/// The same of two segments.
fn segments(one: &str, other: &str) -> Option<Ordering> {
    match (parameter(one), parameter(other)) {
        (None, None) => (one == other).then_some(Ordering::Equal),
        (None, Some((head, tail))) => fits(one, head, tail).then_some(Ordering::Greater),
        (Some((head, tail)), None) => fits(other, head, tail).then_some(Ordering::Less),
        (Some((head, tail)), Some((its_head, its_tail))) => {
            let heads = head.starts_with(its_head) || its_head.starts_with(head);
            let tails = tail.ends_with(its_tail) || its_tail.ends_with(tail);
            // The more of it is literal, the more specific it is.
            (heads && tails).then(|| head.len().cmp(&its_head.len()).then(tail.len().cmp(&its_tail.len())))
        }
    }
}

/// What stands before and behind the parameter of a segment, if it has one.
fn parameter(segment: &str) -> Option<(&str, &str)> {
    let (head, rest) = segment.split_once('{')?;
    Some((head, rest.split_once('}')?.1))
}

fn fits(literal: &str, head: &str, tail: &str) -> bool {
    literal.len() > head.len() + tail.len() && literal.starts_with(head) && literal.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_first_of_two_patterns_is_known_for_the_paths_that_both_match() {
        use Ordering::{Equal, Greater, Less};
        for (one, other, expected) in [
            ("/user/x", "/user/{p6}", Some(Greater)),
            ("/user/x", "/user/y", None),
            ("/user/x", "/user", None),
            ("/user/x", "/user/{*rest}", Some(Greater)),
            ("/user", "/user/{*rest}", Some(Greater)),
            ("/", "/{*rest}", Some(Greater)),
            ("/user/{p6}", "/user/{*rest}", Some(Greater)),
            ("/{*rest}", "/user", Some(Less)),
            ("/user/{p6}/x", "/user/me/{p9}", Some(Less)),
            ("/{p1}/x", "/user/{p6}", Some(Less)),
            ("/img-{p5}.png", "/{p1}", Some(Greater)),
            ("/img-{p5}.png", "/img-7.png", Some(Less)),
            ("/img-{p5}.png", "/img-.png", None),
            ("/img-{p5}", "/doc-{p5}", None),
            ("/{p1}.png", "/{p1}.gif", None),
            ("/img-{p5}", "/{p1}.png", Some(Greater)),
            ("/{p1}", "/{p1}", Some(Equal)),
            ("/a/{*rest}", "/a/{*rest}", Some(Equal)),
        ] {
            assert_eq!(precedence(one, other), expected, "{one} {other}");
            assert_eq!(precedence(other, one), expected.map(Ordering::reverse), "{other} {one}");
        }
    }

    #[test]
    fn a_pattern_without_letters_has_one_spelling_and_is_not_walked_around() {
        for (minded, ignoring, expected) in [
            ("/user/x", "/user/{p6}", true),
            ("/user/7", "/user/{p6}", true),
            ("/{p1}.png", "/{p1}", true),
            ("/7/{p3}", "/{p1}/{p5}", false),
            ("/{*rest}", "/user", false),
            ("/user/{*rest}", "/user/x", false),
        ] {
            assert_eq!(may_be_walked_around(minded, ignoring), expected, "{minded} {ignoring}");
        }
    }

    #[test]
    fn ascii_is_folded_and_what_is_beyond_is_not_hung_on() {
        assert_eq!(folded("/User/%C3%A9"), "/user/%c3%a9");
        let foreign = folded("/U%C5%BFer/%E2%84%AAey/%C4%B0d%C4%B1");
        assert_eq!(naturalized(&foreign).as_deref(), Some("/user/key/idi"));
        assert_eq!(naturalized("/caf%c3%a9"), None);
        assert!(matches!(folded("/user/7"), Cow::Borrowed(_)));
        assert!(foldable("/User/a%20b").is_ok() && foldable("/100%25").is_ok());
        assert!(foldable("/caf%C3%A9").is_err() && foldable("/%e2%84%AA").is_err());
    }
}
