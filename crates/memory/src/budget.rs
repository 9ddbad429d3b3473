//! Who holds how many bytes of one memory, and how many there may be. Knows names and numbers; allocates nothing.
//!
//! ```text
//!   Budget "host", limit 8 GiB
//!     ├─ Account (unet, weights)        ── Reservation 1.2 GiB
//!     ├─ Account (KSampler "3", output) ── Reservation 64 KiB
//!     └─ Account (vae, activations)     ── Reservation 0.9 GiB
//! ```
//! A [`Reservation`] is the bytes: dropping it gives them back. Counting is atomic; no lock and no look-up by name
//! happens once an [`Account`] exists. What is *not* counted: small things (headers, names, plans), the kernel's page
//! cache, and memory that libraries allocate for themselves.

use crate::{
    OutOfMemory,
    sync::{AtomicU64, Mutex, MutexGuard},
};
use std::{
    fmt::{self, Write as _},
    sync::{Arc, PoisonError, Weak, atomic::Ordering::Relaxed},
};

/// What bytes are held for. In the order in which they give way: activations last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Values kept because someone may ask again.
    Cache,
    /// Model weights that stay where they are used.
    Weights,
    /// Slots through which streamed weights pass.
    Staging,
    /// What nodes handed on and others still need.
    Outputs,
    /// What a computation holds while it runs.
    Activations,
}

impl Kind {
    /// What would free bytes of this kind that did not give way by themselves.
    fn remedy(self) -> &'static str {
        match self {
            Self::Cache => "a smaller cache",
            Self::Weights => "a layer's end (these weights are in use)",
            Self::Staging => "fewer slots (--async-offload 1)",
            Self::Outputs => "fewer results kept at once",
            Self::Activations => "a smaller picture or batch",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cache => "cache",
            Self::Weights => "weights",
            Self::Staging => "staging",
            Self::Outputs => "outputs",
            Self::Activations => "activations",
        })
    }
}

/// Someone who can give bytes back when others need them: a pager, a cache.
pub trait Reclaim: Send + Sync {
    /// What kind of bytes would go. The lowest kinds are asked first.
    fn kind(&self) -> Kind;
    /// Gives back about `bytes` and answers how many it gave. Must not reserve from the same budget.
    fn reclaim(&self, bytes: u64) -> u64;
}

/// One memory (the host's, or one device's), its limit and its holders.
pub struct Budget {
    pool: String,
    limit: AtomicU64,
    used: AtomicU64,
    peak: AtomicU64,
    accounts: Mutex<Vec<Arc<Held>>>,
    reclaimers: Mutex<Vec<Weak<dyn Reclaim>>>,
    /// The pager of this memory, if it has one: whoever makes it leaves it here for the next to find.
    home: Mutex<Weak<Home>>,
}

type Home = dyn std::any::Any + Send + Sync;

struct Held {
    holder: Arc<str>,
    kind: Kind,
    used: AtomicU64,
    peak: AtomicU64,
}

/// How many holders are remembered after they hold nothing any more.
const REMEMBERED: usize = 512;

impl Budget {
    /// A budget of `limit` bytes for the memory called `pool`.
    pub fn new(pool: impl Into<String>, limit: u64) -> Arc<Self> {
        Arc::new(Self {
            pool: pool.into(),
            limit: AtomicU64::new(limit),
            used: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            accounts: Mutex::default(),
            reclaimers: Mutex::default(),
            home: Mutex::new(Weak::<()>::new()),
        })
    }

    /// A budget that counts and never refuses.
    pub fn unlimited(pool: impl Into<String>) -> Arc<Self> {
        Self::new(pool, u64::MAX)
    }

    /// The name of this memory.
    pub fn pool(&self) -> &str {
        &self.pool
    }

    /// How many bytes there may be.
    pub fn limit(&self) -> u64 {
        self.limit.load(Relaxed)
    }

    /// How many bytes are held.
    pub fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// How many bytes are held for one kind of thing.
    pub fn used_for(&self, kind: Kind) -> u64 {
        lock(&self.accounts).iter().filter(|a| a.kind == kind).map(|a| a.used.load(Relaxed)).sum()
    }

    /// How many bytes may still be reserved.
    pub fn free(&self) -> u64 {
        self.limit().saturating_sub(self.used())
    }

    /// The most that was held at once since the last [`reset_peaks`](Self::reset_peaks).
    pub fn peak(&self) -> u64 {
        self.peak.load(Relaxed)
    }

