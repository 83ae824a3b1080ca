//! Which endpoint gets a request: pure choices among those that may get one, each with its share. A share of 0 is none.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};

use sha2::{Digest, Sha256};

/// So many parts has the share of an endpoint of weight 1.
pub(super) const WHOLE: u32 = 1000;

/// The turns that endpoints take, one worker's: smooth weighted round robin, as nginx has it. Each candidate gains its
/// share, and the one that has most loses what all have gained, so that heavy ones are not served in bursts.
#[derive(Debug)]
pub(super) struct Turns(RefCell<Box<[i64]>>);

impl Turns {
    /// For so many endpoints.
    pub(super) fn new(endpoints: usize) -> Self {
        Self(RefCell::new(vec![0; endpoints].into()))
    }

    /// Whose turn it is.
    pub(super) fn next(&self, shares: &[u32]) -> Option<usize> {
        let mut gained = self.0.borrow_mut();
        let (mut all, mut best) = (0, None::<usize>);
        for (at, share) in shares.iter().enumerate().filter(|(_, share)| **share > 0) {
            gained[at] += i64::from(*share);
            all += i64::from(*share);
            if best.is_none_or(|best| gained[at] > gained[best]) {
                best = Some(at);
            }
        }
        gained[best?] -= all;
        best
    }
}

/// Chance, good enough to choose by; one worker's.
#[derive(Debug)]
pub(super) struct Chance(Cell<u64>);

impl Chance {
    pub(super) fn new() -> Self {
        Self(Cell::new(RandomState::new().hash_one(0)))
    }

    /// A number below `bound`, which is not 0.
    fn below(&self, bound: usize) -> usize {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let wide = u128::from(mix(self.0.get())) * bound as u128;
        usize::try_from(wide >> 64).expect("it is below a usize")
    }
}

/// Of two chosen at random, the one with fewer requests under way for its share.
pub(super) fn least(shares: &[u32], under_way: impl Fn(usize) -> u32, chance: &Chance) -> Option<usize> {
    let candidates = shares.iter().filter(|share| **share > 0).count();
    let nth = |nth| shares.iter().enumerate().filter(|(_, share)| **share > 0).nth(nth).map(|(at, _)| at);
    if candidates < 2 {
        return nth(0);
    }
    let first = chance.below(candidates);
    let second = (first + 1 + chance.below(candidates - 1)) % candidates;
    let (one, other) = (nth(first)?, nth(second)?);
    // What each would have with this one: (a + 1) / share.
    let load = |at: usize, against: usize| (u64::from(under_way(at)) + 1) * u64::from(shares[against]);
    Some(if load(one, other) <= load(other, one) { one } else { other })
}

/// What a name is to the hash. It is the same in every process and after every restart, so that several gateways agree,
/// and another for each upstream.
pub(super) fn mark(upstream: &str, kind: &str, name: &[&[u8]]) -> u64 {
    let mut digest = Sha256::new();
    for part in [upstream.as_bytes(), kind.as_bytes()].iter().chain(name) {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let bytes = digest.finalize();
    u64::from_be_bytes(bytes[..8].try_into().expect("a digest has 32 bytes"))
}

/// The endpoint that a key belongs to: weighted rendezvous hashing. Each endpoint draws a number for each key, and the
/// highest has it; where an endpoint goes, its keys alone move, each to the next highest.
pub(super) fn hashed(key: u64, marks: &[u64], shares: &[u32]) -> Option<usize> {
    let drawn = |(at, (mark, share)): (usize, (&u64, &u32))| {
        let number = mix(key ^ mix(*mark));
        // In (0, 1): 53 bits are what a float holds.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let unit = ((number >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        (at, -f64::from(*share) / unit.ln())
    };
    let candidates = marks.iter().zip(shares).enumerate().filter(|(_, (_, share))| **share > 0);
    candidates.map(drawn).max_by(|one, other| one.1.total_cmp(&other.1)).map(|(at, _)| at)
}

/// The finalizer of `SplitMix64`: each bit of the input changes half of the output's.
fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(count: usize) -> Vec<u64> {
        (0..count).map(|at| mark("api", "endpoint", &[format!("http://10.0.0.{at}:80").as_bytes()])).collect()
    }

    fn keys() -> impl Iterator<Item = u64> {
        (0..10_000).map(|key| mark("api", "account", &[format!("account-{key}").as_bytes()]))
    }

    #[test]
    fn turns_are_as_many_as_the_weight_says_and_lie_apart() {
        let turns = Turns::new(3);
        let taken: Vec<_> = (0..14).map(|_| turns.next(&[5, 1, 1]).unwrap()).collect();
        assert_eq!(taken[..7], [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(taken[7..], taken[..7]);
        let turns = Turns::new(3);
        assert_eq!([(); 4].map(|()| turns.next(&[1, 1, 1]).unwrap()), [0, 1, 2, 0]);
        assert_eq!([(); 3].map(|()| turns.next(&[0, 1, 0])), [Some(1); 3]);
        assert_eq!(turns.next(&[0, 0, 0]), None);
    }

    #[test]
    fn of_two_the_one_with_less_for_its_share_is_taken() {
        let chance = Chance::new();
        for _ in 0..100 {
            assert_eq!(least(&[1, 1], |at| [3, 2][at], &chance), Some(1));
            assert_eq!(least(&[3, 1], |at| [3, 2][at], &chance), Some(0));
            assert_eq!(least(&[0, 1, 0], |_| 9, &chance), Some(1));
            assert_ne!(least(&[1, 1, 1, 1], |at| u32::from(at == 2), &chance), Some(2), "another one has less");
        }
        assert_eq!(least(&[0, 0], |_| 0, &chance), None);
        let mut seen = [false; 4];
        (0..200).for_each(|_| seen[least(&[1; 4], |_| 0, &chance).unwrap()] = true);
        assert_eq!(seen, [true; 4]);
    }

    #[test]
    fn an_endpoint_that_goes_takes_its_own_keys_with_it_and_no_others() {
        let marks = endpoints(5);
        let mut moved = 0;
        for key in keys() {
            let before = hashed(key, &marks, &[1; 5]).unwrap();
            let after = hashed(key, &marks, &[1, 1, 0, 1, 1]).unwrap();
            if before == 2 {
                moved += 1;
                assert_ne!(after, 2);
            } else {
                assert_eq!(after, before);
            }
        }
        assert!((1_800..2_200).contains(&moved), "{moved} of 10,000");
    }

    #[test]
    fn keys_are_shared_out_by_weight_and_more_weight_takes_only_what_it_needs() {
        let marks = endpoints(3);
        let mut counts = [0; 3];
        for key in keys() {
            let (light, heavy) = (hashed(key, &marks, &[1, 1, 1]).unwrap(), hashed(key, &marks, &[1, 1, 2]).unwrap());
            counts[heavy] += 1;
            assert!(heavy == light || heavy == 2, "nothing moves between the others");
        }
        for (count, expected) in counts.into_iter().zip([2_500_i32, 2_500, 5_000]) {
            assert!((count - expected).abs() < 250, "{counts:?}");
        }
    }

    #[test]
    fn names_are_marked_alike_everywhere_and_never_run_together() {
        assert_eq!(mark("api", "account", &[b"acme"]), 14_964_648_414_288_096_583);
        assert_ne!(mark("api", "camera", &[b"a", b"bc"]), mark("api", "camera", &[b"ab", b"c"]));
        assert_ne!(mark("api", "account", &[b"acme"]), mark("other", "account", &[b"acme"]));
    }
}
