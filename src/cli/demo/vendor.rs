//! The five vendors whose video APIs the demo plays.

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vendor {
    /// VXG Cloud VMS.
    Vxg,
    /// SecureVideo.
    SecureVideo,
    /// CameraTag.
    CameraTag,
    /// Multicam.
    Multicam,
    /// Voximplant.
    Voximplant,
}

impl Vendor {
    /// All of them, in the order of listings.
    pub(super) const ALL: [Self; 5] = [Self::Vxg, Self::SecureVideo, Self::CameraTag, Self::Multicam, Self::Voximplant];

    /// The word in the configuration and in the JSON; its listeners are `<name>` and `<name>_tls`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Vxg => "vxg",
            Self::SecureVideo => "securevideo",
            Self::CameraTag => "cameratag",
            Self::Multicam => "multicam",
            Self::Voximplant => "voximplant",
        }
    }

    /// The name as the vendor writes it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Vxg => "VXG",
            Self::SecureVideo => "SecureVideo",
            Self::CameraTag => "CameraTag",
            Self::Multicam => "Multicam",
            Self::Voximplant => "Voximplant",
        }
    }

    /// The name of its TLS listener.
    pub(super) fn tls_listener(self) -> String {
        format!("{}_tls", self.name())
    }

    /// The paths below which its API has pictures, playlists, recordings and the echo.
    pub(super) fn roots(self) -> &'static [&'static str] {
        match self {
            Self::Vxg => &["/api/v2", "/api/v3", "/api/v4", "/api/v5"],
            Self::SecureVideo => &[""],
            Self::CameraTag => &["/api/v16"],
            Self::Multicam => &["/api/application", "/api/v1", "/api/v2"],
            Self::Voximplant => &["/platform_api"],
        }
    }
}
