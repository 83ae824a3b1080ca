//! The PROXY protocol, versions 1 and 2 (`HAProxy`, specification of 2020-03-05): a balancer below HTTP says in the first
//! bytes of a connection whose it is. It is read only from networks that the operator names, where every connection must
//! begin with it, and not one byte more than it is taken: what follows belongs to TLS or HTTP. Elsewhere such bytes are
//! no request and are refused as such.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// What both ends of a connection are called, the caller's first.
pub type Ends = (SocketAddr, SocketAddr);

/// The longest header of version 1, its line break included (§2.1).
const LONGEST_LINE: usize = 107;
/// What a header of version 2 begins with (§2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The fixed part of version 2, which ends with the length of the rest.
const FIXED: usize = 16;
/// The most that is taken of the rest: addresses, and what senders add to them.
const LONGEST_REST: usize = 4096;
/// The shortest header of either version, `PROXY UNKNOWN` and a line break.
const SHORTEST: usize = 15;
/// The extension that holds a checksum of the whole header (§2.2.3).
const CRC32C: u8 = 0x03;

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a header, which goes on for at least so many bytes.
    Partial(usize),
    /// A whole header. `None`: whose connection it is was not said, the socket's own ends count.
    Whole(Option<Ends>),
}

/// What is wrong with the first bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(&'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

/// Reads a header off a connection, and nothing behind it. It may take as long as the sender likes: the caller bounds it.
pub async fn read(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Ends>> {
    let wrong = |malformed| io::Error::new(io::ErrorKind::InvalidData, malformed);
    let mut header = Vec::with_capacity(LONGEST_LINE);
    loop {
        match parse(&header).map_err(wrong)? {
            Parsed::Whole(ends) => return Ok(ends),
            Parsed::Partial(more) => {
                let (start, mut filled) = (header.len(), 0);
                header.resize(start + more, 0);
                while filled < more {
                    let read = socket.read(&mut header[start + filled..]).await?;
                    if read == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    filled += read;
                    // What cannot become a header any more is not waited for.
                    parse(&header[..start + filled]).map_err(wrong)?;
                }
            }
        }
    }
}

/// Reads a header that ends where `bytes` end, or the beginning of one.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    if agree(bytes, SIGNATURE) {
        return if bytes.len() < SIGNATURE.len() { Ok(missing(bytes, SHORTEST)) } else { binary(bytes) };
    }
    if agree(bytes, b"PROXY ") {
        return line(bytes);
    }
    Err(Malformed("the connection does not begin with a PROXY header"))
}

/// Whether one of the two begins with the other.
fn agree(bytes: &[u8], other: &[u8]) -> bool {
    bytes.iter().zip(other).all(|(one, other)| one == other)
}

/// What is there is the beginning of something of at least `length` bytes.
fn missing(bytes: &[u8], length: usize) -> Parsed {
    Parsed::Partial(length.saturating_sub(bytes.len()).max(1))
}

/// Version 1 (§2.1): one line of text, its parts one space apart.
fn line(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let Some(end) = memchr::memchr2(b'\r', b'\n', bytes) else {
        // A line break is two bytes, and none of them is there.
        return shorter(bytes, (bytes.len() + 2).max(SHORTEST));
    };
    if bytes[end] == b'\n' {
        return Err(Malformed("the line of the PROXY header does not end where it should"));
    }
    match bytes.get(end + 1) {
        None => return shorter(bytes, end + 2),
        Some(b'\n') if bytes.len() == end + 2 && bytes.len() <= LONGEST_LINE => {}
        Some(_) => return Err(Malformed("the line of the PROXY header does not end where it should")),
    }
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| Malformed("the PROXY header is not text"))?;
    let mut parts = text.split(' ').skip(1);
    let family = parts.next();
    if family == Some("UNKNOWN") {
        // Whatever follows is to be ignored.
        return Ok(Parsed::Whole(None));
    }
    let (Some(source), Some(destination), Some(source_port), Some(destination_port), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Malformed("the PROXY header does not have two addresses and two ports"));
    };
    let address = |text: &str| match family {
        Some("TCP4") => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        Some("TCP6") => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        Some(_) | None => None,
    };
    let end = |text, number| Some(SocketAddr::new(address(text)?, port(number)?));
    let ends = end(source, source_port).zip(end(destination, destination_port));
    ends.map(|ends| Parsed::Whole(Some(ends))).ok_or(Malformed("an address or a port of the PROXY header is none"))
}

