//! A call of curl, as the line that a person pastes into a shell.

use std::path::Path;

use crate::cli::shell::quoted;

/// The options that make curl print the whole answer, and its own errors instead of a progress meter.
const WHOLE: &[&str] = &["-sS", "-i"];
/// The same without the body, for bodies that would disturb a terminal.
const HEAD_OF_ANSWER: &[&str] = &["-sS", "-D", "-", "-o", "/dev/null"];
/// A HEAD request.
const HEAD_REQUEST: &[&str] = &["-sS", "-I"];

/// One call. Its words are kept as a shell reads them.
#[derive(Clone)]
pub(super) struct Curl {
    options: Vec<String>,
    url: String,
}

impl Curl {
    /// Asks for `url` and shows the whole answer.
    pub(super) fn new(url: impl Into<String>) -> Self {
        Self::shown(WHOLE, url)
    }

    /// Asks for `url` and shows the head of the answer.
    pub(super) fn media(url: impl Into<String>) -> Self {
        Self::shown(HEAD_OF_ANSWER, url)
    }

    /// Asks with HEAD.
    pub(super) fn head(url: impl Into<String>) -> Self {
        Self::shown(HEAD_REQUEST, url)
    }

    fn shown(options: &[&str], url: impl Into<String>) -> Self {
        Self { options: Vec::new(), url: quoted(&url.into()) }.with(options)
    }

    /// Adds options of curl.
    pub(super) fn with(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|option| quoted(option)));
        self
    }

    /// Adds a header field.
    pub(super) fn header(self, field: &str) -> Self {
        self.with(&["-H", field])
    }

    /// Presents a credential in `Authorization`.
    pub(super) fn authorization(self, value: &str) -> Self {
        self.header(&format!("Authorization: {value}"))
    }

    /// Adds an option whose value is a file.
    pub(super) fn file(self, option: &str, path: &Path) -> Self {
        self.with(&[option, &path.to_string_lossy()])
    }

    /// Adds an option whose value the shell works out: a word as it is written in a shell, with `"…$(…)…"` in it.
    pub(super) fn worked_out(mut self, option: &str, word: &str) -> Self {
        self.options.extend([quoted(option), word.to_owned()]);
        self
    }

    /// The line to paste.
    pub(super) fn line(&self) -> String {
        self.line_with(&[])
    }

    /// The line with these options before all others.
    pub(super) fn line_with(&self, first: &[&str]) -> String {
        let first = first.iter().map(|option| quoted(option));
        let words: Vec<String> = first.chain(self.options.iter().chain([&self.url]).cloned()).collect();
        format!("curl {}", words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_arguments_in_their_order() {
        let curl = Curl::new("http://127.0.0.1:1/a?b=c").authorization("LKey v3.a").with(&["-d", "x y"]);
        assert_eq!(curl.line(), "curl -sS -i -H 'Authorization: LKey v3.a' -d 'x y' 'http://127.0.0.1:1/a?b=c'");
        assert_eq!(Curl::head("http://a/").line_with(&["-m", "2 s"]), "curl -m '2 s' -sS -I http://a/");
    }

    #[test]
    fn what_the_shell_works_out_is_left_to_it() {
        let curl = Curl::new("http://a/").worked_out("-d", r#""key=$(printf %s 'a b')""#);
        assert_eq!(curl.line(), r#"curl -sS -i -d "key=$(printf %s 'a b')" http://a/"#);
    }
}
