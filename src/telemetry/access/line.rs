//! How a line of the access log looks. It is plain ASCII, whatever the caller sent: what a terminal or a reader of lines
//! could take for something else is escaped.

use std::io::Write as _;
use std::time::Duration;

use http::{Method, Version};

use super::Format;
use crate::clock::UnixTime;
use crate::edge::connection::address_in;
use crate::forward::End;
use crate::scan;
use crate::telemetry::exchange::Exchange;
use crate::telemetry::sinks::Scope;
use crate::telemetry::texts::Text;

/// The time of a line. Its seconds are written once for all lines of a second.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    second: Option<(u64, Format)>,
    text: String,
    micros: u32,
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Stamp {
    /// It is so long since 1970.
    pub(super) fn set(&mut self, since_1970: Duration, format: Format) {
        self.micros = since_1970.subsec_micros();
        let second = (since_1970.as_secs(), format);
        if self.second == Some(second) {
            return;
        }
        self.second = Some(second);
        // 2027-01-31T23:59:59Z
        let text = UnixTime(second.0).to_text();
        let parts = (text.get(..4), text.get(5..7), text.get(8..10), text.get(11..19));
        let (Some(year), Some(month), Some(day), Some(time)) = parts else { return };
        self.text = match format {
            Format::Json => text[..19].to_owned(),
            Format::Combined => {
                let month = month.parse().ok().and_then(|month: usize| MONTHS.get(month.checked_sub(1)?));
                format!("{day}/{}/{year}:{time} +0000", month.unwrap_or(&"Jan"))
            }
        };
    }
}

/// Everything before the value of a member, put together when this is compiled.
macro_rules! member {
    ($line:expr, $name:literal) => {
        $line.extend_from_slice(concat!(",\"", $name, "\":").as_bytes())
    };
}

/// A member with a text; none where that is empty. One that is plain needs no escapes.
macro_rules! text {
    ($line:expr, $name:literal, $value:expr, $plain:expr) => {
        let value: &str = $value;
        if !value.is_empty() {
            $line.extend_from_slice(concat!(",\"", $name, "\":\"").as_bytes());
            if $plain {
                $line.extend_from_slice(value.as_bytes())
            } else {
                special($line, value, true)
            }
            $line.push(b'"');
        }
    };
}

/// A member with a word of the house.
macro_rules! word {
    ($line:expr, $name:literal, $value:expr) => {
        text!($line, $name, $value, true)
    };
}

/// Writes all that is known, as a JSON object. What does not apply is left out.
pub(super) fn json(line: &mut Vec<u8>, exchange: &Exchange, scope: &Scope, stamp: &Stamp) {
    let (Exchange { texts, .. }, phrases) = (exchange, &scope.phrases);
    // Asked once for all of them.
    let plain = are_plain(texts.all().as_bytes());
    line.extend_from_slice(b"{\"timestamp\":\"");
    line.extend_from_slice(stamp.text.as_bytes());
    line.push(b'.');
    padded(line, stamp.micros);
    line.extend_from_slice(b"Z\",\"level\":\"INFO\",\"target\":\"access\"");
    text!(line, "request_id", texts.get(Text::Id), plain);
    line.extend_from_slice(phrases.listener(exchange.listener));
    client_ip(line, exchange);
    line.extend_from_slice(b"\",\"peer\":\"");
    line.extend_from_slice(&exchange.peer_text);
    if exchange.method == Method::GET && exchange.version == Version::HTTP_11 {
        line.extend_from_slice(br#"","method":"GET","version":"HTTP/1.1""#);
    } else {
        line.push(b'"');
        word!(line, "method", exchange.method_name());
        word!(line, "version", version(exchange.version));
    }
    text!(line, "host", texts.get(Text::Host), plain);
    text!(line, "path", texts.get(Text::Path), plain);
    text!(line, "query", texts.query(), plain);
    text!(line, "user_agent", texts.get(Text::Agent), plain);
    line.extend_from_slice(phrases.route(exchange.route));
    word!(line, "scheme", exchange.scheme);
    text!(line, "subject", texts.get(Text::Subject), plain);
    text!(line, "account", texts.get(Text::Account), plain);
    text!(line, "credential", texts.get(Text::Credential), plain);
    word!(line, "decision", exchange.decision.name());
    if let Some((cause, detail)) = exchange.cause {
        word!(line, "cause", cause.name());
        text!(line, "detail", detail, are_plain(detail.as_bytes()));
    }
    member!(line, "status");
    digits(line, exchange.status.into());
    line.extend_from_slice(phrases.upstream(exchange.journey.endpoint()));
    if let Some(decided) = exchange.decided {
        member!(line, "decision_us");
        digits(line, micros(decided));
        if let Some(took) = exchange.upstream_took() {
            member!(line, "upstream_us");
            digits(line, micros(took));
        }
    }
    member!(line, "duration_us");
    digits(line, micros(exchange.ended));
    member!(line, "bytes_in");
    digits(line, exchange.received());
    member!(line, "bytes_out");
    digits(line, exchange.sent);
    line.extend_from_slice(match exchange.end {
        End::Complete => b",\"end\":\"complete\"}\n",
        End::Broken => b",\"end\":\"broken\"}\n",
        End::Left => b",\"end\":\"left\"}\n",
    });
}

/// Writes the combined format: `%h - %u [%t] "%r" %>s %b "%{Referer}i" "%{User-Agent}i"`.
pub(super) fn combined(line: &mut Vec<u8>, exchange: &Exchange, stamp: &Stamp) {
    let Exchange { texts, .. } = exchange;
    client_ip(line, exchange);
    line.extend_from_slice(b" - ");
    word(line, texts.get(Text::Account));
    line.extend_from_slice(b" [");
    line.extend_from_slice(stamp.text.as_bytes());
    line.extend_from_slice(b"] \"");
    escaped(line, exchange.method_name(), false);
    line.push(b' ');
    escaped(line, or_dash(texts.get(Text::Path)), false);
    escaped(line, texts.get(Text::Query), false);
    line.push(b' ');
    line.extend_from_slice(version(exchange.version).as_bytes());
    line.extend_from_slice(b"\" ");
    digits(line, exchange.status.into());
    line.push(b' ');
    if exchange.sent == 0 {
        line.push(b'-');
    } else {
        digits(line, exchange.sent);
    }
    for field in [Text::Referer, Text::Agent] {
        line.extend_from_slice(b" \"");
        escaped(line, or_dash(texts.get(field)), false);
        line.push(b'"');
    }
    line.push(b'\n');
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A word without blanks; `-` where there is none.
fn word(line: &mut Vec<u8>, value: &str) {
    if value.is_empty() {
        return line.push(b'-');
    }
    let from = line.len();
    escaped(line, value, false);
    line[from..].iter_mut().filter(|byte| **byte == b' ').for_each(|byte| *byte = b'_');
}

/// Writes a text, with what is special in it escaped.
pub(super) fn escaped(line: &mut Vec<u8>, value: &str, json: bool) {
    if are_plain(value.as_bytes()) {
        return line.extend_from_slice(value.as_bytes());
    }
    special(line, value, json);
}

/// Whether every byte stands for itself: not one is a control character, beyond ASCII, `"` or `\\`.
fn are_plain(bytes: &[u8]) -> bool {
    scan::all(bytes, is_plain)
}

/// Whether a byte stands for itself in every format.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "lazy operators are branches, and then it is one byte after the other"
)]
fn is_plain(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) & (byte != b'"') & (byte != b'\\')
}