/// A line that has not ended goes on to `length` bytes at least, if it may.
fn shorter(bytes: &[u8], length: usize) -> Result<Parsed, Malformed> {
    if length > LONGEST_LINE {
        return Err(Malformed("the line of the PROXY header does not end"));
    }
    Ok(missing(bytes, length))
}

/// A port in decimal digits, without a zero before them.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// Version 2 (§2.2): a fixed part, the addresses as the family has them, and extensions.
fn binary(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else { return Ok(missing(bytes, FIXED)) };
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > LONGEST_REST {
        return Err(Malformed("the PROXY header is longer than 4 KiB"));
    }
    let local = match fixed[12] {
        0x20 => true,
        0x21 => false,
        _ => return Err(Malformed("the PROXY header has a version or a command that is not known")),
    };
    let known = match fixed[13] {
        _ if local => 0,
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        0x31 => 216,
        _ => return Err(Malformed("the PROXY header is about something else than a connection")),
    };
    if length < known {
        return Err(Malformed("the PROXY header is too short for its addresses"));
    }
    if rest.len() < length {
        return Ok(missing(rest, length));
    }
    if rest.len() > length {
        return Err(Malformed("the PROXY header is longer than it says"));
    }
    if known == 0 {
        // The balancer's own word, on its own account or about a caller that it cannot name: the rest is to be ignored.
        return Ok(Parsed::Whole(None));
    }
    let (addresses, extensions) = rest.split_at(known);
    extended(bytes, extensions)?;
    Ok(Parsed::Whole(ends(addresses)))
}

/// The addresses and ports of a family that is known by its length; those of UNIX sockets are none of the network's.
fn ends(addresses: &[u8]) -> Option<Ends> {
    let port = |at: usize| Some(u16::from_be_bytes([*addresses.get(at)?, *addresses.get(at + 1)?]));
    let (source, destination, ports): (IpAddr, IpAddr, _) = match addresses.len() {
        12 => {
            let address = |at: usize| addresses[at..at + 4].first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets));
            (address(0)?.into(), address(4)?.into(), 8)
        }
        36 => {
            let address = |at: usize| addresses[at..at + 16].first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets));
            (address(0)?.into(), address(16)?.into(), 32)
        }
        _ => return None,
    };
    Some((SocketAddr::new(source, port(ports)?), SocketAddr::new(destination, port(ports + 2)?)))
}

/// Walks the extensions, each a type, a length and a value, which must end where the header ends. A checksum among them
/// must be right.
fn extended(header: &[u8], mut extensions: &[u8]) -> Result<(), Malformed> {
    while let [kind, high, low, rest @ ..] = extensions {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((value, next)) = rest.split_at_checked(length) else {
            return Err(Malformed("an extension of the PROXY header is cut off"));
        };
        if *kind == CRC32C {
            let said = value.try_into().map(u32::from_be_bytes).ok();
            let at = header.len() - rest.len();
            let blank = (at..at + length).map(|_| 0);
            let bytes = header[..at].iter().copied().chain(blank).chain(next.iter().copied());
            if said != Some(crc32c(bytes)) {
                return Err(Malformed("the checksum of the PROXY header is wrong"));
            }
        }
        extensions = next;
    }
    if extensions.is_empty() { Ok(()) } else { Err(Malformed("an extension of the PROXY header is cut off")) }
}

