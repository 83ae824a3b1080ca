use super::*;

fn account() -> Arc<Account> {
    Arc::new(Account::new("acme", Standing::default()).unwrap())
}

fn details() -> Details {
    let key = Key { kind: Kind::CameraToken, digest: Digest([7; 32]) };
    Details { subject: "camera:248527".into(), ..Details::new(key, "248527#1", account()) }
}

fn record(adjust: impl FnOnce(&mut Details)) -> Record {
    let mut details = details();
    adjust(&mut details);
    Record::new(details).unwrap()
}

/// A million of them are held: with its two counters one fills two lines of the cache, and no byte more.
#[test]
fn a_record_is_slim() {
    assert!(size_of::<Record>() <= 112, "{}", size_of::<Record>());
    assert!(size_of::<Proof>() <= 56, "{}", size_of::<Proof>());
}

#[test]
fn a_record_says_what_was_put_on_file() {
    let good = record(|_| {});
    assert_eq!((good.kind(), good.id(), good.subject()), (Kind::CameraToken, "248527#1", "camera:248527"));
    assert_eq!(good.subject(), "camera:248527");
    assert_eq!((good.not_before(), good.expires(), good.used(), good.is_disabled()), (None, None, None, false));
    assert!(good.proofs().is_empty());
    let limited = record(|details| {
        (details.not_before, details.expires) = (Some(UnixTime(5)), Some(UnixTime(9)));
        (details.disabled, details.used) = (true, Some(UnixTime(1_700_000_039)));
    });
    assert_eq!((limited.not_before(), limited.expires()), (Some(UnixTime(5)), Some(UnixTime(9))));
    assert_eq!((limited.is_disabled(), limited.used()), (true, Some(UnixTime(1_699_999_980))));
}

#[test]
fn subject_and_id_share_what_they_have_in_common_and_are_told_apart() {
    for (subject, id, length) in [
        ("license_key:main", "main", 16),
        ("camera:248527", "248527#1", 15),
        ("camera:248527", "uq3k7rde", 21),
        ("camera:1", "11", 9),
        ("camera:7", "camera:7", 8),
        ("a", "", 1),
        ("", "a", 1),
    ] {
        let record = record(|details| (details.subject, details.id) = (subject.into(), id.into()));
        assert_eq!((record.subject(), record.id(), record.text.len()), (subject, id, length));
    }
}

#[test]
fn the_last_use_is_known_to_the_minute() {
    let record = record(|_| {});
    record.seen(UnixTime(1_700_000_040));
    assert_eq!(record.used(), Some(UnixTime(1_700_000_040)));
    record.seen(UnixTime(1_700_000_099));
    assert_eq!(record.used(), Some(UnixTime(1_700_000_040)));
    record.seen(UnixTime(1_700_000_100));
    assert_eq!(record.used(), Some(UnixTime(1_700_000_100)));
}

#[test]
fn a_remark_is_made_once_unless_it_is_taken_back() {
    let record = record(|details| details.disabled = true);
    assert!(record.first(Remark::Found) && !record.first(Remark::Found));
    assert!(record.first(Remark::Proven) && !record.first(Remark::Proven));
    record.unsay(Remark::Found);
    assert!(record.first(Remark::Found) && !record.first(Remark::Proven) && record.is_disabled());
}

#[test]
fn a_subject_that_no_header_can_carry_is_refused() {
    for subject in ["camera:\n", "camera:é", &"x".repeat(256)] {
        assert!(Record::new(Details { subject: subject.into(), ..details() }).is_err());
    }
}

#[test]
fn every_kind_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), Kind::ALL.len());
    assert_eq!(Kind::UserKey.speaker(), Kind::User.speaker());
}

#[test]
fn debug_shows_no_digest() {
    assert!(!format!("{:?}", record(|_| {})).contains('7'.to_string().repeat(2).as_str()));
    let proof = Proof { number: 1, pepper: 1, digest: Digest([77; 32]), expires: None };
    assert!(!format!("{proof:?}").contains("77"));
}

#[test]
fn digests_are_equal_in_every_bit_or_not_at_all() {
    let digest = Digest(std::array::from_fn(|at| u8::try_from(at).unwrap()));
    assert!(bool::from(digest.equals(&digest)));
    for bit in 0..256 {
        let mut other = digest;
        other.0[bit / 8] ^= 1 << (bit % 8);
        assert!(!bool::from(digest.equals(&other)), "{bit}");
    }
}
