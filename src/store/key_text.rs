//! How a key of our own making reads, and how one is told from a vendor's: `vgl_`, 52 characters of chance, `_`, and
//! seven of a checksum. The checksum finds slips of the hand before anything is looked up; it proves nothing.

use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

use crate::secret::Secret;

const RANDOM_LEN: usize = 32;
const RANDOM_CHARS: usize = 52;
const CHECKSUM_CHARS: usize = 7;

/// What a key begins with, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The letters before the first `_`.
    pub text: &'static str,
    /// What a key that begins so is.
    pub names: &'static str,
}

impl Prefix {
    /// A license key.
    pub const LICENSE_KEY: Self = Self { text: "vgl", names: "license key" };
    /// The secret that goes with an API identifier.
    pub const API_SECRET: Self = Self { text: "vgs", names: "secret of an API client" };
    /// The key of a user.
    pub const USER_KEY: Self = Self { text: "vgu", names: "user key" };
    /// A bearer token.
    pub const BEARER_TOKEN: Self = Self { text: "vgb", names: "bearer token" };
    /// The secret of an app.
    pub const APP_SECRET: Self = Self { text: "vga", names: "secret of an app" };
    /// The token of a camera or of a group of cameras.
    pub const SHARE_TOKEN: Self = Self { text: "vgt", names: "token of a camera or group" };
}

/// Every prefix, each with what it is for.
pub const PREFIXES: [Prefix; 6] = [
    Prefix::LICENSE_KEY,
    Prefix::API_SECRET,
    Prefix::USER_KEY,
    Prefix::BEARER_TOKEN,
    Prefix::APP_SECRET,
    Prefix::SHARE_TOKEN,
];

/// Whose making a text is, by its look alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Not one of ours: a vendor's key, or anything else.
    Foreign,
    /// As one of ours reads.
    Ours,
    /// Begins as one of ours and cannot be one.
    Mistyped,
}

/// Makes a new key from the operating system's randomness.
///
/// # Panics
///
/// Where the operating system has none: no key made there could be kept secret.
pub fn make(prefix: Prefix) -> Secret {
    let mut random = Zeroizing::new([0; RANDOM_LEN]);
    getrandom::fill(random.as_mut_slice()).expect("the operating system has randomness once it runs programs");
    write(prefix, &random)
}

fn write(prefix: Prefix, random: &[u8; RANDOM_LEN]) -> Secret {
    let random_at = prefix.text.len() + 1;
    let checksum_at = random_at + RANDOM_CHARS + 1;
    // At its full length from the start: growing would leave a part of the key behind in the old memory.
    let mut text = vec![b'_'; checksum_at + CHECKSUM_CHARS];
    text[..prefix.text.len()].copy_from_slice(prefix.text.as_bytes());
    BASE32_NOPAD.encode_mut(random, &mut text[random_at..checksum_at - 1]);
    text[random_at..checksum_at - 1].make_ascii_lowercase();
    let checksum = checksum(&text[..checksum_at - 1]);
    text[checksum_at..].copy_from_slice(&checksum);
    Secret::new(text)
}

/// Tells a key of ours from a vendor's, and a mistyped one from both. Allocates nothing.
pub fn shape(text: &[u8]) -> Shape {
    let Some(rest) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix.text.as_bytes())?.strip_prefix(b"_"))
    else {
        return Shape::Foreign;
    };
    if rest.len() != RANDOM_CHARS + 1 + CHECKSUM_CHARS {
        return Shape::Mistyped;
    }
    let (random, end) = rest.split_at(RANDOM_CHARS);
    let before = &text[..text.len() - end.len()];
    // 52 characters hold 260 bits: the last one brings a single bit of the 256, and is `a` or `q`.
    let ends_well = random.ends_with(b"a") || random.ends_with(b"q");
    let alphabet_holds = random.iter().all(|c| matches!(c, b'a'..=b'z' | b'2'..=b'7'));
    let is_whole = end[0] == b'_' && end[1..] == checksum(before);
    if ends_well && alphabet_holds && is_whole { Shape::Ours } else { Shape::Mistyped }
}

