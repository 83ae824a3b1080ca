//! Answers as an upstream may send them: in any pieces, damaged in any place, and beside hyper's client.

use std::collections::VecDeque;

use http_body_util::{BodyExt as _, Empty};
use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;

use super::*;

/// A socket that says its pieces one by one, and then ends.
struct Script(VecDeque<Vec<u8>>);

impl AsyncRead for Script {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.0.pop_front() {
            let rest = piece.split_off(piece.len().min(room.remaining()));
            room.put_slice(&piece);
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// What became of an answer, and of the connection behind it.
#[derive(Debug, PartialEq)]
struct Outcome {
    head: Result<(u16, HeaderMap), NoHead>,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
    broken: bool,
    reusable: bool,
}

fn read(pieces: impl IntoIterator<Item = Vec<u8>>, to_head: bool) -> Outcome {
    let pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
    let mut connection = Connection::new(Script(pieces));
    let mut context = Context::from_waker(Waker::noop());
    let (mut body, mut trailers, mut broken) = (Vec::new(), None, false);
    let Poll::Ready(head) = connection.poll_head(
        &mut context,
        if to_head { Expected::Head } else { Expected::Whole },
        &mut HeaderMap::new(),
    ) else {
        unreachable!()
    };
    let head = head.map(|mut head| {
        while let Poll::Ready(Some(frame)) = connection.poll_body(&mut context, &mut head.decoder) {
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) => body.extend_from_slice(&data),
                Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
                Err(_) => {
                    broken = true;
                    break;
                }
            }
        }
        (head.status.as_u16(), head.fields)
    });
    let reusable = head.is_ok() && !broken && connection.is_reusable();
    Outcome { head, body, trailers, broken, reusable }
}

/// The same in one piece, in two at every place, and byte by byte.
fn read_in_all_pieces(answer: &[u8], to_head: bool) -> Outcome {
    let whole = read([answer.to_vec()], to_head);
    for (first, second) in (0..=answer.len()).map(|place| answer.split_at(place)) {
        let outcome = read([first.to_vec(), second.to_vec()], to_head);
        assert_eq!(untold(outcome, &whole), whole, "split at {} of {answer:?}", first.len());
    }
    let bytes = read(answer.iter().map(|byte| vec![*byte]), to_head);
    assert_eq!(untold(bytes, &whole), whole, "{answer:?}");
    whole
}

/// Bytes behind the answer may not have arrived yet: then a connection still looks reusable, until it is asked.
fn untold(outcome: Outcome, whole: &Outcome) -> Outcome {
    Outcome { reusable: whole.reusable, ..outcome }
}