/// Writes a text in which something is escaped.
#[cold]
fn special(line: &mut Vec<u8>, value: &str, json: bool) {
    if json {
        let mut units = [0; 2];
        for letter in value.chars() {
            match letter {
                '"' | '\\' => line.extend_from_slice(&[b'\\', letter as u8]),
                ' '..='~' => line.push(letter as u8),
                _ => letter.encode_utf16(&mut units).iter().for_each(|unit| hex(line, b"\\u", (*unit).into(), 4)),
            }
        }
        return;
    }
    // As Apache and nginx do, byte by byte.
    for byte in value.bytes() {
        if is_plain(byte) { line.push(byte) } else { hex(line, b"\\x", byte.into(), 2) }
    }
}

fn hex(line: &mut Vec<u8>, before: &[u8], value: u32, digits: u32) {
    line.extend_from_slice(before);
    for place in (0..digits).rev() {
        let digit = char::from_digit((value >> (4 * place)) & 0xf, 16).expect("a nibble is a digit");
        line.push(digit as u8);
    }
}

fn digits(line: &mut Vec<u8>, value: u64) {
    line.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Six digits.
fn padded(line: &mut Vec<u8>, micros: u32) {
    let mut text = *b"000000";
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(micros % 1_000_000).as_bytes();
    text[6 - digits.len()..].copy_from_slice(digits);
    line.extend_from_slice(&text);
}

/// The peer's own address is written already; a trusted proxy may have named another one.
fn client_ip(line: &mut Vec<u8>, exchange: &Exchange) {
    if exchange.client_ip == exchange.peer.ip() {
        line.extend_from_slice(address_in(&exchange.peer_text));
    } else {
        write!(line, "{}", exchange.client_ip).expect("memory takes all");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_special_is_found_wherever_it_stands() {
        for special in ["\"", "\\", "\n", "\u{7f}", "\u{0}", "é", "\u{2028}", "\u{1f600}"] {
            for before in 0..35 {
                for after in [0, 1, 15, 16, 17] {
                    let text = format!("{}{special}{}", "a".repeat(before), "~ ".repeat(after));
                    let mut line = vec![b'"'];
                    escaped(&mut line, &text, true);
                    line.push(b'"');
                    assert!(line[1..line.len() - 1].iter().all(|byte| matches!(byte, b' '..=b'~')), "{text:?}");
                    assert_eq!(serde_json::from_slice::<String>(&line).unwrap(), text);
                }
            }
        }
    }

    #[test]
    fn a_special_byte_is_found_beside_any_other() {
        for beside in [b'a', b' ', b'~', b'!', b'#', b'[', b']'] {
            for byte in 0..=u8::MAX {
                for length in 1..=17 {
                    for place in 0..length {
                        let mut text = vec![beside; length];
                        text[place] = byte;
                        assert_eq!(are_plain(&text), is_plain(byte), "{text:?}");
                    }
                }
            }
        }
        assert!(are_plain(b""));
    }

    #[test]
    fn micros_have_six_digits() {
        for (micros, text) in [(0, "000000"), (7, "000007"), (999_999, "999999"), (120_030, "120030")] {
            let mut line = Vec::new();
            padded(&mut line, micros);
            assert_eq!(line, text.as_bytes());
        }
    }
}
