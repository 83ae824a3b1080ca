//! What comes in with an operation and what goes out, each kind with its size, its media types and its status.

use http::StatusCode;

/// What comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing is read.
    Nothing,
    /// Nothing, or an empty object.
    Empty,
    /// An entry to be made.
    New,
    /// A merge patch on an entry.
    Patch,
    /// How to rotate; may be left out.
    Rotation,
    /// Many changes.
    Bulk,
    /// The file of a new master key; may be left out.
    KeyFile,
    /// The passphrase of an export; may be left out.
    Passphrase,
    /// A request that is to be explained.
    Asked,
}

/// What goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    /// An entry.
    Shown,
    /// An entry that was made: with its secret, once.
    Made,
    /// An entry whose secret was rotated: with the new one, once.
    Rotated,
    /// A page of entries.
    Listing,
    /// Nothing.
    Nothing,
    /// What became of many changes.
    Results,
    /// A page of the audit trail.
    Deeds,
    /// Whether the audit trail is whole.
    Trail,
    /// How the store stands.
    State,
    /// Where quotas stand.
    Usage,
    /// Whose wrong credentials were counted.
    Failures,
    /// How many of those are forgotten.
    Cleared,
    /// The last requests that were refused.
    Refusals,
    /// Why one was.
    Refusal,
    /// What is unwise in a configuration that came into force.
    Reloaded,
    /// What would become of a request.
    Explained,
    /// How the gateway is doing.
    Status,
    /// Whether all is well with it.
    Health,
    /// What is measured.
    Metrics,
    /// The number of a pepper.
    Pepper,
    /// A copy of the store.
    Backup,
    /// Entries, one a line.
    Lines,
    /// The OpenAPI document.
    Document,
}

impl Takes {
    /// The most bytes of such a body.
    pub(super) fn most(self) -> usize {
        match self {
            Self::Bulk => 8 << 20,
            Self::Nothing
            | Self::Empty
            | Self::New
            | Self::Patch
            | Self::Rotation
            | Self::KeyFile
            | Self::Passphrase
            | Self::Asked => 1 << 20,
        }
    }

    /// The media types of such a body.
    pub(super) fn types(self) -> &'static [&'static str] {
        match self {
            Self::Patch => &["application/merge-patch+json", "application/json"],
            Self::Nothing
            | Self::Empty
            | Self::New
            | Self::Rotation
            | Self::Bulk
            | Self::KeyFile
            | Self::Passphrase
            | Self::Asked => &["application/json"],
        }
    }

    /// Whether it may be left out.
    pub(super) fn optional(self) -> bool {
        match self {
            Self::Nothing | Self::Empty | Self::Rotation | Self::KeyFile | Self::Passphrase => true,
            Self::New | Self::Patch | Self::Bulk | Self::Asked => false,
        }
    }
}

impl Gives {
    /// The status when all is well.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Made | Self::Pepper => StatusCode::CREATED,
            Self::Nothing => StatusCode::NO_CONTENT,
            Self::Shown
            | Self::Rotated
            | Self::Listing
            | Self::Results
            | Self::Deeds
            | Self::Trail
            | Self::State
            | Self::Usage
            | Self::Failures
            | Self::Cleared
            | Self::Refusals
            | Self::Refusal
            | Self::Reloaded
            | Self::Explained
            | Self::Status
            | Self::Health
            | Self::Metrics
            | Self::Backup
            | Self::Lines
            | Self::Document => StatusCode::OK,
        }
    }
}
