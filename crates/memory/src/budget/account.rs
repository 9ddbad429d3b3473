//! One memory and its accounts: counting, reserving, asking for bytes back. Allocates nothing.

use super::{
    kind::Kind,
    out_of_memory::OutOfMemory,
    reclaim::Reclaim,
    report::{Report, Row, human_bytes},
};
use crate::sync::{AtomicU64, Mutex, MutexGuard};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, PoisonError, Weak, atomic::Ordering::Relaxed},
};

/// One memory (the host's, or one device's), its limit and its owners.
pub struct Budget {
    pool: String,
    limit: AtomicU64,
    used: AtomicU64,
    peak: AtomicU64,
    accounts: Mutex<Accounts>,
    reclaimers: Mutex<Vec<Weak<dyn Reclaim>>>,
    /// The pager of this memory, if it has one: whoever makes it leaves it here for the next to find.
    pager_slot: Mutex<Weak<AnyPager>>,
}

type AnyPager = dyn std::any::Any + Send + Sync;

/// All owners that are remembered: a graph of a million nodes may have as many.
#[derive(Default)]
struct Accounts {
    by_owner: BTreeMap<Kind, HashMap<Arc<str>, Arc<Entry>>>,
    count: usize,
    /// With so many, those that hold nothing are forgotten.
    most: usize,
}

impl Accounts {
    fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.by_owner.values().flat_map(HashMap::values)
    }

    /// The entry of that owner, and a new one if there is none.
    fn entry(&mut self, owner: &str, kind: Kind) -> Arc<Entry> {
        if let Some(entry) = self.by_owner.get(&kind).and_then(|owners| owners.get(owner)) {
            return entry.clone();
        }
        if self.count >= self.most.max(REMEMBERED) {
            self.forget();
        }
        let owner: Arc<str> = owner.into();
        let entry = Arc::new(Entry { owner: owner.clone(), kind, used: AtomicU64::new(0), peak: AtomicU64::new(0) });
        self.by_owner.entry(kind).or_default().insert(owner, entry.clone());
        self.count += 1;
        entry
    }

    /// Forgets owners that hold nothing. The next time comes when there are twice as many as stay, so that each owner
    /// costs a look or two, however many there are.
    fn forget(&mut self) {
        for owners in self.by_owner.values_mut() {
            owners.retain(|_, a| Arc::strong_count(a) > 1 || a.used.load(Relaxed) > 0);
        }
        self.count = self.by_owner.values().map(HashMap::len).sum();
        self.most = 2 * self.count;
    }
}

struct Entry {
    owner: Arc<str>,
    kind: Kind,
    used: AtomicU64,
    peak: AtomicU64,
}

