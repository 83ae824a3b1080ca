//! Why a request is not answered by an upstream: what happened, said once and without wording. How it is said to the
//! caller is the business of `envelope/`; the precise cause stands in the log only.

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};

/// A request that is not forwarded, or whose upstream failed.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What happened.
    pub cause: Cause,
    /// The precise reason, for the log alone; it never holds anything the caller sent.
    pub detail: &'static str,
    /// The status that an upstream has chosen, where that one stays; else the wording chooses it.
    pub status: Option<StatusCode>,
    /// The number by which the API knows what is wrong, where an endpoint says one.
    pub code: Option<u16>,
    /// When it is worth trying again.
    pub retry_after: Option<Duration>,
    /// What to present instead (401), one field each.
    pub challenges: Vec<HeaderValue>,
    /// What the caller hears in place of the general sentence, where their own content is what is wrong. It is no secret
    /// and holds nothing that was sent.
    pub said: Option<Box<str>>,
    /// More fields of the answer: the methods that the route would take, where the caller's limits stand.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// Whether the credential that is missing or not believed is the client certificate of the connection.
    pub certificate: bool,
    /// Whether the connection ends with the answer, because its framing is in doubt or only another one would help.
    pub close: bool,
}

/// What happened, in the words of the house. Each has a face in every dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The message is not one HTTP request that can be read in one way only.
    MalformedRequest,
    /// The target is longer than the listener allows.
    TargetTooLong,
    /// The head is larger than the listener allows.
    HeadTooLarge,
    /// `Expect` asks for something other than `100-continue`.
    ExpectationFailed,
    /// The connection was made for another host than the request names.
    Misdirected,
    /// No route.
    NotFound,
    /// A route, but not with this method.
    MethodNotAllowed,
    /// A method that nobody here knows.
    MethodNotImplemented,
    /// The operator has declared that this is not there yet.
    NotImplemented,
    /// The caller is not proven.
    Credential(Reason),
    /// Proven, but not from this address.
    AddressRefused,
    /// Proven, but not this.
    PermissionDenied,
    /// The page that asks is not one of an authorised host.
    OriginRefused,
    /// No operation is named where the route asks for one.
    OperationMissing,
    /// Nobody here knows the operation.
    OperationUnknown,
    /// What is to be exchanged for a token is not good (RFC 6749 §5.2).
    GrantRefused,
    /// Tokens are given for something else (RFC 6749 §5.2).
    GrantUnsupported,
    /// The body is larger than the route allows.
    BodyTooLarge,
    /// The body is of another media type than the route takes.
    UnsupportedMediaType,
    /// The body could be read, and its content is not what is asked for.
    InvalidContent,
    /// What is asked for and what is there do not go together.
    Conflict,
    /// The account has all that it may have.
    AllotmentReached,
    /// More requests in a short time than a limit lets through.
    RateExceeded,
    /// All requests of an hour, a day or a month are used up.
    QuotaExceeded,
    /// As many requests are under way as may be.
    ConcurrencyExceeded,
    /// Too many wrong credentials came from there, or for this identifier.
    TooManyFailures,
    /// The body broke off or broke its framing.
    MalformedBody,
    /// The body did not come in time.
    BodyTimeout,
    /// The house has no room for the request just now.
    Overloaded,
    /// No connection to the upstream.
    UpstreamUnreachable,
    /// The upstream answered something that is not HTTP, or broke off.
    UpstreamFailed,
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// A defect of the house.
    Internal,
}

/// Why a credential is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// None was presented that the route asks for.
    Missing,
    /// It is somebody else's to judge: it names another issuer.
    Foreign,
    /// It does not have the form of its kind.
    Malformed,
    /// Two were presented where there is room for one.
    Ambiguous,
    /// It came in clear, where it may only come over TLS.
    Insecure,
    /// A secret stood in the query, where it ends up in logs.
    Leaked,
    /// Nobody has it.
    Unknown,
    /// Nobody can say yet: what it is to be judged by is not there.
    Unsettled,
    /// Somebody has the identifier, but not this secret or signature.
    Mismatch,
    /// It was good once.
    Expired,
    /// It will be good later.
    NotYetValid,
    /// It would be good for longer than such credentials may be.
    LivesTooLong,
    /// An operator has switched it off.
    Disabled,
    /// It is good, but says something else than what is on record, or than another credential beside it.
    Contradicted,
}

impl Refusal {
    /// A refusal for `cause`; `detail` is for the log.
    pub fn new(cause: Cause, detail: &'static str) -> Self {
        let close = matches!(
            cause,
            Cause::MalformedRequest
                | Cause::TargetTooLong
                | Cause::HeadTooLarge
                | Cause::MalformedBody
                | Cause::BodyTimeout
        );
        Self {
            cause,
            detail,
            status: None,
            code: None,
            retry_after: None,
            challenges: Vec::new(),
            said: None,
            fields: Vec::new(),
            certificate: false,
            close,
        }
    }

