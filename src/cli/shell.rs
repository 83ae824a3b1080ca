//! Words as a shell reads them.

/// A word as a POSIX shell reads it back (Shell Command Language, §2.2.2): plain words as they are, all else in single
/// quotes, between which only the single quote itself means anything.
pub(super) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.,/:@%+=".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_words_back_as_they_were() {
        let words =
            ["plain", "two words", "it's", "$HOME `id` \"q\" \\n", "a&b;c|d>e*?[x]", "", "-H", "~", "#no", "!x", "'"];
        for word in words {
            let script = format!("printf %s {}", quoted(word));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }
}
