//! The versions of HTTP that a listener speaks, and what it bears of HTTP/2.

/// The versions of HTTP that a listener speaks: at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpVersions {
    /// HTTP/1.0 and HTTP/1.1.
    pub one: bool,
    /// HTTP/2: over TLS where it was agreed on (ALPN), in plain text with prior knowledge (RFC 9113 §3.3), never by an
    /// upgrade.
    pub two: bool,
}

impl HttpVersions {
    /// HTTP/1 alone.
    pub const ONE: Self = Self { one: true, two: false };

    /// What a handshake offers, the better first (RFC 7301).
    pub fn alpn(self) -> Vec<Vec<u8>> {
        let offers = [(self.two, "h2"), (self.one, "http/1.1")];
        offers.iter().filter(|(spoken, _)| *spoken).map(|(_, name)| name.as_bytes().to_vec()).collect()
    }
}

impl Default for HttpVersions {
    fn default() -> Self {
        Self { one: true, two: true }
    }
}

/// What a listener bears of one connection in HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2 {
    /// Requests at once.
    pub streams: u32,
    /// Requests that were taken back before they were looked at (CVE-2023-44487).
    pub pending_resets: usize,
    /// Streams that had to be reset because of what the caller sent (CVE-2025-8671).
    pub local_resets: usize,
    /// Frames a second that carry nothing of a request; five times as many at once.
    pub control_frames: u32,
}

impl Http2 {
    /// What no honest caller comes near to.
    pub const DEFAULT: Self = Self { streams: 128, pending_resets: 20, local_resets: 256, control_frames: 200 };
}
