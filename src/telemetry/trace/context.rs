//! W3C Trace Context: what a request says of the trace that it belongs to, and what is said of it to the upstream.

use http::{HeaderMap, HeaderName, HeaderValue};

/// `traceparent` (§3.2).
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// `tracestate` (§3.3).
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// How long `tracestate` may be: what everyone must pass on (§3.3.1.5), and no more.
const LONGEST_STATE: usize = 512;
/// How many members it has at most (§3.3.1.1).
const MOST_MEMBERS: usize = 32;
/// The length of version 00.
const LENGTH: usize = 55;

/// A place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    /// Whether whoever is there keeps spans of it.
    pub(super) sampled: bool,
}

impl Place {
    /// The place that a request comes from. `None`: it says nothing, or nothing that can be read in one way.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(TRACEPARENT).iter();
        let (Some(value), None) = (all.next(), all.next()) else { return None };
        Self::parse(value.as_bytes())
    }

    /// Reads version 00, and of later ones what stands in the same places (§4.3).
    fn parse(text: &[u8]) -> Option<Self> {
        let (head, rest) = text.split_at_checked(LENGTH)?;
        let [version] = hex(&head[..2])?;
        let later = version > 0 && version < 0xff;
        let whole = rest.is_empty() || (later && rest[0] == b'-');
        let dashes = [2, 35, 52].into_iter().all(|at| head[at] == b'-');
        if !whole || !dashes || version == 0xff {
            return None;
        }
        let (trace, span, [flags]) = (hex(&head[3..35])?, hex(&head[36..52])?, hex(&head[53..55])?);
        let named = trace != [0; 16] && span != [0; 8];
        named.then_some(Self { trace, span, sampled: flags & 1 == 1 })
    }

    /// As it is told to the upstream.
    pub(super) fn value(&self) -> HeaderValue {
        let mut text = [b'-'; LENGTH];
        text[..2].copy_from_slice(b"00");
        data_encoding::HEXLOWER.encode_mut(&self.trace, &mut text[3..35]);
        data_encoding::HEXLOWER.encode_mut(&self.span, &mut text[36..52]);
        text[53..].copy_from_slice(if self.sampled { b"01" } else { b"00" });
        HeaderValue::from_bytes(&text).expect("hexadecimal digits and dashes make a header value")
    }
}

/// Lower case alone, as the standard has it.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    data_encoding::HEXLOWER.decode_mut(digits, &mut bytes).ok()?;
    Some(bytes)
}

/// What the systems of a trace have noted along the way. `None`: there is nothing, or too much.
pub(super) fn state(headers: &HeaderMap) -> Option<String> {
    let mut state = String::new();
    for value in headers.get_all(TRACESTATE) {
        if !state.is_empty() {
            state.push(',');
        }
        state.push_str(value.to_str().ok()?);
        if state.len() > LONGEST_STATE {
            return None;
        }
    }
    let members = state.split(',').filter(|member| !member.trim().is_empty()).count();
    (1..=MOST_MEMBERS).contains(&members).then_some(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_place_is_read_as_the_standard_has_it_and_in_no_other_way() {
        let of = |value: &str| Place::of(&headers(&[(TRACEPARENT, value)]));
        let place = of(GOOD).expect("the example of the standard");
        assert_eq!(data_encoding::HEXLOWER.encode(&place.trace), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((data_encoding::HEXLOWER.encode(&place.span).as_str(), place.sampled), ("00f067aa0ba902b7", true));
        assert_eq!(place.value(), GOOD);
        assert_eq!(of(&GOOD.replace("-01", "-00")).map(|place| place.sampled), Some(false));
        for later in [
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert_eq!(of(later), Some(place), "{later}");
        }
        for wrong in [
            "",
            "00",
            &GOOD.to_uppercase(),
            &GOOD[..54],
            &format!("{GOOD}-more"),
            &format!("{GOOD}0"),
            &GOOD.replacen("00-", "ff-", 1),
            &GOOD.replacen("00-", "0g-", 1),
            &GOOD.replace("-01", "_01"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(Place::of(&headers(&[(TRACEPARENT, GOOD), (TRACEPARENT, GOOD)])), None, "two are none");
    }

    #[test]
    fn a_state_is_bounded() {
        let of = |values: &[&str]| {
            let lines: Vec<_> = values.iter().map(|value| (TRACESTATE, *value)).collect();
            state(&headers(&lines))
        };
        assert_eq!(of(&["a=1", "b=2"]).as_deref(), Some("a=1,b=2"));
        assert_eq!((of(&[]), of(&[""]), of(&[" , "])), (None, None, None));
        let many = |count: usize| vec!["a=1"; count].join(",");
        assert!(of(&[&many(32)]).is_some() && of(&[&many(33)]).is_none());
        let long = |length: usize| format!("a={}", "x".repeat(length - 2));
        assert!(of(&[&long(512)]).is_some() && of(&[&long(513)]).is_none());
    }
}