/// How many owners are remembered after they hold nothing any more.
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
            pager_slot: Mutex::new(Weak::<()>::new()),
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
        let accounts = lock(&self.accounts);
        accounts.by_owner.get(&kind).into_iter().flat_map(HashMap::values).map(|a| a.used.load(Relaxed)).sum()
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

    /// The account of an owner. Cheap to keep, so look it up once: the same name and kind give the same account.
    pub fn account(self: &Arc<Self>, owner: &str, kind: Kind) -> Account {
        Account { budget: self.clone(), entry: lock(&self.accounts).entry(owner, kind) }
    }

    /// Adds someone to ask when bytes run short. Forgotten when it is dropped.
    pub fn add_reclaimer(&self, reclaimer: Weak<dyn Reclaim>) {
        let mut all = lock(&self.reclaimers);
        all.retain(|r| r.strong_count() > 0);
        all.push(reclaimer);
    }

    /// Asks owners of a lower kind than `below` to give back `bytes`; returns how many they gave.
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

    /// Same as [`reclaim`](Self::reclaim), for someone whom the system refused memory although the budget had some.
    pub(crate) fn give_back(&self, bytes: u64, below: Kind) -> u64 {
        self.reclaim(bytes, below)
    }

    pub(crate) fn pager_slot(&self) -> MutexGuard<'_, Weak<AnyPager>> {
        lock(&self.pager_slot)
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
            .entries()
            .map(|a| Row {
                owner: a.owner.clone(),
                kind: a.kind,
                used: a.used.load(Relaxed),
                peak: a.peak.load(Relaxed),
            })
            .filter(|row| row.peak > 0)
            .collect();
        rows.sort_by(|a, b| {
            let bytes = b.used.cmp(&a.used).then(b.peak.cmp(&a.peak));
            bytes.then_with(|| a.owner.cmp(&b.owner)).then(a.kind.cmp(&b.kind))
        });
        Report { pool: self.pool.clone(), limit: self.limit(), used: self.used(), peak: self.peak(), rows }
    }

    /// Who holds more now than when `before` was taken: after a prompt whose results are all dropped, these leak. Each row
    /// has the bytes that are too many.
    pub fn leaks(&self, before: &Report) -> Vec<Row> {
        let then = |row: &Row| before.rows.iter().find(|b| (&b.owner, b.kind) == (&row.owner, row.kind));
        let more = |row: Row| {
            let used = row.used.saturating_sub(then(&row).map_or(0, |b| b.used));
            (used > 0).then_some(Row { used, ..row })
        };
        self.report().rows.into_iter().filter_map(more).collect()
    }

    /// Starts new peaks at what is held now, for example at the start of a run.
    pub fn reset_peaks(&self) {
        self.peak.store(self.used(), Relaxed);
        for a in lock(&self.accounts).entries() {
            a.peak.store(a.used.load(Relaxed), Relaxed);
        }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({}, {} of {})", self.pool, human_bytes(self.used()), human_bytes(self.limit()))
    }
}

/// One owner's standing with a [`Budget`].
#[derive(Clone)]
pub struct Account {
    budget: Arc<Budget>,
    entry: Arc<Entry>,
}

impl Account {
    /// Reserves bytes if they are free now. Nobody else is asked to give way.
    pub fn try_reserve(&self, bytes: u64) -> Option<Reservation> {
        self.budget.try_add(bytes).then(|| self.hold(bytes))
    }

    /// Reserves bytes; owners of lower [`Kind`]s give way if it takes that.
    ///
    /// # Errors
    /// [`OutOfMemory`], with everyone who holds something, when that isn't enough either.
    pub fn claim(&self, bytes: u64) -> Result<Reservation, OutOfMemory> {
        if let Some(reservation) = self.try_reserve(bytes) {
            return Ok(reservation);
        }
        self.budget.reclaim(bytes.saturating_sub(self.budget.free()), self.entry.kind);
        self.try_reserve(bytes).ok_or_else(|| OutOfMemory {
            owner: self.entry.owner.to_string(),
            kind: self.entry.kind,
            asked: bytes,
            report: self.budget.report(),
        })
    }

    /// Counts bytes that are held already, whether they fit or not. Holders of lower [`Kind`]s give way first.
    pub fn take(&self, bytes: u64) -> Reservation {
        let short = bytes.saturating_sub(self.budget.free());
        if short > 0 {
            self.budget.reclaim(short, self.entry.kind);
        }
        self.budget.add(bytes);
        self.hold(bytes)
    }

    /// The owner's name.
    pub fn owner(&self) -> &str {
        &self.entry.owner
    }

    /// What it holds.
    pub fn used(&self) -> u64 {
        self.entry.used.load(Relaxed)
    }

    /// The budget this account is with.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// The budget has the bytes already; adds them here.
    fn hold(&self, bytes: u64) -> Reservation {
        let before = self.entry.used.fetch_add(bytes, Relaxed);
        self.entry.peak.fetch_max(before + bytes, Relaxed);
        Reservation { account: self.clone(), bytes }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({} {}: {})", self.entry.owner, self.entry.kind, human_bytes(self.used()))
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

    /// Takes over the bytes of another one of the same account.
    pub(super) fn absorb(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Gives part of it back.
    pub fn shrink_to(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes);
        self.bytes -= less;
        self.give_back(less);
    }

    fn give_back(&self, bytes: u64) {
        self.account.entry.used.fetch_sub(bytes, Relaxed);
        self.account.budget.used.fetch_sub(bytes, Relaxed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
