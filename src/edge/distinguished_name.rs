//! The subject of a certificate in one line that can be compared: RFC 4514, in the very spelling of `openssl x509 -noout
//! -subject -nameopt RFC2253`. What cannot be written so that nothing else reads the same is not written at all.

use std::fmt::Write as _;

use x509_parser::prelude::X509Name;
use x509_parser::x509::AttributeTypeAndValue;

/// The whole name, its last part first (RFC 4514 §2.1); `None` where a part has a type that is not listed here, or a
/// value that is no text.
pub(super) fn written(name: &X509Name<'_>) -> Option<String> {
    let mut text = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for (at, part) in parts.iter().rev().enumerate() {
        let attributes: Vec<_> = part.iter().collect();
        for (beside, attribute) in attributes.iter().rev().enumerate() {
            text.push_str(match (at, beside) {
                (0, 0) => "",
                (_, 0) => ",",
                (_, _) => "+",
            });
            text.push_str(keyword(attribute)?);
            text.push('=');
            escape(value(attribute)?, &mut text);
        }
    }
    Some(text)
}

/// The one common name. Of several, somebody else may take another than we do: then there is none.
pub(super) fn common_name<'a>(name: &X509Name<'a>) -> Option<&'a str> {
    let mut names = name.iter_common_name();
    match (names.next(), names.next()) {
        (Some(only), None) => value(only).filter(|text| !text.is_empty()),
        (_, _) => None,
    }
}

/// RFC 4514 §3, and beyond it those that openssl has a short name for.
fn keyword(attribute: &AttributeTypeAndValue<'_>) -> Option<&'static str> {
    Some(match attribute.attr_type().to_id_string().as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "street",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.42" => "GN",
        "2.5.4.97" => "organizationIdentifier",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return None,
    })
}

fn value<'a>(attribute: &AttributeTypeAndValue<'a>) -> Option<&'a str> {
    attribute.as_str().ok().filter(|text| !text.chars().any(char::is_control))
}

/// RFC 4514 §2.4; beyond ASCII every byte in hexadecimal, so that the line can stand in any file and log.
fn escape(value: &str, text: &mut String) {
    for (at, byte) in value.bytes().enumerate() {
        let edge = at == 0 || at + 1 == value.len();
        match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' ' if edge => text.push_str("\\ "),
            b'#' if at == 0 => text.push_str("\\#"),
            0x80.. => write!(text, "\\{byte:02X}").expect("a String takes everything"),
            _ => text.push(char::from(byte)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    use super::*;

    fn of(pem: &str) -> (Option<String>, Option<String>) {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        (written(certificate.subject()), common_name(certificate.subject()).map(str::to_owned))
    }

    /// The certificates and the lines are openssl's, see `tests/vectors/README.md`.
    #[test]
    fn a_subject_is_written_as_openssl_writes_it() {
        for (pem, expected, common_name) in [
            (
                include_str!("../../tests/vectors/mtls/subject-escaped.pem"),
                include_str!("../../tests/vectors/mtls/subject-escaped.txt"),
                Some(" #Andr\u{e9}<> "),
            ),
            (
                include_str!("../../tests/vectors/mtls/subject-two-names.pem"),
                include_str!("../../tests/vectors/mtls/subject-two-names.txt"),
                None,
            ),
            (
                include_str!("../../tests/vectors/mtls/subject-posing.pem"),
                include_str!("../../tests/vectors/mtls/subject-posing.txt"),
                Some("ops,O=acme"),
            ),
        ] {
            let expected = expected.trim_end_matches('\n').strip_prefix("subject=").unwrap();
            assert_eq!(of(pem), (Some(expected.to_owned()), common_name.map(str::to_owned)));
        }
    }

    #[test]
    fn what_cannot_be_written_in_one_way_is_not_written() {
        let unknown_type = include_str!("../../tests/vectors/mtls/subject-unknown-type.pem");
        assert_eq!(of(unknown_type), (None, Some("ops".to_owned())));
    }
}
