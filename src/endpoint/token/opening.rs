//! Is this the key of that user? Opened, looked up and compared without saying, by answer, work or time, where it went
//! wrong (Bleichenbacher, Marvin; RFC 8017 §7.2.2): every pair is tried in every way, what does not open is replaced by a
//! text of chance, and the same compare runs on all of them. The one branch is on the whole.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

use super::ciphertext;
use super::key::{LARGEST, Pair};
use crate::clock::UnixTime;
use crate::record::{Directory, Kind, Record, Verdict};
use crate::store::Index;

/// What was in a ciphertext, or stands for it.
struct Candidate {
    bytes: Zeroizing<[u8; LARGEST]>,
    length: usize,
}

/// Proves users by what they have encrypted.
pub(super) struct Opener {
    pairs: Arc<[Pair]>,
    /// Makes the texts of chance: the same for the same ciphertext, so that asking twice tells nothing.
    chance: Hmac<Sha256>,
    directory: Arc<Index>,
}

impl Opener {
    /// With these pairs, over who exists.
    pub(super) fn new(pairs: Arc<[Pair]>, directory: Arc<Index>) -> Self {
        let mut key = Zeroizing::new([0; 64]);
        getrandom::fill(key.as_mut_slice()).expect("the operating system has randomness once it runs programs");
        Self { pairs, chance: Hmac::new((&*key).into()), directory }
    }

    /// The user of this name, if `password` holds their key and they may use it now.
    pub(super) fn prove(&self, login: &[u8], password: &[u8], now: UnixTime) -> Option<Arc<Record>> {
        // What cannot be read is opened like the rest.
        let text = ciphertext::read(password).unwrap_or_default();
        let user = self.directory.look_up(Kind::User, login);
        // Nobody has no proofs, which costs the same work.
        let proofs = user.as_ref().map_or(&[][..], |user| user.proofs());
        let ways = self.pairs.iter().flat_map(|pair| (0..pair.ways()).map(move |way| (pair, way)));
        let candidates: Vec<Candidate> = ways.map(|(pair, way)| self.open(pair, way, &text)).collect();
        let mut proven = Choice::from(0);
        for Candidate { bytes, length } in &candidates {
            let verdict = self.directory.proves(&bytes[..*length], proofs, now);
            // What a longer text costs to digest, a shorter one costs here.
            black_box(self.directory.proves(&[0; LARGEST][*length..], &[], now));
            proven |= Choice::from(u8::from(verdict == Verdict::Proven));
        }
        let good = Choice::from(u8::from(user.as_ref().is_some_and(|user| may(user, now))));
        let user = user.filter(|_| (proven & good).into())?;
        for Candidate { bytes, length } in &candidates {
            self.directory.proven(&user, &bytes[..*length]);
        }
        Some(user)
    }

    /// What is in a text that was encrypted to this pair in this way; else a text of chance.
    fn open(&self, pair: &Pair, way: usize, text: &[u8]) -> Candidate {
        let mut whole = [0; LARGEST];
        let whole = &mut whole[..pair.bytes];
        let fits = Choice::from(u8::from(text.len() <= whole.len()));
        // Old clients drop zeros at the front; of what is too long, a part is opened for nothing.
        let part = &text[..text.len().min(whole.len())];
        let at = whole.len() - part.len();
        whole[at..].copy_from_slice(part);
        let mut chance = self.chance.clone();
        chance.update(&[u8::try_from(way).unwrap_or(u8::MAX)]);
        chance.update(whole);
        let chance = chance.finalize().into_bytes();

        let mut bytes = Zeroizing::new([0; LARGEST]);
        let opened = pair.open(way, whole, &mut bytes[..pair.bytes]);
        let good = Choice::from(u8::from(opened.is_some())) & fits;
        for (at, byte) in bytes.iter_mut().enumerate() {
            let instead = chance.get(at).copied().unwrap_or(0);
            *byte = u8::conditional_select(&instead, byte, good);
        }
        let length = u64::conditional_select(&(chance.len() as u64), &(opened.unwrap_or(0) as u64), good);
        Candidate { bytes, length: usize::try_from(length).expect("it is no longer than the modulus") }
    }
}

/// Whether a user may use their key now.
fn may(user: &Record, now: UnixTime) -> bool {
    let begun = user.not_before().is_none_or(|from| now >= from);
    let over = user.expires().is_some_and(|end| now >= end);
    // All of them are asked, whatever the first ones say.
    [begun, !over, !user.is_disabled(), !user.account.is_disabled()].into_iter().fold(true, |all, one| all & one)
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("pairs", &self.pairs).finish_non_exhaustive()
    }
}
