//! A few secret bytes that a scheme decodes from a request: bounded, wiped when dropped, starred when printed. They lie
//! in one piece of memory of their own, so that handing them on copies three words and not all of them.

mod strict;

use std::fmt;

use base64::Engine;
use memchr::memchr2;

/// At most `N` bytes.
pub(super) struct Buffer<const N: usize> {
    // Never grows beyond what was reserved at first: no unwiped copy is left behind.
    bytes: Vec<u8>,
}

/// There is no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// What stands for a blank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blank {
    /// Its escape alone, as in addresses.
    Escaped,
    /// `+` too, as in forms.
    Plus,
}

/// The byte that an escape stands for: `byte` is a `%`, and two digits stand behind it.
fn escaped(byte: u8, behind: &[u8]) -> Option<u8> {
    let [high, low, ..] = behind else { return None };
    let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
    (byte == b'%' && (high | low) < 16).then_some(high << 4 | low)
}

/// What a hexadecimal digit is worth; 16 is none.
pub(super) const DIGITS: [u8; 256] = {
    let (mut digits, mut value) = ([16; 256], 0);
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        digits[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

impl<const N: usize> Buffer<N> {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::with_capacity(N) }
    }

    /// Takes over what fits whole.
    pub(super) fn copy(bytes: &[u8]) -> Result<Self, Full> {
        if bytes.len() > N { Err(Full) } else { Ok(Self { bytes: bytes.to_vec() }) }
    }

    /// The same, byte by byte.
    pub(super) fn collect(bytes: impl Iterator<Item = u8>) -> Result<Self, Full> {
        let room = bytes.size_hint().1.map_or(N, |most| most.min(N));
        let mut buffer = Self { bytes: Vec::with_capacity(room) };
        for byte in bytes {
            if buffer.bytes.len() == room {
                return Err(Full);
            }
            buffer.bytes.push(byte);
        }
        Ok(buffer)
    }

    /// Decodes what is percent-encoded (RFC 3986 §2.1); where a `%` begins no escape, it stands for itself.
    pub(super) fn unescape(text: &[u8], blank: Blank) -> Result<Self, Full> {
        // Most have nothing to be decoded.
        if memchr2(b'%', b'+', text).is_none() {
            return Self::copy(text);
        }
        let mut buffer = Self { bytes: vec![0; text.len().min(N)] };
        let (mut rest, mut length) = (text, 0);
        while let [byte, behind @ ..] = rest {
            let place = buffer.bytes.get_mut(length).ok_or(Full)?;
            (*place, rest) = match escaped(*byte, behind) {
                Some(byte) => (byte, &behind[2..]),
                None if *byte == b'+' && blank == Blank::Plus => (b' ', behind),
                None => (*byte, behind),
            };
            length += 1;
        }
        buffer.bytes.truncate(length);
        Ok(buffer)
    }

    /// Decodes base64 as strictly as `engine` is. `None`: not such text, or too much of it.
    pub(super) fn decode(engine: &impl Engine, text: &[u8]) -> Option<Self> {
        let mut buffer = Self { bytes: vec![0; base64::decoded_len_estimate(text.len()).min(N)] };
        let length = engine.decode_slice(text, &mut buffer.bytes).ok()?;
        buffer.bytes.truncate(length);
        Some(buffer)
    }

    /// Decodes base64 as the standard writes it, padded and without stray bits.
    pub(super) fn decode_strictly(text: &[u8]) -> Option<Self> {
        Self::decode(strict::engine(), text)
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if self.bytes.len() + bytes.len() > self.bytes.capacity().min(N) {
            return Err(Full);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<const N: usize> Drop for Buffer<N> {
    fn drop(&mut self) {
        // As one block, its unused end included: byte by byte it would be a good part of what a credential costs.
        self.bytes.clear();
        self.bytes.resize(self.bytes.capacity(), 0);
        zeroize::optimization_barrier(self.bytes.as_slice());
    }
}

impl<const N: usize> fmt::Debug for Buffer<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// So that a number is written into it without a string in between.
impl<const N: usize> fmt::Write for Buffer<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.extend(text.as_bytes()).map_err(|Full| fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_does_not_fit_whole_is_refused() {
        assert_eq!(Buffer::<3>::collect("abc".bytes()).unwrap().bytes(), b"abc");
        assert!(Buffer::<3>::collect("abcd".bytes()).is_err());
        let mut buffer = Buffer::<3>::new();
        assert_eq!(buffer.extend(b"ab"), Ok(()));
        assert_eq!(buffer.extend(b"cd"), Err(Full));
        assert_eq!(buffer.bytes(), b"ab");
        assert_eq!((buffer.extend(b"c"), buffer.extend(b"d")), (Ok(()), Err(Full)));
        assert_eq!(buffer.bytes(), b"abc");
    }

    fn unescaped<const N: usize>(text: &[u8], blank: Blank) -> Result<Vec<u8>, Full> {
        Buffer::<N>::unescape(text, blank).map(|buffer| buffer.bytes().to_vec())
    }

    #[test]
    fn escapes_are_read_where_they_are_whole() {
        for (text, expected) in [
            ("", ""),
            ("a+b", "a+b"),
            ("%61%2B+%2b", "a+++"),
            ("%", "%"),
            ("%4", "%4"),
            ("%%41", "%A"),
            ("%g1%1g%-1", "%g1%1g%-1"),
            ("%4%41", "%4A"),
        ] {
            assert_eq!(unescaped::<16>(text.as_bytes(), Blank::Escaped).unwrap(), expected.as_bytes(), "{text}");
        }
        assert_eq!(unescaped::<8>(b"a+%2B%20", Blank::Plus).unwrap(), b"a + ");
        assert_eq!(unescaped::<3>(b"a+%2B", Blank::Plus), Ok(b"a +".to_vec()));
        for long in ["abcd", "a+%20+", "%61%61%61%61"] {
            assert_eq!(unescaped::<3>(long.as_bytes(), Blank::Plus), Err(Full), "{long}");
        }
    }

    proptest! {
        #[test]
        fn escapes_are_what_everybody_reads_in_them(text in "([%+]|[0-9a-fA-F]|[g-z&= \\x00é])*") {
            let expected: Vec<u8> = percent_encoding::percent_decode_str(&text).collect();
            prop_assert_eq!(unescaped::<4096>(text.as_bytes(), Blank::Escaped).unwrap(), expected);
            let expected: Vec<u8> = percent_encoding::percent_decode_str(&text.replace('+', " ")).collect();
            prop_assert_eq!(unescaped::<4096>(text.as_bytes(), Blank::Plus).unwrap(), expected);
        }
    }

    #[test]
    fn debug_shows_stars() {
        assert_eq!(format!("{:?}", Buffer::<8>::collect("hunter2".bytes()).unwrap()), "***");
    }
}
