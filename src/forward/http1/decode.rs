//! The body of an answer, taken out of what was read (RFC 9112 §6 and §7).

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use crate::forward::http1::read::{self, Malformed};

/// The longest line with the size of a chunk, with its extensions and its end.
const SIZE_LINE: usize = 4 * 1024;
/// The most digits of a size: those of the largest number.
const DIGITS: usize = 16;
/// All trailers together.
const TRAILERS: usize = 16 * 1024;
/// Up to here a piece is copied: a few bytes that wait to be written shall not keep a whole buffer.
const SMALL: usize = 1024;

const BAD_SIZE: Malformed = "the upstream's answer has a malformed chunk";
const BAD_TRAILERS: Malformed = "the upstream's answer has malformed trailers";
/// The connection ended before the body did.
pub(super) const BROKE_OFF: Malformed = "the upstream broke off in the middle of its answer";

/// Where a body stands.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::forward) enum Decoder {
    /// So many bytes are left.
    Length(u64),
    /// Chunks.
    Chunked(Chunk),
    /// Whatever comes until the connection ends.
    UntilClose,
}

/// What of a chunk comes next.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::forward) enum Chunk {
    /// The line with its size.
    Size,
    /// So many bytes.
    Data(u64),
    /// The line end behind them.
    End,
    /// Trailers, or the end of the message.
    Trailers,
}

/// One step of reading a body.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// The next piece.
    Data(Bytes),
    /// The fields behind the body, which end it.
    Trailers(HeaderMap),
    /// It has ended.
    Ended,
    /// More has to be read.
    More,
}

impl Decoder {
    /// Chunks from the first one on.
    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunk::Size)
    }

    /// Whether nothing is left.
    pub(in crate::forward) fn is_ended(&self) -> bool {
        *self == Self::Length(0)
    }

    /// How many bytes are left, where that is known.
    pub(in crate::forward) fn left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }

    /// The whole of what is left, if it was read already.
    pub(super) fn whole(&mut self, input: &mut BytesMut) -> Option<Bytes> {
        let length = self.left().and_then(|left| usize::try_from(left).ok()).filter(|left| *left <= input.len())?;
        *self = Self::Length(0);
        Some(take(input, length))
    }

    /// Takes the next piece of the body out of `input`.
    pub(super) fn decode(&mut self, input: &mut BytesMut) -> Result<Step, Malformed> {
        loop {
            let chunk = match self {
                Self::Length(0) => return Ok(Step::Ended),
                _ if input.is_empty() => return Ok(Step::More),
                Self::Length(left) => return Ok(Step::Data(take_from(left, input))),
                Self::UntilClose => return Ok(Step::Data(take(input, input.len()))),
                Self::Chunked(chunk) => chunk,
            };
            match chunk {
                Chunk::Size => match size(input)? {
                    None => return Ok(Step::More),
                    Some(0) => *chunk = Chunk::Trailers,
                    Some(size) => *chunk = Chunk::Data(size),
                },
                Chunk::Data(left) => {
                    let data = take_from(left, input);
                    if *left == 0 {
                        *chunk = Chunk::End;
                    }
                    return Ok(Step::Data(data));
                }
                Chunk::End if !b"\r\n".starts_with(&input[..input.len().min(2)]) => return Err(BAD_SIZE),
                Chunk::End if input.len() < 2 => return Ok(Step::More),
                Chunk::End => {
                    input.advance(2);
                    *chunk = Chunk::Size;
                }
                Chunk::Trailers => {
                    let step = trailers(input)?;
                    if step != Step::More {
                        *self = Self::Length(0);
                    }
                    return Ok(step);
                }
            }
        }
    }

    /// The connection has ended: whether the body has as well.
    pub(super) fn end_of_input(&mut self) -> Result<(), Malformed> {
        match self {
            Self::Length(0) => {}
            Self::UntilClose => *self = Self::Length(0),
            Self::Length(_) | Self::Chunked(_) => return Err(BROKE_OFF),
        }
        Ok(())
    }
}

fn take_from(left: &mut u64, input: &mut BytesMut) -> Bytes {
    let length = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
    *left -= length as u64;
    take(input, length)
}

fn take(input: &mut BytesMut, length: usize) -> Bytes {
    if length > SMALL {
        return input.split_to(length).freeze();
    }
    let piece = Bytes::copy_from_slice(&input[..length]);
    input.advance(length);
    piece
}

/// Reads the line with a chunk's size. Extensions are passed over.
fn size(input: &mut BytesMut) -> Result<Option<u64>, Malformed> {
    let window = &input[..input.len().min(SIZE_LINE)];
    let Some(end) = window.iter().position(|byte| *byte == b'\n') else {
        // What is none already is not waited for.
        let digits = window.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let hopeless = digits == 0 || digits > DIGITS || window.len() == SIZE_LINE;
        return if hopeless { Err(BAD_SIZE) } else { Ok(None) };
    };
    let line = window[..end].strip_suffix(b"\r").ok_or(BAD_SIZE)?;
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, rest) = line.split_at(digits);
    // White space may follow the size, and then an extension (RFC 9112 §7.1.1).
    if rest.trim_ascii_start().first().is_some_and(|byte| *byte != b';') || rest.contains(&b'\r') {
        return Err(BAD_SIZE);
    }
    let digits = str::from_utf8(digits).ok().filter(|digits| digits.len() <= DIGITS).ok_or(BAD_SIZE)?;
    let size = u64::from_str_radix(digits, 16).map_err(|_| BAD_SIZE)?;
    input.advance(end + 1);
    Ok(Some(size))
}

/// Reads what follows the last chunk: the end of the message, or fields and then its end.
fn trailers(input: &mut BytesMut) -> Result<Step, Malformed> {
    if input.starts_with(b"\r\n") {
        input.advance(2);
        return Ok(Step::Ended);
    }
    let window = &input[..input.len().min(TRAILERS)];
    let Some(end) = window.windows(4).position(|end| end == b"\r\n\r\n") else {
        return if window.len() == TRAILERS { Err(BAD_TRAILERS) } else { Ok(Step::More) };
    };
    let block = &window[..end + 4];
    let bare = |at: usize| (block[at] == b'\n') != (at > 0 && block[at - 1] == b'\r');
    if (0..block.len()).any(bare) {
        return Err(BAD_TRAILERS);
    }
    let block = input.split_to(end + 4).freeze();
    read::trailers(&block).map(Step::Trailers)
}
