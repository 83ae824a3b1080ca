//! Quotas and the ledger in which they are written down: nothing is spent that is not, whatever becomes of either.

use std::collections::HashMap;
use std::mem;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::deadline::Deadlines;
use crate::limit::ledger::{LedgerEntry, Unreadable};

/// What a ledger does with what it is asked for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Mood {
    Prompt,
    /// Answers when told to.
    Slow,
    Failing,
    /// Drops the question.
    Dying,
    /// Keeps the question for ever.
    Silent,
}

type Done = Box<dyn FnOnce(bool) + Send>;

/// Limit, key and window.
type Line = (Box<str>, Box<str>, window::Window);

/// A ledger in memory.
pub(super) struct Book {
    mood: Mutex<Mood>,
    written: Mutex<HashMap<Line, u64>>,
    asked: Mutex<Vec<(LedgerEntry, Done)>>,
}

impl std::fmt::Debug for Book {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Book")
    }
}

impl Book {
    pub(super) fn new(mood: Mood) -> Self {
        Self { mood: Mutex::new(mood), written: Mutex::default(), asked: Mutex::default() }
    }

    fn put(&self, entry: LedgerEntry) {
        self.written.lock().unwrap().insert((entry.limit, entry.key, entry.window), entry.spent);
    }

    fn answer_all(&self) -> usize {
        let asked = mem::take(&mut *self.asked.lock().unwrap());
        let answered = asked.len();
        for (entry, done) in asked {
            self.put(entry);
            done(true);
        }
        answered
    }

    fn figure(&self) -> Option<u64> {
        self.written.lock().unwrap().values().next().copied()
    }
}

impl Ledger for Book {
    fn reserve(&self, entry: LedgerEntry, done: Done) {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Prompt => {
                self.put(entry);
                done(true);
            }
            Mood::Slow | Mood::Silent => self.asked.lock().unwrap().push((entry, done)),
            Mood::Failing => done(false),
            Mood::Dying => drop(done),
        }
    }

    fn load(&self, now: UnixTime) -> Result<Vec<LedgerEntry>, Unreadable> {
        let written = self.written.lock().unwrap();
        let entries = written.iter().filter(|((.., window), _)| now < window.end);
        let entry = |((limit, key, window), spent): (&(Box<str>, Box<str>, _), &u64)| LedgerEntry {
            limit: limit.clone(),
            key: key.clone(),
            window: *window,
            spent: *spent,
        };
        let mut entries: Vec<_> = entries.map(entry).collect();
        entries.sort_by_key(|entry| entry.window.end);
        Ok(entries)
    }

    fn settle(&self, entries: Vec<LedgerEntry>, _: Duration) -> bool {
        for entry in entries {
            self.put(entry);
        }
        true
    }
}

