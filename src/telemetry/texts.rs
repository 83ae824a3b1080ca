//! What is told of a request in the caller's words, all in one piece: a request makes room once, and whether anything in it
//! must be escaped is asked once. Nothing in it is a credential.

use http::header::{REFERER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::redact;
use crate::scheme::Principal;

/// The most that is told of each part, in bytes; what is longer is cut, and ends in `…`.
pub(super) const LONGEST_HOST: usize = 255;
pub(super) const LONGEST_PATH: usize = 1024;
pub(super) const LONGEST_QUERY: usize = 1024;
pub(super) const LONGEST_FIELD: usize = 256;

/// One of the texts, in the order in which they become known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text {
    Id,
    Host,
    Path,
    /// With its question mark where there is a query.
    Query,
    Agent,
    /// In the combined format alone.
    Referer,
    Subject,
    Account,
    /// The ids of all credentials that proved the caller, with commas in between.
    Credential,
}

const COUNT: usize = Text::Credential as usize + 1;

/// All of them; empty where nobody wants texts.
#[derive(Debug, Default)]
pub(super) struct Texts {
    all: String,
    /// Where each of them ends.
    ends: [usize; COUNT],
}

/// Into the room that is there.
impl Clone for Texts {
    fn clone(&self) -> Self {
        Self { all: self.all.clone(), ends: self.ends }
    }

    fn clone_from(&mut self, other: &Self) {
        self.all.clone_from(&other.all);
        self.ends = other.ends;
    }
}

impl Texts {
    pub(super) fn clear(&mut self) {
        self.all.clear();
        self.ends = [0; COUNT];
    }

    /// One of them.
    pub(super) fn get(&self, which: Text) -> &str {
        &self.all[self.start(which)..self.ends[which as usize]]
    }

    /// The query without its question mark; empty where there is none.
    pub(super) fn query(&self) -> &str {
        self.get(Text::Query).strip_prefix('?').unwrap_or_default()
    }

    /// All of them, one behind the other.
    pub(super) fn all(&self) -> &str {
        &self.all
    }

    /// Has a text written behind those that come before it. What was known of it and of those that come after it is
    /// forgotten: a request that is decided anew is told of anew.
    pub(super) fn put(&mut self, which: Text, write: impl FnOnce(&mut String)) {
        self.all.truncate(self.start(which));
        write(&mut self.all);
        self.ends[which as usize..].fill(self.all.len());
    }

    /// What the caller says of itself.
    pub(super) fn fields(&mut self, headers: &HeaderMap, wants_referer: bool) {
        let value = |name: &HeaderName| headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
        self.put(Text::Agent, |into| put(into, &String::from_utf8_lossy(value(&USER_AGENT)), LONGEST_FIELD));
        if !wants_referer {
            return;
        }
        // What stands behind the address of a page is its own affair, and may be a token.
        let referer = value(&REFERER);
        let end = referer.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(referer.len());
        let page = String::from_utf8_lossy(&referer[..end]);
        self.put(Text::Referer, |into| redact::path(into, &page, LONGEST_FIELD));
    }

    /// Who the caller is.
    pub(super) fn name(&mut self, principal: &Principal) {
        self.put(Text::Subject, |into| put(into, principal.subject(), LONGEST_FIELD));
        let account = principal.account().map_or("", |account| &account.id.0);
        self.put(Text::Account, |into| put(into, account, LONGEST_FIELD));
        self.put(Text::Credential, |into| {
            let from = into.len();
            for record in principal.credentials().iter() {
                if into.len() > from {
                    into.push(',');
                }
                if into.len() - from + record.id().len() > LONGEST_FIELD {
                    into.push('…');
                    break;
                }
                into.push_str(record.id());
            }
        });
    }

    /// Hides every value of the query.
    pub(super) fn hide_query(&mut self) {
        let (from, to) = (self.start(Text::Query), self.ends[Text::Query as usize]);
        let hidden = redact::all(&self.all[from..to]);
        self.all.replace_range(from..to, &hidden);
        for end in &mut self.ends[Text::Query as usize..] {
            *end = *end - (to - from) + hidden.len();
        }
    }

    fn start(&self, which: Text) -> usize {
        (which as usize).checked_sub(1).map_or(0, |before| self.ends[before])
    }
}

/// Adds `text`, cut to `most` bytes.
pub(super) fn put(into: &mut String, text: &str, most: usize) {
    if text.len() <= most {
        return into.push_str(text);
    }
    into.push_str(&text[..text.floor_char_boundary(most)]);
    into.push('…');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(all: &[(Text, &str)]) -> Texts {
        let mut texts = Texts::default();
        for (which, text) in all {
            texts.put(*which, |into| into.push_str(text));
        }
        texts
    }

    #[test]
    fn each_is_found_again_and_what_is_not_known_is_empty() {
        let mut known = texts(&[(Text::Id, "id"), (Text::Path, "/a"), (Text::Query, "?b=1"), (Text::Account, "acme")]);
        let expected = ["id", "", "/a", "?b=1", "", "", "", "acme", ""];
        let all = [
            Text::Id,
            Text::Host,
            Text::Path,
            Text::Query,
            Text::Agent,
            Text::Referer,
            Text::Subject,
            Text::Account,
            Text::Credential,
        ];
        assert_eq!(all.map(|which| known.get(which)), expected);
        assert_eq!((known.query(), known.all()), ("b=1", "id/a?b=1acme"));
        let mut copy = texts(&[(Text::Host, "before")]);
        copy.clone_from(&known);
        assert_eq!(all.map(|which| copy.get(which)), expected);
        known.clear();
        assert_eq!(all.map(|which| known.get(which)), [""; COUNT]);
    }

    #[test]
    fn what_is_told_anew_takes_the_place_of_what_was_told_and_of_all_behind_it() {
        let mut known = texts(&[(Text::Id, "id"), (Text::Host, "a"), (Text::Path, "/long"), (Text::Subject, "x")]);
        known.put(Text::Host, |into| into.push_str("another"));
        known.put(Text::Path, |into| into.push('/'));
        let told = [Text::Id, Text::Host, Text::Path, Text::Query, Text::Subject].map(|which| known.get(which));
        assert_eq!(told, ["id", "another", "/", "", ""]);
    }

    #[test]
    fn a_query_is_hidden_where_it_stands() {
        for (query, expected) in [("?a=1&b=22", "?a=***&b=***"), ("?a=12345678", "?a=***"), ("", ""), ("?", "?")] {
            let mut known = texts(&[(Text::Path, "/p"), (Text::Query, query), (Text::Account, "acme")]);
            known.hide_query();
            let told = [Text::Path, Text::Query, Text::Agent, Text::Account].map(|which| known.get(which));
            assert_eq!(told, ["/p", expected, "", "acme"]);
        }
    }

    #[test]
    fn what_is_too_long_is_cut_between_letters() {
        for (text, expected) in [("abcd", "abcd"), ("abcde", "abcd…"), ("abcé", "abc…")] {
            let mut into = "before ".to_owned();
            put(&mut into, text, 4);
            assert_eq!(into, format!("before {expected}"));
        }
    }
}
