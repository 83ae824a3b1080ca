//! What came of TLS handshakes, to be counted.

use rustls::ProtocolVersion;

/// What came of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// It is done, in TLS 1.2.
    Done12,
    /// It is done, in TLS 1.3.
    Done13,
    /// The two did not agree, or the peer left.
    Failed,
    /// It took too long.
    Late,
}

impl Handshake {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Done12, Self::Done13, Self::Failed, Self::Late];

    /// One that is done.
    pub(super) fn done(version: Option<ProtocolVersion>) -> Self {
        if version == Some(ProtocolVersion::TLSv1_2) { Self::Done12 } else { Self::Done13 }
    }

    /// Its version and its outcome, in labels.
    pub fn labels(self) -> [&'static str; 2] {
        match self {
            Self::Done12 => ["1.2", "done"],
            Self::Done13 => ["1.3", "done"],
            Self::Failed => ["-", "failed"],
            Self::Late => ["-", "late"],
        }
    }
}
