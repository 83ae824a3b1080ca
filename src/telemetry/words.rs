//! What each cause means to an operator who looks for the reason of a refusal, and what can be done about it. Callers
//! never hear any of this.

use crate::refusal::{Cause, Reason};

/// What it means, in a sentence.
pub fn meaning(cause: Cause) -> &'static str {
    match cause {
        Cause::MalformedRequest => "The message can be read in more than one way, or in none.",
        Cause::TargetTooLong => "The target is longer than the listener allows.",
        Cause::HeadTooLarge => "The head is larger than the listener allows.",
        Cause::ExpectationFailed => "The request expects something that is not done here.",
        Cause::Misdirected => "The connection was made for another host than the request names.",
        Cause::NotFound => "No route of the listener has this host and path.",
        Cause::MethodNotAllowed => "A route has this host and path, but does not take the method.",
        Cause::MethodNotImplemented => "Nobody here knows the method.",
        Cause::NotImplemented => "The configuration declares that this is not there yet.",
        Cause::Credential(reason) => credential(reason),
        Cause::AddressRefused => "Callers of the route, the credential or the account do not come from this address.",
        Cause::PermissionDenied => "The caller was proven, and may not do this.",
        Cause::OriginRefused => "The page that asks is not one of those that the app was made for.",
        Cause::OperationMissing => "The route asks for the name of an operation, and none was given.",
        Cause::OperationUnknown => "No operation of the route has this name.",
        Cause::GrantRefused => "What was to be exchanged for a token was not good.",
        Cause::GrantUnsupported => "Tokens are not given for this kind of grant.",
        Cause::BodyTooLarge => "The body is larger than the route allows.",
        Cause::UnsupportedMediaType => "The body is of another media type than the route takes.",
        Cause::InvalidContent => "The content of the body is not what is asked for.",
        Cause::Conflict => "What is asked for does not go together with what is there.",
        Cause::AllotmentReached => "The account has as many of these as it may have.",
        Cause::RateExceeded => "More requests came in a short time than a limit lets through.",
        Cause::QuotaExceeded => "All requests of the hour, the day or the month are used up.",
        Cause::ConcurrencyExceeded => "As many requests of the caller are under way as may be.",
        Cause::TooManyFailures => "Too many wrong credentials came from there, or for this identifier.",
        Cause::MalformedBody => "The body broke off, or broke its framing.",
        Cause::BodyTimeout => "The body did not come in time.",
        Cause::Overloaded => "The gateway had no room for the request.",
        Cause::UpstreamUnreachable => "No connection to the upstream came about.",
        Cause::UpstreamFailed => "What the upstream answered is not HTTP, or broke off.",
        Cause::UpstreamTimeout => "The upstream did not answer in time.",
        Cause::Internal => "The gateway has a defect.",
    }
}

fn credential(reason: Reason) -> &'static str {
    match reason {
        Reason::Missing => "The route asks for a credential, and none stood where its schemes look for one.",
        Reason::Malformed => "What was presented does not have the form of its kind.",
        Reason::Ambiguous => "Two credentials were presented where there is room for one.",
        Reason::Insecure => "The credential came in clear, where it may only come over TLS.",
        Reason::Leaked => "A secret stood in the query, where it ends up in the logs of others.",
        Reason::Foreign => "The token names an issuer that is not believed here.",
        Reason::Unknown => "Nobody has the credential.",
        Reason::Unsettled => "It could not be said whether the credential is good: what it is judged by is not there.",
        Reason::Mismatch => "Somebody has this identifier, but not this secret or signature.",
        Reason::Expired => "The credential was good once.",
        Reason::NotYetValid => "The credential will be good later.",
        Reason::LivesTooLong => "The credential would be good for longer than such credentials may be.",
        Reason::Disabled => "The credential, or an account above it, is switched off.",
        Reason::Contradicted => "The credential is good, but says something else than what is on record.",
    }
}