/// CRC-32C (RFC 9260 Appendix A). A few hundred bytes once a connection: no table is worth it.
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(source: &str, destination: &str) -> Parsed {
        Parsed::Whole(Some((source.parse().unwrap(), destination.parse().unwrap())))
    }

    #[test]
    fn a_line_is_read_as_the_specification_has_it() {
        for (line, source, destination) in [
            ("TCP4 255.255.255.255 255.255.255.255 65535 65535", "255.255.255.255:65535", "255.255.255.255:65535"),
            ("TCP4 192.0.2.1 198.51.100.7 0 443", "192.0.2.1:0", "198.51.100.7:443"),
            ("TCP6 2001:db8::1 ::1 1 2", "[2001:db8::1]:1", "[::1]:2"),
            ("TCP6 ::ffff:192.0.2.1 ::1 1 2", "[::ffff:192.0.2.1]:1", "[::1]:2"),
            (
                "TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
            ),
        ] {
            assert_eq!(parse(format!("PROXY {line}\r\n").as_bytes()), Ok(whole(source, destination)), "{line}");
        }
        for line in ["UNKNOWN", "UNKNOWN ", "UNKNOWN 192.0.2.1 nonsense", &format!("UNKNOWN {}", "x".repeat(91))] {
            assert_eq!(parse(format!("PROXY {line}\r\n").as_bytes()), Ok(Parsed::Whole(None)), "{line}");
        }
    }

    #[test]
    fn a_line_that_could_be_read_otherwise_is_none() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
        assert_eq!(long.len(), LONGEST_LINE + 1);
        for line in [
            "PROXY TCP4 192.0.2.1 198.51.100.7 1 2\n\r",
            "PROXY TCP4 192.0.2.1 198.51.100.7 1 2\r\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 1 2\r\nG",
            "PROXY  TCP4 192.0.2.1 198.51.100.7 1 2\r\n",
            "PROXY TCP4 192.0.2.1  198.51.100.7 1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 1 2 \r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 1 2 3\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 1\r\n",
            "PROXY TCP4 192.0.2.01 198.51.100.7 1 2\r\n",
            "PROXY TCP4 192.0.2 198.51.100.7 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n",
            "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 65536 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 01 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7  2\r\n",
            "PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n",
            "PROXY tcp4 192.0.2.1 198.51.100.7 1 2\r\n",
            "PROXY UNKNOWNX\r\n",
            "PROXY \u{e9}\r\n\u{e9}",
            "proxy TCP4 192.0.2.1 198.51.100.7 1 2\r\n",
            "GET / HTTP/1.1\r\n",
            &long,
        ] {
            assert!(matches!(parse(line.as_bytes()), Err(Malformed(_))), "{line:?}");
        }
    }

    /// A header of version 2.
    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    const FOUR: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 7, 0x12, 0x34, 1, 187];

    fn six() -> Vec<u8> {
        let [source, destination] = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse::<Ipv6Addr>().unwrap());
        [&source.octets()[..], &destination.octets(), &[0x12, 0x34, 1, 187]].concat()
    }

    #[test]
    fn a_binary_header_is_read_as_the_specification_has_it() {
        let four = || whole("192.0.2.1:4660", "198.51.100.7:443");
        for (what, bytes, expected) in [
            ("IPv4", header(0x21, 0x11, &FOUR), four()),
            ("IPv4 with extensions", header(0x21, 0x11, &[&FOUR[..], &[4, 0, 2, 1, 1, 0xee, 0, 0]].concat()), four()),
            ("IPv6", header(0x21, 0x21, &six()), whole("[2001:db8::1]:4660", "[2001:db8::2]:443")),
            ("its own", header(0x20, 0x11, &FOUR), Parsed::Whole(None)),
            ("its own, of any family", header(0x20, 0xff, &[1, 2, 3]), Parsed::Whole(None)),
            ("unspecified", header(0x21, 0, &[]), Parsed::Whole(None)),
            ("UNIX", header(0x21, 0x31, &[7; 216]), Parsed::Whole(None)),
        ] {
            assert_eq!(parse(&bytes), Ok(expected), "{what}");
        }
    }

    #[test]
    fn a_binary_header_that_could_be_read_otherwise_is_none() {
        let more = |extensions: &[u8]| header(0x21, 0x11, &[&FOUR[..], extensions].concat());
        for (what, bytes) in [
            ("version 1", header(0x11, 0x11, &FOUR)),
            ("version 3", header(0x31, 0x11, &FOUR)),
            ("another command", header(0x22, 0x11, &FOUR)),
            ("datagrams", header(0x21, 0x12, &FOUR)),
            ("a family without a transport", header(0x21, 0x10, &FOUR)),
            ("another family", header(0x21, 0x41, &[7; 216])),
            ("too short for IPv4", header(0x21, 0x11, &FOUR[..11])),
            ("too short for IPv6", header(0x21, 0x21, &FOUR)),
            ("too short for UNIX", header(0x21, 0x31, &[7; 215])),
            ("more than 4 KiB", header(0x21, 0x11, &[0; LONGEST_REST + 1])),
            ("half an extension", more(&[4, 0])),
            ("an extension that is cut off", more(&[4, 0, 3, 1, 1])),
            ("a checksum that is none", more(&[3, 0, 3, 1, 1, 1])),
            ("something behind it", [&header(0x21, 0x11, &FOUR)[..], b"G"].concat()),
        ] {
            assert!(matches!(parse(&bytes), Err(Malformed(_))), "{what}");
        }
    }

    #[test]
    fn a_checksum_must_be_right() {
        // The check value of the catalogue of CRC algorithms.
        assert_eq!(crc32c(b"123456789".iter().copied()), 0xe306_9283);
        let with = |sum: u32, flip: u8| {
            let extensions = [&[4, 0, 1, flip, 3, 0, 4][..], &sum.to_be_bytes(), &[4, 0, 0]].concat();
            header(0x21, 0x11, &[&FOUR[..], &extensions].concat())
        };
        let sum = crc32c(with(0, 1).into_iter());
        assert!(parse(&with(sum, 1)).is_ok());
        assert!(parse(&with(sum, 2)).is_err(), "something else was altered");
        assert!(parse(&with(sum ^ 1, 1)).is_err());
    }

    #[test]
    fn never_more_is_asked_for_than_the_header_has() {
        for whole in [
            b"PROXY UNKNOWN\r\n".to_vec(),
            b"PROXY UNKNOWN x\r\n".to_vec(),
            b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n".to_vec(),
            b"PROXY TCP6 :: :: 1 1\r\n".to_vec(),
            header(0x21, 0x11, &FOUR),
            header(0x21, 0x21, &six()),
            header(0x20, 0, &[]),
        ] {
            for length in 0..whole.len() {
                let Ok(Parsed::Partial(more)) = parse(&whole[..length]) else { panic!("{length} of {whole:?}") };
                assert!((1..=whole.len() - length).contains(&more), "{length} of {whole:?}: {more}");
            }
            assert!(matches!(parse(&whole), Ok(Parsed::Whole(_))));
        }
    }

    #[test]
    fn a_header_that_will_be_too_long_is_refused_before_it_has_come() {
        let line = |length: usize| [&b"PROXY UNKNOWN "[..], &vec![b'x'; length - 16], b"\r\n"].concat();
        let (longest, longer) = (line(LONGEST_LINE), line(LONGEST_LINE + 1));
        for length in 0..LONGEST_LINE {
            assert!(matches!(parse(&longest[..length]), Ok(Parsed::Partial(_))), "{length}");
        }
        assert_eq!(parse(&longest), Ok(Parsed::Whole(None)));
        assert!(parse(&longer[..LONGEST_LINE - 1]).is_err(), "no room for a line break");
        assert!(parse(&longer[..LONGEST_LINE]).is_err(), "no room for the second half of one");
        assert!(parse(&line(2 * LONGEST_LINE)[..LONGEST_LINE + 40]).is_err());

        let binary = |length: usize| header(0x20, 0, &vec![0; length]);
        assert!(matches!(parse(&binary(LONGEST_REST)[..FIXED]), Ok(Parsed::Partial(LONGEST_REST))));
        assert!(parse(&binary(LONGEST_REST + 1)[..FIXED]).is_err());
        assert!(parse(&binary(LONGEST_REST + 2)[..FIXED]).is_err());
    }

    #[tokio::test]
    async fn what_stands_behind_a_header_is_left_in_the_socket() {
        for header in [b"PROXY TCP4 192.0.2.1 198.51.100.7 4660 443\r\n".to_vec(), header(0x21, 0x11, &FOUR)] {
            let bytes = [&header[..], b"\x16\x03\x01"].concat();
            let mut socket = &bytes[..];
            let ends = read(&mut socket).await.expect("a header").expect("addresses");
            assert_eq!(ends, ("192.0.2.1:4660".parse().unwrap(), "198.51.100.7:443".parse().unwrap()));
            assert_eq!(socket, b"\x16\x03\x01");
            assert_eq!(read(&mut &header[..20]).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
        let refused = read(&mut &b"GET / HTTP/1.1\r\n\r\n"[..]).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn a_header_may_come_in_the_smallest_pieces() {
        let line = b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n".to_vec();
        for text in [line, header(0x21, 0x11, &FOUR)] {
            let Parsed::Whole(expected) = parse(&text).expect("a header") else { panic!("it is whole") };
            // One byte at a time is all that there is room for.
            let (mut sender, mut receiver) = tokio::io::duplex(1);
            let sending = tokio::io::AsyncWriteExt::write_all(&mut sender, &text);
            let (ends, _) = tokio::join!(read(&mut receiver), sending);
            assert_eq!(ends.unwrap(), expected);
        }
    }
}
