//! Base64 as RFC 4648 §4 writes it, padded and without stray bits, read by the widest instructions that there are: tokens
//! of some hundred characters are read for every request.

#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
mod wide {
    use std::sync::LazyLock;

    use base64::engine::Simd;
    use base64::engine::general_purpose::PAD;

    /// As strict as `general_purpose::STANDARD`, which reads what is left of a block.
    pub(super) static STRICT: LazyLock<Simd> = LazyLock::new(|| Simd::standard(PAD));
}

#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))))]
mod wide {
    pub(super) static STRICT: &base64::engine::GeneralPurpose = &base64::engine::general_purpose::STANDARD;
}

use base64::Engine;

/// The engine that refuses what is not canonical.
pub(super) fn engine() -> &'static impl Engine {
    &*wide::STRICT
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is changed, cut or put behind it, one character at least: both engines read the same or refuse.
        #[test]
        fn it_takes_what_the_standard_engine_takes(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            (place, other) in (0_usize..300, any::<u8>()),
            more in "[A-Za-z0-9+/=_-]{0,3}",
        ) {
            let whole = STANDARD.encode(&bytes).into_bytes();
            let read = engine().decode(&whole);
            prop_assert_eq!(read.as_ref(), Ok(&bytes));
            let mut changed = whole.clone();
            if let Some(byte) = changed.get_mut(place) {
                *byte = other;
            }
            let longer = [&whole, more.as_bytes()].concat();
            let cut = &whole[..whole.len().saturating_sub(place % 5)];
            for text in [&changed[..], &longer[..], cut] {
                prop_assert_eq!(engine().decode(text).ok(), STANDARD.decode(text).ok());
            }
        }
    }
}