/// Whether it is over, asked once.
fn poll(waiting: Waiting) -> Poll<bool> {
    let deadlines = Deadlines::new(Clock::manual(NOON));
    let deadline = deadlines.register();
    Box::pin(waiting.before(&deadline)).as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn nothing_is_spent_that_is_not_written_down() {
    let a = caller(&register(), "a");
    let book = Arc::new(Book::new(Mood::Slow));
    let scene = Scene::new(&[quota("hourly", 1000, Per::Account), rate("r", 10_000, Per::Account)], Some(book.clone()));
    let first = waiting(scene.ask(&a));
    // The second joins the first, and both hear the one answer.
    let second = waiting(scene.ask(&a));
    assert_eq!((book.answer_all(), book.figure()), (1, Some(10)));
    assert_eq!((poll(first), poll(second)), (Poll::Ready(true), Poll::Ready(true)));
    // Ten are written; the next block is asked for after five, and nobody who comes before the answer gets an eleventh.
    assert_eq!(scene.passed(&a, 50), 10);
    assert!(poll(waiting(scene.ask(&a))).is_pending());
    assert_eq!((book.answer_all(), book.figure()), (1, Some(15)));
    assert_eq!(scene.passed(&a, 50), 5);
    *book.mood.lock().unwrap() = Mood::Prompt;
    book.answer_all();
    assert_eq!(scene.passed(&a, 5000), 985);
    assert_eq!(refused(scene.ask(&a)).cause, Cause::QuotaExceeded);
}

#[test]
fn a_ledger_that_fails_lets_nobody_through_and_is_asked_again() {
    let a = caller(&register(), "a");
    for mood in [Mood::Failing, Mood::Dying] {
        let book = Arc::new(Book::new(mood));
        let scene = Scene::new(&[quota("hourly", 1000, Per::Account)], Some(book.clone()));
        // The first hears that it failed; only who has waited is refused.
        assert_eq!(poll(waiting(scene.ask(&a))), Poll::Ready(true));
        let refusal = refused(scene.ask_again(&a, true));
        assert_eq!((refusal.cause, refusal.retry_after), (Cause::Overloaded, Some(Duration::from_secs(1))));
        *book.mood.lock().unwrap() = Mood::Prompt;
        assert_eq!(poll(waiting(scene.ask(&a))), Poll::Ready(true));
        assert_eq!(scene.passed(&a, 2000), 1000);
    }
}

#[test]
fn a_death_costs_a_block_and_a_good_end_nothing() {
    let register = register();
    let (a, clock) = (caller(&register, "a"), Clock::manual(NOON));
    let account = a.account().unwrap();
    let book = Arc::new(Book::new(Mood::Prompt));
    let begin = || Scene::at(&clock, &[quota("hourly", 1000, Per::Account)], Some(book.clone()));
    let scene = begin();
    assert_eq!((poll(waiting(scene.ask(&a))), scene.passed(&a, 103)), (Poll::Ready(true), 103));
    drop(scene);
    let scene = begin();
    let spent = scene.limits.usage(account, NOON)[0].spent;
    assert!((104..=113).contains(&spent), "{spent}");
    assert_eq!((poll(waiting(scene.ask(&a))), scene.passed(&a, 103)), (Poll::Ready(true), 103));
    scene.limits.settle(NOON);
    let scene = begin();
    assert_eq!(scene.limits.usage(account, NOON)[0].spent, spent + 103);
    assert_eq!(poll(waiting(scene.ask(&a))), Poll::Ready(true));
    assert_eq!(scene.passed(&a, 5000) as u64, 1000 - spent - 103);
    // Of the hour before, nothing is left.
    clock.advance(Duration::from_hours(1));
    assert_eq!(begin().limits.usage(account, clock.unix())[0].spent, 0);
}

#[test]
fn each_limit_finds_its_own_figures_again() {
    let (register, book) = (register(), Arc::new(Book::new(Mood::Prompt)));
    let a = caller(&register, "a");
    for (limit, period, spent) in
        [("down", Period::Hour, 7), ("up", Period::Hour, 3), ("up", Period::Day, 9), ("gone", Period::Hour, 8)]
    {
        let window = period.window(NOON);
        book.put(LedgerEntry { limit: limit.into(), key: "account:a".into(), window, spent });
    }
    let scene = Scene::new(&["down", "up"].map(|name| quota(name, 10, Per::Account)), Some(book));
    let told = scene.limits.usage(a.account().unwrap(), NOON);
    let spent: Vec<_> = told.iter().map(|usage| (&*usage.limit, usage.spent)).collect();
    assert_eq!(spent, [("down", 7), ("up", 3)]);
}

#[test]
fn a_clock_that_was_ahead_before_a_restart_forgives_nothing_of_the_present_window() {
    let (register, book) = (register(), Arc::new(Book::new(Mood::Prompt)));
    for (start, spent) in [(NOON.0, 10), (NOON.0 + 2 * 3600, 1)] {
        let window = Period::Hour.window(UnixTime(start));
        book.put(LedgerEntry { limit: "hourly".into(), key: "account:a".into(), window, spent });
    }
    let scene = Scene::new(&[quota("hourly", 10, Per::Account)], Some(book));
    assert_eq!(refused(scene.ask(&caller(&register, "a"))).cause, Cause::QuotaExceeded);
}