    /// A request that can be read in more than one way, or in none.
    pub fn malformed(detail: &'static str) -> Self {
        Self::new(Cause::MalformedRequest, detail)
    }

    /// Content that is not what is asked for; `said` tells the caller what is wrong with it.
    pub fn content(said: impl Into<Box<str>>) -> Self {
        Self { said: Some(said.into()), ..Self::new(Cause::InvalidContent, "the content is not what is asked for") }
    }

    /// Whether nobody can say yet what the credential is worth: the keys of an issuer are not there.
    pub fn is_unsettled(&self) -> bool {
        self.cause == Cause::Credential(Reason::Unsettled)
    }

    /// Ends the connection with the answer.
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// Keeps the status that an upstream has chosen.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// Says when it is worth trying again.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 46] = [
        Self::MalformedRequest,
        Self::TargetTooLong,
        Self::HeadTooLarge,
        Self::ExpectationFailed,
        Self::Misdirected,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::MethodNotImplemented,
        Self::NotImplemented,
        Self::Credential(Reason::Missing),
        Self::Credential(Reason::Foreign),
        Self::Credential(Reason::Malformed),
        Self::Credential(Reason::Ambiguous),
        Self::Credential(Reason::Insecure),
        Self::Credential(Reason::Leaked),
        Self::Credential(Reason::Unknown),
        Self::Credential(Reason::Unsettled),
        Self::Credential(Reason::Mismatch),
        Self::Credential(Reason::Expired),
        Self::Credential(Reason::NotYetValid),
        Self::Credential(Reason::LivesTooLong),
        Self::Credential(Reason::Disabled),
        Self::Credential(Reason::Contradicted),
        Self::AddressRefused,
        Self::PermissionDenied,
        Self::OriginRefused,
        Self::OperationMissing,
        Self::OperationUnknown,
        Self::GrantRefused,
        Self::GrantUnsupported,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::InvalidContent,
        Self::Conflict,
        Self::AllotmentReached,
        Self::RateExceeded,
        Self::QuotaExceeded,
        Self::ConcurrencyExceeded,
        Self::TooManyFailures,
        Self::MalformedBody,
        Self::BodyTimeout,
        Self::Overloaded,
        Self::UpstreamUnreachable,
        Self::UpstreamFailed,
        Self::UpstreamTimeout,
        Self::Internal,
    ];

    /// The position in [`Cause::ALL`].
    pub fn place(self) -> usize {
        Self::ALL.iter().position(|own| *own == self).expect("every cause is in the list")
    }

    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::MalformedRequest => "malformed_request",
            Self::TargetTooLong => "target_too_long",
            Self::HeadTooLarge => "head_too_large",
            Self::ExpectationFailed => "expectation_failed",
            Self::Misdirected => "misdirected",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::MethodNotImplemented => "method_not_implemented",
            Self::NotImplemented => "not_implemented",
            Self::Credential(reason) => reason.name(),
            Self::AddressRefused => "address_refused",
            Self::PermissionDenied => "permission_denied",
            Self::OriginRefused => "origin_refused",
            Self::OperationMissing => "operation_missing",
            Self::OperationUnknown => "operation_unknown",
            Self::GrantRefused => "grant_refused",
            Self::GrantUnsupported => "grant_unsupported",
            Self::BodyTooLarge => "body_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::InvalidContent => "invalid_content",
            Self::Conflict => "conflict",
            Self::AllotmentReached => "allotment_reached",
            Self::RateExceeded => "rate_exceeded",
            Self::QuotaExceeded => "quota_exceeded",
            Self::ConcurrencyExceeded => "concurrency_exceeded",
            Self::TooManyFailures => "too_many_failures",
            Self::MalformedBody => "malformed_body",
            Self::BodyTimeout => "body_timeout",
            Self::Overloaded => "overloaded",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamFailed => "upstream_failed",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Internal => "internal",
        }
    }
}

impl Reason {
    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "credential_missing",
            Self::Foreign => "credential_foreign",
            Self::Malformed => "credential_malformed",
            Self::Ambiguous => "credential_ambiguous",
            Self::Insecure => "credential_insecure",
            Self::Leaked => "credential_leaked",
            Self::Unknown => "credential_unknown",
            Self::Unsettled => "credential_unsettled",
            Self::Mismatch => "credential_mismatch",
            Self::Expired => "credential_expired",
            Self::NotYetValid => "credential_not_yet_valid",
            Self::LivesTooLong => "credential_lives_too_long",
            Self::Disabled => "credential_disabled",
            Self::Contradicted => "credential_contradicted",
        }
    }
}
