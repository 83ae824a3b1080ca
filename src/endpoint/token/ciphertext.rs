//! What stands in `password`: a ciphertext in hex or base64, as clients write it and forms leave it (`+` as a blank). All of
//! it is the caller's own and no secret: what cannot be read is told from the rest by nothing but the answer to all.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use data_encoding::HEXLOWER_PERMISSIVE;

use super::key::LARGEST;

/// Padding is optional.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads it. `None`: it is neither.
pub(super) fn read(text: &[u8]) -> Option<Vec<u8>> {
    let dashed = text.chunks(3).all(|chunk| chunk.len() == 2 || chunk.len() == 3 && chunk[2] == b'-');
    let digits: Vec<u8> =
        if dashed { text.iter().copied().filter(|byte| *byte != b'-').collect() } else { text.to_vec() };
    // By shape first: hex is base64 as well, but no ciphertext in base64 is made of hex digits alone by chance.
    if digits.len().is_multiple_of(2) && digits.len() <= 2 * LARGEST && digits.iter().all(u8::is_ascii_hexdigit) {
        return HEXLOWER_PERMISSIVE.decode(&digits).ok();
    }
    // Forms turn a `+` that was not escaped into a blank; some encoders fold lines.
    let unfolded = text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n'));
    let mended: Vec<u8> = unfolded.map(|byte| if byte == b' ' { b'+' } else { byte }).collect();
    BASE64.decode(mended).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ciphertext_is_read_in_every_spelling() {
        // printf '\xfb\xef\xbe\x00' | base64, | xxd -p
        let expected = Some(vec![0xfb, 0xef, 0xbe, 0x00]);
        for spelling in ["fbefbe00", "FBEFBE00", "FB-EF-BE-00", "++++AA==", "++++AA", "    AA==", "++++\r\nAA=="] {
            assert_eq!(read(spelling.as_bytes()), expected, "{spelling}");
        }
        assert_eq!(read(b"0a"), Some(vec![10]));
    }

    #[test]
    fn what_is_neither_is_nothing() {
        for wrong in ["*", "a", "fb-ef", "____", "=", "FB--EF", "é"] {
            // `fb-ef` is five characters: two pairs and the dash between them.
            let expected = (wrong == "fb-ef").then(|| vec![0xfb, 0xef]);
            assert_eq!(read(wrong.as_bytes()), expected, "{wrong}");
        }
    }

    #[test]
    fn hex_is_told_from_base64_by_its_shape() {
        // 256 bytes: 512 digits of hex, 344 characters of base64.
        assert_eq!(read("ab".repeat(256).as_bytes()), Some(vec![0xab; 256]));
        assert_eq!(read("ab".repeat(255).as_bytes()).unwrap().len(), 255);
        assert_eq!(read("ab".repeat(512).as_bytes()).unwrap().len(), 512);
        assert_eq!(read("ab".repeat(514).as_bytes()).unwrap().len(), 771);
    }
}
