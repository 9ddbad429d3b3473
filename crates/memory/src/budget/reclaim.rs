//! Giving bytes back when others need them. Knows kinds; knows no budget.

use super::kind::Kind;

/// Someone who can give bytes back when others need them: a pager, a cache.
///
/// A [`Budget`](super::Budget) asks when a reservation doesn't fit or its limit sinks. An implementor keeps these rules:
///
/// - **Order.** Those of the lowest [`Kind`] are asked first, of one kind those that were added first, and only kinds
///   below that of whoever needs the bytes: weights never go for other weights. So [`kind`](Self::kind) is always the
///   same, and says what the bytes are and not how little they are liked.
/// - **Target.** `bytes` is what is still missing. Giving more (a whole unit, a whole cached value) is fine, giving less or
///   nothing too: the next one is asked then. What is returned is what this budget has back by now, that is, what
///   reservations were dropped; a value that others still hold gives nothing.
/// - **No re-entry.** [`reclaim`](Self::reclaim) never calls [`claim`](super::Account::claim) or
///   [`take`](super::Account::take) of the same budget, which would ask again from inside. It comes from any thread, from
///   several at once, also from a thread that holds the implementor's own locks if that reserves under them: reserve
///   first and lock then, or give way with `try_lock` and return 0.
/// - **No cycles.** The budget holds a [`Weak`](std::sync::Weak) and the implementor its accounts, never the other way
///   round. One that moves bytes from one budget to another (a device's to the host's) makes sure that the other's
///   reclaimers never reserve from the first.
pub trait Reclaim: Send + Sync {
    /// What kind of bytes would go.
    fn kind(&self) -> Kind;
    /// Gives back about `bytes` and returns how many it gave.
    fn reclaim(&self, bytes: u64) -> u64;
}
