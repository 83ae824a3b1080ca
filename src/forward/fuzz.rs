//! What a fuzzer holds the readers of what upstreams say to; those of answers stand in `http1/fuzz.rs`.

pub(crate) use super::http1::fuzz::{answer, chunks};
use super::websocket::Frames;

/// The first byte says in which pieces the rest comes, which is what an upstream says in a tunnel: a frame begins where a
/// plain reader finds that one does, however the bytes are cut.
pub(crate) fn frames(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else { return };
    let (begins, closed) = plain_frames(bytes);
    let mut slowly = Frames::default();
    assert!(slowly.between() && !slowly.is_closed());
    for (place, byte) in bytes.iter().enumerate() {
        let next = begins.iter().find(|begin| **begin >= place);
        let ahead = next.map_or(bytes.len(), |begin| *begin) - place;
        assert_eq!(slowly.clone().pass_to_end(&bytes[place..]), ahead, "at {place}");
        slowly.pass(&[*byte]);
        assert_eq!(slowly.between(), begins.contains(&(place + 1)), "behind {place}");
        assert_eq!(slowly.is_closed(), closed.is_some_and(|at| place >= at), "at {place}");
    }
    let mut quickly = Frames::default();
    bytes.chunks(usize::from(*first) + 1).for_each(|piece| quickly.pass(piece));
    assert_eq!(quickly, slowly);
}

/// Where frames begin, the one that is to come included; and where the head of the first Close frame ends.
fn plain_frames(bytes: &[u8]) -> (Vec<usize>, Option<usize>) {
    let (mut at, mut begins, mut closed) = (0, vec![0], None);
    while let [first, second, rest @ ..] = &bytes[at..] {
        let extended = match second & 127 {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some(digits) = rest.get(..extended) else { break };
        let said = digits.iter().fold(0_u64, |number, digit| number << 8 | u64::from(*digit));
        let length = if extended == 0 { u64::from(second & 127) } else { said };
        let head = 2 + extended + if *second < 128 { 0 } else { 4 };
        if first & 15 == 8 && at + head <= bytes.len() {
            closed = closed.or(Some(at + head - 1));
        }
        let left = (bytes.len() - at).checked_sub(head).map(|left| left as u64);
        let Some(length) = left.filter(|left| *left >= length).and_then(|_| usize::try_from(length).ok()) else {
            break;
        };
        at += head + length;
        begins.push(at);
    }
    (begins, closed)
}
