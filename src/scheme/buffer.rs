//! A few secret bytes on the stack: what a scheme decodes from a request without asking the allocator. Wiped when
//! dropped, starred when printed.

use std::fmt;

use base64::Engine;
use zeroize::Zeroize;

/// At most `N` bytes.
pub(super) struct Buffer<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

/// There is no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<const N: usize> Buffer<N> {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; N], length: 0 }
    }

    /// Takes over what fits whole.
    pub(super) fn collect(bytes: impl Iterator<Item = u8>) -> Result<Self, Full> {
        let mut buffer = Self::new();
        for byte in bytes {
            *buffer.bytes.get_mut(buffer.length).ok_or(Full)? = byte;
            buffer.length += 1;
        }
        Ok(buffer)
    }

    /// Decodes base64 as strictly as `engine` is. `None`: not such text, or too much of it.
    pub(super) fn decode(engine: &impl Engine, text: &[u8]) -> Option<Self> {
        let mut buffer = Self::new();
        buffer.length = engine.decode_slice(text, &mut buffer.bytes).ok()?;
        Some(buffer)
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.length + bytes.len();
        self.bytes.get_mut(self.length..end).ok_or(Full)?.copy_from_slice(bytes);
        self.length = end;
        Ok(())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl<const N: usize> Drop for Buffer<N> {
    fn drop(&mut self) {
        self.bytes[..self.length].zeroize();
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
    use super::*;

    #[test]
    fn what_does_not_fit_whole_is_refused() {
        assert_eq!(Buffer::<3>::collect("abc".bytes()).unwrap().bytes(), b"abc");
        assert!(Buffer::<3>::collect("abcd".bytes()).is_err());
        let mut buffer = Buffer::<3>::new();
        assert_eq!(buffer.extend(b"ab"), Ok(()));
        assert_eq!(buffer.extend(b"cd"), Err(Full));
        assert_eq!(buffer.bytes(), b"ab");
    }

    #[test]
    fn debug_shows_stars() {
        assert_eq!(format!("{:?}", Buffer::<8>::collect("hunter2".bytes()).unwrap()), "***");
    }
}