/// What can be done about it.
pub fn hint(cause: Cause) -> &'static str {
    match cause {
        Cause::MalformedRequest | Cause::ExpectationFailed => {
            "Nothing is wrong here: the client, or a proxy in front, has to say it as RFC 9110 and RFC 9112 do."
        }
        Cause::TargetTooLong => "Shorten the target, or raise `max_target` of the listener.",
        Cause::HeadTooLarge => "Send fewer or shorter fields, or raise `max_head` of the listener.",
        Cause::Misdirected => {
            "The client has to use the host of the connection; look at what a proxy in front makes of it."
        }
        Cause::NotFound => "Compare host and path with the routes; `vidgate explain` shows why each was passed over.",
        Cause::MethodNotAllowed => "Add the method to `methods` of the route, or have the client use another.",
        Cause::MethodNotImplemented => "The client has to use a method that HTTP knows.",
        Cause::NotImplemented => "Give the route a `forward` once there is something to go to.",
        Cause::Credential(reason) => credential_hint(reason),
        Cause::AddressRefused => "Look at the networks of the credential and of the route, and at `trusted_proxies`.",
        Cause::PermissionDenied => {
            "The detail says what: look at the scopes and the role, or whether the camera is on file and whose it is."
        }
        Cause::OriginRefused => "Add the host of the page to the authorized hosts of the app.",
        Cause::OperationMissing | Cause::OperationUnknown => {
            "The client has to name an operation that stands in the table of roles of the route."
        }
        Cause::GrantRefused | Cause::GrantUnsupported => {
            "The client has to send what RFC 6749 asks for, with good credentials."
        }
        Cause::BodyTooLarge => "Raise `max_body` of the route if such bodies are meant to pass.",
        Cause::UnsupportedMediaType | Cause::InvalidContent | Cause::Conflict => {
            "The client has to send something else; the answer told them what was wrong."
        }
        Cause::AllotmentReached => "Raise the terms of the account, or have something of it deleted.",
        Cause::RateExceeded | Cause::ConcurrencyExceeded => {
            "The client has to slow down; else raise the limit of the route."
        }
        Cause::QuotaExceeded => "`vidgate usage ACCOUNT` shows where its quotas stand; raise the quota, or wait.",
        Cause::TooManyFailures => {
            "`vidgate failures list` shows from where; `vidgate failures clear` lets them in again."
        }
        Cause::MalformedBody | Cause::BodyTimeout => "Look at the client and at the network between.",
        Cause::Overloaded => {
            "Look at the load: the detail says whether it is that of `[overload]`, of an upstream, or something else."
        }
        Cause::UpstreamUnreachable => "Look whether the endpoint runs and can be reached from here.",
        Cause::UpstreamFailed => "Look into the upstream's log at this time.",
        Cause::UpstreamTimeout => "Look at the upstream; if it needs longer, raise its `timeouts.response`.",
        Cause::Internal => "Look into the log at this time, and report what stands there.",
    }
}

fn credential_hint(reason: Reason) -> &'static str {
    match reason {
        Reason::Missing => {
            "The client has to send one of those that `authenticate` of the route names, in the place of its scheme: `vidgate schemes` lists those, and `vidgate sign` prints a call."
        }
        Reason::Malformed => "Compare what the client sends with what `vidgate sign` prints for the scheme.",
        Reason::Ambiguous => "The client has to send one credential, in one place.",
        Reason::Insecure => {
            "The client has to use https; behind a proxy that ends TLS, name that in `trusted_proxies`."
        }
        Reason::Leaked => "Rotate the secret, and have the client send it in a field.",
        Reason::Foreign => {
            "Look whether the `iss` of the token is that of `[scheme.NAME.jwt.issuer] name`, or an account on file."
        }
        Reason::Unknown => "Look whether it was deleted, is one of another installation, or was mistyped.",
        Reason::Unsettled => "Look whether the keys of the issuer can be fetched.",
        Reason::Mismatch => {
            "The client has an old secret, or signs something else than what was sent; rotate it if in doubt."
        }
        Reason::Expired => {
            "Give it another end (`vidgate … change --expires`), or make a new one; if it is fresh, compare the clocks."
        }
        Reason::NotYetValid => "Wait, or compare the clocks.",
        Reason::LivesTooLong => "The client has to ask for a shorter life, or the scheme has to allow a longer one.",
        Reason::Disabled => "Switch it on again, if that is meant: `vidgate … enable`.",
        Reason::Contradicted => "The client has to use the credential for what it was made for.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_sentences() {
        for cause in [Cause::NotFound, Cause::Credential(Reason::Leaked), Cause::UpstreamTimeout] {
            for text in [meaning(cause), hint(cause)] {
                assert!(
                    text.ends_with('.') && text.starts_with(|first: char| first.is_ascii_uppercase() || first == '`')
                );
            }
        }
    }
}
