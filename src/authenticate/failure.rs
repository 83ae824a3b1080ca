//! Why an expression is not proven, and which of two reasons the caller hears. Identity comes before address: who has
//! not proven who they are never learns from where they would be heard.

use crate::scheme::Rejection;

/// Why a part of an expression is not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A credential was presented and is not believed.
    Rejected(Rejection),
    /// None was presented.
    Missing,
    /// Only the address is wrong; `identified`: and someone has proven who they are.
    Address {
        /// By a credential, not by another address.
        identified: bool,
    },
    /// Everything is proven, but of different accounts.
    Disagreement,
}

impl Failure {
    /// What two alternatives tell together.
    pub(super) fn or(self, other: Self) -> Self {
        self.more_telling(other, |failure| match failure {
            Self::Rejected(_) => 4,
            Self::Address { identified: true } => 3,
            Self::Disagreement => 2,
            Self::Missing => 1,
            // To present something is still worth trying.
            Self::Address { identified: false } => 0,
        })
    }

    /// What two conditions tell together.
    pub(super) fn and(self, other: Self) -> Self {
        let identified = self.is_identified() || other.is_identified();
        self.more_telling(other, |failure| match failure {
            Self::Rejected(_) => 3,
            Self::Missing => 2,
            Self::Address { .. } => 1,
            Self::Disagreement => 0,
        })
        .beside(identified)
    }

    /// The same, where another condition beside it is proven; `identified`: by a credential.
    pub(super) fn beside(self, identified: bool) -> Self {
        match self {
            Self::Address { identified: already } => Self::Address { identified: already || identified },
            Self::Rejected(_) | Self::Missing | Self::Disagreement => self,
        }
    }

    fn is_identified(self) -> bool {
        match self {
            Self::Address { identified } => identified,
            Self::Disagreement => true,
            Self::Rejected(_) | Self::Missing => false,
        }
    }

    /// The earlier one of two that tell the same, except that of two rejections the one that came further is told.
    fn more_telling(self, other: Self, weight: impl Fn(Self) -> u8) -> Self {
        if let (Self::Rejected(own), Self::Rejected(its)) = (self, other) {
            return if its.reason > own.reason { other } else { self };
        }
        if weight(other) > weight(self) { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Reason;

    fn rejected(reason: Reason) -> Failure {
        Failure::Rejected(Rejection::new(reason, "for the test"))
    }

    const KNOWN: Failure = Failure::Address { identified: true };
    const STRANGE: Failure = Failure::Address { identified: false };

    #[test]
    fn identity_is_told_before_address() {
        let unknown = rejected(Reason::Unknown);
        for (what, first, second, either, both) in [
            ("wrong and absent", unknown, Failure::Missing, unknown, unknown),
            ("wrong and elsewhere", unknown, STRANGE, unknown, unknown),
            ("wrong and known elsewhere", unknown, KNOWN, unknown, unknown),
            ("absent and elsewhere", Failure::Missing, STRANGE, Failure::Missing, Failure::Missing),
            ("absent and known elsewhere", Failure::Missing, KNOWN, KNOWN, Failure::Missing),
            ("absent and at odds", Failure::Missing, Failure::Disagreement, Failure::Disagreement, Failure::Missing),
            ("elsewhere and at odds", STRANGE, Failure::Disagreement, Failure::Disagreement, KNOWN),
            ("known elsewhere and at odds", KNOWN, Failure::Disagreement, KNOWN, KNOWN),
            ("elsewhere twice", STRANGE, STRANGE, STRANGE, STRANGE),
            ("elsewhere twice, and known by one of them", STRANGE, KNOWN, KNOWN, KNOWN),
        ] {
            assert_eq!(first.or(second), either, "{what}");
            assert_eq!(second.or(first), either, "{what}, the other way round");
            assert_eq!(first.and(second), both, "{what}, both");
            assert_eq!(second.and(first), both, "{what}, both, the other way round");
        }
    }

    #[test]
    fn of_two_rejections_the_one_that_came_further_is_told() {
        let (malformed, expired) = (rejected(Reason::Malformed), rejected(Reason::Expired));
        assert_eq!(malformed.or(expired), expired);
        assert_eq!(expired.or(malformed), expired);
        assert_eq!(expired.and(malformed), expired);
    }
}
