//! How one thread of a lane leaves its half to the other for a while. What is handed over belongs to one thread at any
//! time; who has none sleeps. Nothing here allocates, and where nobody asks nothing locks.

use std::mem;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The end of the thread whose it is.
pub struct Owner<T>(Arc<Shared<T>>);

/// The end of the thread that may borrow it.
pub struct Borrower<T>(Arc<Shared<T>>);

struct Shared<T> {
    state: Mutex<State<T>>,
    /// The state is `Asked`, as the owner sees it without a lock, maybe a moment late.
    asked: AtomicBool,
    /// The state became `Back` or `Over`.
    back: Condvar,
}

enum State<T> {
    /// With its owner.
    Kept,
    /// With its owner, who was asked for it.
    Asked,
    /// On its way to the borrower.
    Lent(T),
    /// With the borrower.
    Borrowed,
    /// On its way to its owner.
    Back(T),
    /// One of the threads ended.
    Over,
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// Not seen yet.
    Waiting,
    /// Not now, or not any more.
    Refused,
    /// Here it is, to be given back.
    Lent(T),
}

/// What became of a loan.
#[derive(Debug, PartialEq, Eq)]
pub enum Loan<T> {
    /// Nobody wants it any more.
    Kept(T),
    /// It was away.
    Back(T),
    /// The other thread ended.
    Over,
}

/// Two ends for two threads.
pub fn pair<T>() -> (Owner<T>, Borrower<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State::Kept),
        asked: AtomicBool::new(false),
        back: Condvar::new(),
    });
    (Owner(Arc::clone(&shared)), Borrower(shared))
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody asks any more. Who has it already is not concerned.
    fn unask(&self) {
        let mut state = self.lock();
        self.asked.store(false, Relaxed);
        if matches!(*state, State::Asked) {
            *state = State::Kept;
        }
    }

    fn end(&self) {
        *self.lock() = State::Over;
        self.back.notify_one();
    }
}

impl<T> Owner<T> {
    /// The other thread wants it.
    pub fn is_asked(&self) -> bool {
        self.0.asked.load(Relaxed)
    }

    /// Says no.
    pub fn refuse(&self) {
        self.0.unask();
    }

    /// Lends it, if it is still asked for, and sleeps until it is back.
    pub fn lend(&self, it: T) -> Loan<T> {
        let mut state = self.0.lock();
        self.0.asked.store(false, Relaxed);
        match *state {
            State::Asked => *state = State::Lent(it),
            State::Over => return Loan::Over,
            _ => return Loan::Kept(it),
        }
        let away = |state: &mut State<T>| !matches!(state, State::Back(_) | State::Over);
        let mut state =
            { self.0.back.wait_while(state, away) }.unwrap_or_else(PoisonError::into_inner);
        match mem::replace(&mut *state, State::Kept) {
            State::Back(it) => Loan::Back(it),
            _ => Loan::Over,
        }
    }
}

impl<T> Drop for Owner<T> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<T> Borrower<T> {
    /// Asks for it. Until it was answered or withdrawn the caller must not sleep.
    pub fn ask(&self) {
        let mut state = self.0.lock();
        if matches!(*state, State::Kept) {
            *state = State::Asked;
            self.0.asked.store(true, Relaxed);
        }
    }

    /// What became of it.
    pub fn answer(&self) -> Answer<T> {
        let mut state = self.0.lock();
        match mem::replace(&mut *state, State::Borrowed) {
            State::Lent(it) => Answer::Lent(it),
            State::Asked => {
                *state = State::Asked;
                Answer::Waiting
            }
            other => {
                *state = other;
                Answer::Refused
            }
        }
    }

    /// As `answer`, but takes the request back where it was not seen yet.
    pub fn withdraw(&self) -> Answer<T> {
        self.0.unask();
        self.answer()
    }

    /// Gives it back and wakes its owner, unless that ended.
    pub fn give_back(&self, it: T) {
        let mut state = self.0.lock();
        if matches!(*state, State::Borrowed) {
            *state = State::Back(it);
            self.0.back.notify_one();
        }
    }
}

impl<T> Drop for Borrower<T> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn it_is_lent_when_asked_for_and_comes_back() {
        let (owner, borrower) = pair::<u32>();
        assert_eq!(owner.lend(1), Loan::Kept(1), "nobody asked");
        borrower.ask();
        assert!(owner.is_asked());
        assert_eq!(borrower.answer(), Answer::Waiting);
        thread::scope(|scope| {
            let lends = scope.spawn(|| owner.lend(2));
            let it = loop {
                match borrower.answer() {
                    Answer::Waiting => thread::yield_now(),
                    Answer::Lent(it) => break it,
                    Answer::Refused => panic!("it is lent"),
                }
            };
            assert!(!lends.is_finished());
            borrower.give_back(it + 1);
            assert_eq!(lends.join().unwrap(), Loan::Back(3));
        });
        assert_eq!(borrower.answer(), Answer::Refused);
    }

    #[test]
    fn who_refuses_or_is_late_keeps_it() {
        let (owner, borrower) = pair::<u32>();
        borrower.ask();
        owner.refuse();
        assert_eq!(borrower.answer(), Answer::Refused);
        assert_eq!(borrower.withdraw(), Answer::Refused);
        borrower.ask();
        assert_eq!(borrower.withdraw(), Answer::Refused);
        assert_eq!(owner.lend(1), Loan::Kept(1));
    }

    /// However both threads run, it is neither lost nor doubled and nobody waits for ever.
    #[test]
    fn a_withdrawal_that_meets_a_loan_gets_it() {
        let (owner, borrower) = pair::<u32>();
        thread::scope(|scope| {
            let owns = scope.spawn(move || {
                let (mut it, mut loans) = (0, 0);
                loop {
                    match owner.lend(it) {
                        Loan::Kept(kept) => it = kept,
                        Loan::Back(back) => {
                            assert_eq!(back, it + 1);
                            (it, loans) = (back, loans + 1);
                        }
                        Loan::Over => return loans,
                    }
                    if loans % 3 == 0 {
                        owner.refuse();
                    }
                }
            });
            let mut borrowed = 0;
            for turn in 0_u32.. {
                borrower.ask();
                if turn % 2 == 0 {
                    thread::yield_now();
                }
                if let Answer::Lent(it) = borrower.withdraw() {
                    assert_eq!(it, borrowed);
                    borrowed += 1;
                    borrower.give_back(it + 1);
                    if borrowed == 2000 {
                        break;
                    }
                }
            }
            drop(borrower);
            // The last may be on its way when the other end is dropped.
            assert!((1999..=2000).contains(&owns.join().unwrap()));
        });
    }

    #[test]
    fn the_end_of_one_is_told_to_the_other() {
        let (owner, borrower) = pair::<u32>();
        borrower.ask();
        drop(borrower);
        assert_eq!(owner.lend(1), Loan::Over);
        let (owner, borrower) = pair::<u32>();
        borrower.ask();
        drop(owner);
        assert_eq!(borrower.withdraw(), Answer::Refused);
    }
}
