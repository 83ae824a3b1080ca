//! What holds for every byte of a text: many are looked at in one step, without a branch for each.

/// How many are looked at at once.
const BLOCK: usize = 16;

/// Whether this holds for all of them. It is asked of each, also behind one for which it does not hold; written without
/// lazy operators, it becomes a few instructions for a block.
#[inline]
pub fn all(bytes: &[u8], own: impl Fn(u8) -> bool) -> bool {
    let each = |bytes: &[u8]| bytes.iter().fold(true, |all, byte| all & own(*byte));
    match bytes.last_chunk::<BLOCK>() {
        // Whole blocks, and then the last one, which looks at some of them once more: nothing is left over.
        Some(last) => each(&bytes[..bytes.len() / BLOCK * BLOCK]) & each(last),
        None => bytes.iter().all(|byte| own(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_odd_byte_is_found_wherever_it_stands() {
        for length in 0..70 {
            let mut text = vec![b'a'; length];
            assert!(all(&text, |byte| byte == b'a'), "{length}");
            for place in 0..length {
                text[place] = b'b';
                assert!(!all(&text, |byte| byte == b'a'), "{place} of {length}");
                text[place] = b'a';
            }
        }
    }
}
