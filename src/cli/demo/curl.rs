//! A call of curl: as the arguments of a process, and as the line that a person pastes into a shell.

use std::path::Path;

use crate::cli::shell::quoted;

/// The options that make curl print the whole answer, and its own errors instead of a progress meter.
const WHOLE: &[&str] = &["-sS", "-i"];
/// The same without the body, for bodies that would disturb a terminal.
const HEAD_OF_ANSWER: &[&str] = &["-sS", "-D", "-", "-o", "/dev/null"];
/// A HEAD request.
const HEAD_REQUEST: &[&str] = &["-sS", "-I"];

/// One call.
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
        Self { options: options.iter().map(|&option| option.to_owned()).collect(), url: url.into() }
    }

    /// Adds options of curl.
    pub(super) fn with(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|&option| option.to_owned()));
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

    /// The arguments, without the name of the program.
    pub(super) fn arguments(&self) -> impl Iterator<Item = &str> {
        self.options.iter().chain([&self.url]).map(String::as_str)
    }

    /// The line to paste.
    pub(super) fn line(&self) -> String {
        let mut line = String::from("curl");
        for argument in self.arguments() {
            line.push(' ');
            line.push_str(&quoted(argument));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_arguments_in_their_order() {
        let curl = Curl::new("http://127.0.0.1:1/a?b=c").authorization("LKey v3.a").with(&["-d", "x y"]);
        assert_eq!(curl.line(), "curl -sS -i -H 'Authorization: LKey v3.a' -d 'x y' 'http://127.0.0.1:1/a?b=c'");
        assert_eq!(curl.arguments().last(), Some("http://127.0.0.1:1/a?b=c"));
        assert_eq!(Curl::head("http://a/").line(), "curl -sS -I http://a/");
    }
}
