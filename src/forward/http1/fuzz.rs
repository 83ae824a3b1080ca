//! What a fuzzer holds the reader of answers to. Each function takes any bytes and panics where a promise is broken: an
//! answer is the same in whatever pieces it comes, and what is accepted is what a plain reader finds.

use bytes::{Bytes, BytesMut};

use super::decode::{Decoder, Step};
use super::script::{read, untold};

/// The first byte says whether the request was a HEAD and where the answer is cut in two; the rest is the answer.
pub(crate) fn answer(data: &[u8]) {
    let Some((first, answer)) = data.split_first() else { return };
    let to_head = first & 1 == 1;
    let whole = read([answer.to_vec()], to_head);
    let (one, other) = answer.split_at(usize::from(*first) * answer.len() / 256);
    assert_eq!(untold(read([one.to_vec(), other.to_vec()], to_head), &whole), whole);
    assert_eq!(untold(read(answer.iter().map(|byte| vec![*byte]), to_head), &whole), whole);
    let Ok((status, fields)) = &whole.head else { return };
    let plain = Plain::read(answer).expect("what is accepted is plain");
    assert_eq!(*status, plain.status);
    assert!(fields.get_all("content-length").iter().count() + fields.get_all("transfer-encoding").iter().count() <= 1);
    let without_body = to_head || [204, 304].contains(status);
    let body = match (plain.field("transfer-encoding"), plain.field("content-length")) {
        _ if without_body => Some((Vec::new(), plain.rest)),
        (Some(_), _) => unchunked(plain.rest),
        (None, Some(length)) => {
            let length = String::from_utf8_lossy(length).trim().parse().unwrap_or(usize::MAX);
            plain.rest.split_at_checked(length).map(|(body, rest)| (body.to_vec(), rest))
        }
        (None, None) => Some((plain.rest.to_vec(), &b""[..])),
    };
    match body {
        Some((body, rest)) if !whole.broken => {
            assert_eq!(whole.body, body);
            assert!(!whole.reusable || rest.is_empty(), "the connection is used again with something left on it");
        }
        // It refuses more than the plain reader does, and never less.
        Some(_) => assert!(!whole.reusable),
        None => assert!(whole.broken, "a body that breaks off is taken for a whole one"),
    }
}

/// A final answer, cut at its line ends.
struct Plain<'a> {
    status: u16,
    lines: Vec<&'a [u8]>,
    rest: &'a [u8],
}

impl<'a> Plain<'a> {
    fn read(mut rest: &'a [u8]) -> Option<Self> {
        loop {
            let mut lines = Vec::new();
            loop {
                let at = rest.iter().position(|byte| *byte == b'\n')?;
                let line = rest[..at].strip_suffix(b"\r").unwrap_or(&rest[..at]);
                rest = &rest[at + 1..];
                match line {
                    // Empty lines may come before an answer.
                    b"" if lines.is_empty() => {}
                    b"" => break,
                    line => lines.push(line),
                }
            }
            let status = str::from_utf8(lines[0].get(9..12)?).ok()?.parse().ok()?;
            if status >= 200 {
                return Some(Self { status, lines, rest });
            }
        }
    }

    fn field(&self, name: &str) -> Option<&'a [u8]> {
        let value = |line: &&'a [u8]| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            line[..colon].eq_ignore_ascii_case(name.as_bytes()).then(|| &line[colon + 1..])
        };
        self.lines[1..].iter().find_map(value)
    }
}

/// The first byte says in which pieces the rest comes, which is a chunked body.
pub(crate) fn chunks(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let mut decoder = Decoder::chunked();
    let (mut input, mut out, mut ended) = (BytesMut::new(), Vec::new(), false);
    let mut pieces = body.chunks(usize::from(*first) + 1);
    let broken = loop {
        match decoder.decode(&mut input) {
            Ok(Step::Data(piece)) => {
                assert!(!piece.is_empty(), "a piece of nothing");
                out.extend_from_slice(&piece);
            }
            Ok(Step::Trailers(_) | Step::Ended) => {
                ended = true;
                break false;
            }
            Ok(Step::More) => match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None => break decoder.end_of_input().is_err(),
            },
            Err(_) => break true,
        }
    };
    assert!(ended != broken, "a chunked body ends or breaks off");
    if ended {
        let (plain, rest) = unchunked(body).expect("what is accepted is plain");
        assert_eq!(out, plain);
        let behind: Bytes = [&input[..], &pieces.collect::<Vec<_>>().concat()].concat().into();
        assert_eq!(behind, rest, "it took more or less than the body");
        assert!(decoder.is_ended());
    }
}

/// A chunked body and what stands behind it, read as plainly as it goes.
fn unchunked(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let (size, behind) = cut(rest)?;
        let size = size.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let size = usize::from_str_radix(str::from_utf8(size).ok()?, 16).ok()?;
        rest = behind;
        if size == 0 {
            break;
        }
        let (data, behind) = rest.split_at_checked(size)?;
        body.extend_from_slice(data);
        rest = behind.strip_prefix(b"\r\n")?;
    }
    loop {
        let (line, behind) = cut(rest)?;
        rest = behind;
        if line.is_empty() {
            return Some((body, rest));
        }
    }
}

/// A line, and what stands behind its end.
fn cut(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.windows(2).position(|end| end == b"\r\n")?;
    Some((&text[..at], &text[at + 2..]))
}