    /// Changes the limit. Lowering it asks whoever can give bytes back to do so; what can't go stays counted above it.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Relaxed);
        let over = self.used().saturating_sub(limit);
        if over > 0 {
            self.reclaim(over, Kind::Activations);
        }
    }

    /// The account of a holder. Cheap to keep, so look it up once: the same name and kind give the same account.
    pub fn account(self: &Arc<Self>, holder: &str, kind: Kind) -> Account {
        let mut accounts = lock(&self.accounts);
        if let Some(held) = accounts.iter().find(|a| a.kind == kind && &*a.holder == holder) {
            return Account { budget: self.clone(), held: held.clone() };
        }
        if accounts.len() >= REMEMBERED {
            accounts.retain(|a| Arc::strong_count(a) > 1 || a.used.load(Relaxed) > 0);
        }
        let held = Arc::new(Held { holder: holder.into(), kind, used: AtomicU64::new(0), peak: AtomicU64::new(0) });
        accounts.push(held.clone());
        Account { budget: self.clone(), held }
    }

    /// Adds someone to ask when bytes run short. Forgotten when it is dropped.
    pub fn add_reclaimer(&self, reclaimer: Weak<dyn Reclaim>) {
        let mut all = lock(&self.reclaimers);
        all.retain(|r| r.strong_count() > 0);
        all.push(reclaimer);
    }

    /// Asks holders of a lower kind than `below` to give back `bytes`; answers how many they gave.
    fn reclaim(&self, bytes: u64, below: Kind) -> u64 {
        let mut willing: Vec<Arc<dyn Reclaim>> = lock(&self.reclaimers).iter().filter_map(Weak::upgrade).collect();
        willing.retain(|r| r.kind() < below);
        willing.sort_by_key(|r| r.kind());
        let mut freed = 0;
        for reclaimer in willing {
            if freed >= bytes {
                break;
            }
            freed += reclaimer.reclaim(bytes - freed);
        }
        freed
    }

    /// As [`reclaim`](Self::reclaim), for someone whom the system refused memory although the budget had some.
    pub(crate) fn give_back(&self, bytes: u64, below: Kind) -> u64 {
        self.reclaim(bytes, below)
    }

    pub(crate) fn home(&self) -> MutexGuard<'_, Weak<Home>> {
        lock(&self.home)
    }

    /// Adds bytes if they fit.
    fn try_add(&self, bytes: u64) -> bool {
        let limit = self.limit();
        let added =
            self.used.fetch_update(Relaxed, Relaxed, |used| used.checked_add(bytes).filter(|sum| *sum <= limit));
        added.inspect(|before| _ = self.peak.fetch_max(before + bytes, Relaxed)).is_ok()
    }

    fn add(&self, bytes: u64) {
        let before = self.used.fetch_add(bytes, Relaxed);
        self.peak.fetch_max(before + bytes, Relaxed);
    }

    /// Who holds what now, and the peak of each.
    pub fn report(&self) -> Report {
        let accounts = lock(&self.accounts);
        let mut rows: Vec<Row> = accounts
            .iter()
            .map(|a| Row {
                holder: a.holder.clone(),
                kind: a.kind,
                used: a.used.load(Relaxed),
                peak: a.peak.load(Relaxed),
            })
            .filter(|row| row.peak > 0)
            .collect();
        rows.sort_by(|a, b| b.used.cmp(&a.used).then(b.peak.cmp(&a.peak)).then(a.holder.cmp(&b.holder)));
        Report { pool: self.pool.clone(), limit: self.limit(), used: self.used(), peak: self.peak(), rows }
    }

    /// Who holds more now than when `before` was taken: after a prompt whose results are all dropped, these leak. Each row
    /// has the bytes that are too many.
    pub fn leaks(&self, before: &Report) -> Vec<Row> {
        let then = |row: &Row| before.rows.iter().find(|b| (&b.holder, b.kind) == (&row.holder, row.kind));
        let more = |row: Row| {
            let used = row.used.saturating_sub(then(&row).map_or(0, |b| b.used));
            (used > 0).then_some(Row { used, ..row })
        };
        self.report().rows.into_iter().filter_map(more).collect()
    }

    /// Starts new peaks at what is held now, for example at the start of a run.
    pub fn reset_peaks(&self) {
        self.peak.store(self.used(), Relaxed);
        for a in lock(&self.accounts).iter() {
            a.peak.store(a.used.load(Relaxed), Relaxed);
        }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({}, {} of {})", self.pool, human_bytes(self.used()), human_bytes(self.limit()))
    }
}

/// One holder's standing with a [`Budget`].
#[derive(Clone)]
pub struct Account {
    budget: Arc<Budget>,
    held: Arc<Held>,
}

impl Account {
    /// Reserves bytes if they are free now. Nobody else is asked to give way.
    pub fn try_reserve(&self, bytes: u64) -> Option<Reservation> {
        self.budget.try_add(bytes).then(|| self.hold(bytes))
    }