/// Answers that every reader takes in the same way; the last says whether the connection may be used again.
const GOOD: [(&str, bool); 14] = [
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: a\r\nX-A: b\r\n\r\nhello", true),
    ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
    ("HTTP/1.1 200 Fine\r\ncontent-length:5 \r\nX-Empty:\r\n\r\nhello", true),
    ("HTTP/1.1 204 No Content\r\nETag: \"x\"\r\n\r\n", true),
    ("HTTP/1.1 304 Not Modified\r\nContent-Length: 44\r\n\r\n", true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0A;x=\"y\"\r\n, world...\r\n0\r\n\r\n", true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1 \r\nx\r\n000\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n", true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true),
    ("HTTP/1.1 200 OK\r\nConnection: X-A, Close\r\nContent-Length: 2\r\n\r\nok", false),
    ("HTTP/1.1 200 OK\r\nX-A: a\r\n\r\nuntil the end", false),
    ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
    ("HTTP/1.0 200 OK\r\n\r\nok", false),
    (
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
        true,
    ),
    ("HTTP/1.1 404 Not Found\nContent-Length: 2\nX-\u{21}: \u{e9}\n\nno", true),
];

#[test]
fn a_good_answer_is_read_alike_in_whatever_pieces_it_comes() {
    for (answer, reusable) in GOOD {
        let outcome = read_in_all_pieces(answer.as_bytes(), false);
        assert!(outcome.head.is_ok() && !outcome.broken && outcome.reusable == reusable, "{answer}: {outcome:?}");
    }
}

#[test]
fn a_large_answer_is_read_whole() {
    let body: Vec<u8> = (0..300_000_u32).flat_map(u32::to_be_bytes).collect();
    let chunked: Vec<u8> = body
        .chunks(9999)
        .flat_map(|data| [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat())
        .collect();
    for answer in [
        [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat(),
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &chunked[..], b"0\r\n\r\n"].concat(),
        [b"HTTP/1.1 200 OK\r\n\r\n", &body[..]].concat(),
    ] {
        for most in [1000, 40_000, answer.len()] {
            let outcome = read(answer.chunks(most).map(<[u8]>::to_vec), false);
            assert!(outcome.body == body && !outcome.broken);
        }
    }
}

#[test]
fn hyper_reads_a_good_answer_in_the_same_way() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (answer, _) in GOOD {
        let ours = read([answer.as_bytes().to_vec()], false);
        let theirs = runtime.block_on(async {
            let (near, mut far) = tokio::io::duplex(1 << 16);
            let io = hyper_util::rt::TokioIo::new(near);
            let (mut sender, conversation) = hyper::client::conn::http1::handshake(io).await.unwrap();
            let request = http::Request::get("/").header("host", "a").body(Empty::<Bytes>::new()).unwrap();
            let exchange = async move {
                let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
                let body = body.collect().await.unwrap();
                (parts, body.trailers().cloned(), body.to_bytes())
            };
            let upstream = async move {
                far.read_buf(&mut BytesMut::new()).await.unwrap();
                far.write_all(answer.as_bytes()).await.unwrap();
            };
            tokio::join!(exchange, upstream, conversation).0
        });
        let (parts, trailers, body) = theirs;
        assert_eq!(ours.head, Ok((parts.status.as_u16(), parts.headers)), "{answer}");
        assert_eq!((ours.body, ours.trailers), (body.to_vec(), trailers), "{answer}");
    }
}

#[test]
fn connection_is_only_kept_for_what_it_names() {
    for (said, kept) in [("keep-alive", false), ("close", false), ("X-A", true), ("close, X-A", true)] {
        let answer = format!("HTTP/1.1 204 No Content\r\nConnection: {said}\r\n\r\n");
        let Ok((_, fields)) = read([answer.into_bytes()], false).head else { panic!("{said}") };
        assert_eq!(fields.contains_key("connection"), kept, "{said}");
    }
}

#[test]
fn an_answer_to_head_has_no_body_whatever_it_says() {
    for head in ["Content-Length: 44", "Transfer-Encoding: chunked", "X-A: a"] {
        let outcome = read_in_all_pieces(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes(), true);
        assert!(outcome.body.is_empty() && !outcome.broken && outcome.reusable, "{head}: {outcome:?}");
    }
}

#[test]
fn what_follows_an_answer_ends_its_connection() {
    for (answer, _) in GOOD.iter().filter(|(_, reusable)| *reusable) {
        let outcome = read([format!("{answer}HTTP/1.1 200 OK\r\n").into_bytes()], false);
        assert!(outcome.head.is_ok() && !outcome.broken && !outcome.reusable, "{answer}");
    }
}

#[test]
fn what_is_no_answer_is_none_in_whatever_pieces_it_comes() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5, 5",
        "HTTP/1.1 200 OK\r\nContent-Length: +5",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
        "HTTP/1.1 200 OK\r\nX-A: a\r\n b",
        "HTTP/1.1 200 OK\r\nX-A : a",
        "HTTP/1.1 200 OK\r\nX-A: a\rb",
        "HTTP/1.1 200 OK\r\nX-A: a\0b",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x",
        "HTTP/1.1 099 Low",
        "HTTP/2.0 200 OK",
        "HTTP/1.1 2000 OK",
        "ICY 200 OK",
    ] {
        let outcome = read_in_all_pieces(format!("{head}\r\n\r\n").as_bytes(), false);
        assert!(matches!(outcome.head, Err(NoHead::Malformed(_))), "{head}: {outcome:?}");
    }
}

#[test]
fn heads_have_bounds() {
    let large = |length: usize| format!("HTTP/1.1 204 OK\r\nX-A: {}\r\n\r\n", "a".repeat(length - 26)).into_bytes();
    let many = |count: usize| format!("HTTP/1.1 204 OK\r\n{}\r\n", "X-A: b\r\n".repeat(count)).into_bytes();
    for (answer, good) in
        [(large(read::HEAD), true), (large(read::HEAD + 1), false), (many(100), true), (many(101), false)]
    {
        for most in [1000, answer.len()] {
            assert_eq!(read(answer.chunks(most).map(<[u8]>::to_vec), false).head.is_ok(), good);
        }
    }
}

#[test]
fn a_malformed_body_is_seen_to_be_one_in_whatever_pieces_it_comes() {
    let extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(4096));
    let trailer = format!("0\r\nX-A: {}\r\n\r\n", "x".repeat(17_000));
    let trailers = format!("0\r\n{}\r\n", "X-A: b\r\n".repeat(101));
    for body in [
        "5\r\nhello\r\n",
        "5\r\nhello\r\n0\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        "0\r\nno colon\r\n\r\n",
        "0\r\nX-A: a\n\r\n\r\n",
        "0\r\nX-A: a\r\n b\r\n\r\n",
        &extension,
        &trailer,
        &trailers,
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}").into_bytes();
        let outcome = if answer.len() < 1000 { read_in_all_pieces(&answer, false) } else { read([answer], false) };
        assert!(outcome.broken && !outcome.reusable, "{body:?}: {outcome:?}");
    }
    let outcome = read_in_all_pieces(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", false);
    assert!(outcome.broken);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// A byte more, less or other: no panic, and the same in whatever pieces it comes.
    #[test]
    fn a_damaged_answer_is_read_alike_in_whatever_pieces_it_comes(
        which in 0..GOOD.len(),
        place in any::<prop::sample::Index>(),
        with in prop_oneof![Just(None), any::<u8>().prop_map(Some), prop::sample::select(&b"\r\n :;0\t"[..]).prop_map(Some)],
        instead in any::<bool>(),
        to_head in any::<bool>(),
    ) {
        let mut answer = GOOD[which].0.as_bytes().to_vec();
        let place = place.index(answer.len());
        answer.splice(place..place + usize::from(instead), with);
        read_in_all_pieces(&answer, to_head);
    }
}