fn checksum(text: &[u8]) -> [u8; CHECKSUM_CHARS] {
    let mut chars = [0; CHECKSUM_CHARS];
    BASE32_NOPAD.encode_mut(&crc32fast::hash(text).to_be_bytes(), &mut chars);
    chars.make_ascii_lowercase();
    chars
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // Made with python, with r = bytes(range(32)) and r = b"\xff" * 32:
    //   b32 = lambda b: base64.b32encode(b).decode().lower().rstrip("=")
    //   t = "vgl_" + b32(r); t + "_" + b32(struct.pack(">I", zlib.crc32(t.encode())))
    const COUNTING: &str = "vgl_aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq_nskow7q";
    const ONES: &str = "vgt_777777777777777777777777777777777777777777777777777q_bapl4dy";

    #[test]
    fn a_key_reads_as_other_tools_write_it() {
        let counting = std::array::from_fn(|at| u8::try_from(at).unwrap());
        assert_eq!(write(Prefix::LICENSE_KEY, &counting).expose(), COUNTING.as_bytes());
        assert_eq!(write(Prefix::SHARE_TOKEN, &[0xff; 32]).expose(), ONES.as_bytes());
        assert_eq!((shape(COUNTING.as_bytes()), shape(ONES.as_bytes())), (Shape::Ours, Shape::Ours));
    }

    #[test]
    fn what_we_make_is_ours_and_never_the_same() {
        for prefix in PREFIXES {
            let (one, other) = (make(prefix), make(prefix));
            assert!(one.expose().starts_with(prefix.text.as_bytes()) && one.expose().len() == 64, "{prefix:?}");
            assert_eq!(shape(one.expose()), Shape::Ours, "{prefix:?}");
            assert!(!one.equals(other.expose()), "{prefix:?}");
        }
    }

    #[test]
    fn a_vendors_key_is_foreign() {
        for text in [
            "",
            "v3.X9tKpuXq0btatj",
            "vgl",
            "vgl-1234",
            "vgx_aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq_nskow7q",
            "VGL_aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq_nskow7q",
            " vgl_aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq_nskow7q",
        ] {
            assert_eq!(shape(text.as_bytes()), Shape::Foreign, "{text}");
        }
    }

    #[test]
    fn what_begins_as_ours_and_is_not_is_mistyped() {
        let upper = format!("vgl_{}", COUNTING[4..].to_ascii_uppercase());
        for text in [
            "vgl_",
            "vgb_v3.X9tKpuXq0btatj",
            &COUNTING[..63],
            &format!("{COUNTING}a"),
            &upper,
            // Another prefix, two letters swapped, a separator lost: what the checksum is for.
            "vgs_aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq_nskow7q",
            "vgl_aaaqaeyeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq_nskow7q",
            "vgl_aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypqanskow7q",
            // With a checksum that fits (by the python above), yet not in our alphabet, and with a bit that is none.
            "vgl_aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dy1q_qx3jkoq",
            "vgl_aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypb_5avkvia",
        ] {
            assert_eq!(shape(text.as_bytes()), Shape::Mistyped, "{text}");
        }
    }

    #[test]
    fn no_prefix_begins_another() {
        for (at, one) in PREFIXES.iter().enumerate() {
            assert!(PREFIXES[..at].iter().all(|other| other.text != one.text && other.names != one.names), "{one:?}");
            assert_eq!(one.text.len(), 3, "{one:?}");
        }
    }

    proptest! {
        #[test]
        fn one_wrong_character_is_found(random: [u8; 32], at in 4_usize..64, wrong: u8) {
            let mut text = write(Prefix::BEARER_TOKEN, &random).expose().to_vec();
            prop_assume!(text[at] != wrong);
            text[at] = wrong;
            prop_assert_eq!(shape(&text), Shape::Mistyped);
        }

        #[test]
        fn garbage_behind_our_prefix_is_mistyped(garbage: Vec<u8>, which in 0..PREFIXES.len()) {
            let text = [PREFIXES[which].text.as_bytes(), b"_", &garbage].concat();
            prop_assert_eq!(shape(&text), Shape::Mistyped);
        }
    }
}