    /// Reserves bytes; holders of lower [`Kind`]s give way if it takes that.
    ///
    /// # Errors
    /// [`OutOfMemory`], with everyone who holds something, when that isn't enough either.
    pub fn claim(&self, bytes: u64) -> Result<Reservation, OutOfMemory> {
        if let Some(reservation) = self.try_reserve(bytes) {
            return Ok(reservation);
        }
        self.budget.reclaim(bytes.saturating_sub(self.budget.free()), self.held.kind);
        self.try_reserve(bytes).ok_or_else(|| OutOfMemory {
            holder: self.held.holder.to_string(),
            kind: self.held.kind,
            asked: bytes,
            report: self.budget.report(),
        })
    }

    /// Counts bytes that are held already, whether they fit or not. Holders of lower [`Kind`]s give way first.
    pub fn take(&self, bytes: u64) -> Reservation {
        let short = bytes.saturating_sub(self.budget.free());
        if short > 0 {
            self.budget.reclaim(short, self.held.kind);
        }
        self.budget.add(bytes);
        self.hold(bytes)
    }

    /// The holder's name.
    pub fn holder(&self) -> &str {
        &self.held.holder
    }

    /// What it holds.
    pub fn used(&self) -> u64 {
        self.held.used.load(Relaxed)
    }

    /// The budget this account is with.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// The budget has the bytes already; adds them here.
    fn hold(&self, bytes: u64) -> Reservation {
        let before = self.held.used.fetch_add(bytes, Relaxed);
        self.held.peak.fetch_max(before + bytes, Relaxed);
        Reservation { account: self.clone(), bytes }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({} {}: {})", self.held.holder, self.held.kind, human_bytes(self.used()))
    }
}

/// Bytes that are held. Dropping it gives them back.
#[derive(Debug)]
#[must_use = "dropping a reservation gives its bytes back"]
pub struct Reservation {
    account: Account,
    bytes: u64,
}

impl Reservation {
    /// How many bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives part of it back.
    pub fn shrink_to(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes);
        self.bytes -= less;
        self.give_back(less);
    }

    fn give_back(&self, bytes: u64) {
        self.account.held.used.fetch_sub(bytes, Relaxed);
        self.account.budget.used.fetch_sub(bytes, Relaxed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

/// One line of a [`Report`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Who holds.
    pub holder: Arc<str>,
    /// For what.
    pub kind: Kind,
    /// How much now.
    pub used: u64,
    /// How much at most.
    pub peak: u64,
}

/// Who holds what of one memory. Displays as a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The memory's name.
    pub pool: String,
    /// How much there may be.
    pub limit: u64,
    /// How much is held.
    pub used: u64,
    /// The most that was held at once.
    pub peak: u64,
    /// The holders, largest first.
    pub rows: Vec<Row>,
}

impl Report {
    /// How much is left.
    pub fn free(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// The largest holders in a sentence, empty when nobody holds anything.
    pub fn top_holders(&self, n: usize) -> String {
        let mut text = String::new();
        for row in self.rows.iter().filter(|r| r.used > 0).take(n) {
            let lead = if text.is_empty() { "; held by " } else { ", " };
            _ = write!(text, "{lead}{} ({}, {})", row.holder, row.kind, human_bytes(row.used));
        }
        text
    }

    /// What would free the bytes of the largest holders, a clause per kind; empty when nobody holds anything.
    pub fn remedies(&self, n: usize) -> String {
        let mut kinds: Vec<Kind> = self.rows.iter().filter(|r| r.used > 0).take(n).map(|r| r.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let clauses: Vec<&str> = kinds.into_iter().map(Kind::remedy).collect();
        if clauses.is_empty() { String::new() } else { format!("; to free some: {}", clauses.join(", ")) }
    }

    /// Bytes held for one kind of thing.
    pub fn used_for(&self, kind: Kind) -> u64 {
        self.rows.iter().filter(|r| r.kind == kind).map(|r| r.used).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|r| r.holder.chars().count()).max().unwrap_or(0).max(6);
        writeln!(f, "{:width$}  {:11}  {:>10}  {:>10}", self.pool, "", "now", "peak")?;
        for r in &self.rows {
            let (used, peak) = (human_bytes(r.used), human_bytes(r.peak));
            writeln!(f, "{:width$}  {:11}  {used:>10}  {peak:>10}", r.holder, r.kind)?;
        }
        let (used, peak) = (human_bytes(self.used), human_bytes(self.peak));
        write!(f, "{:width$}  {:11}  {used:>10}  {peak:>10}", "total", "")?;
        if self.limit < u64::MAX {
            write!(f, "  of {}", human_bytes(self.limit))?;
        }
        Ok(())
    }
}

/// A number of bytes as people read it: `512 B`, `1.5 GiB`.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes == u64::MAX {
        return "unlimited".into();
    }
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
