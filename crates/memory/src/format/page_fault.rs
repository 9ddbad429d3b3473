//! Pages of a map that are not there any more: a fault becomes a fact that can be asked for, instead of the end of the
//! process. Knows address ranges and one signal.
//!
//! When a file is cut while it is mapped, touching a page behind its new end raises SIGBUS. The handler puts zeros
//! there and notes it; whoever uses the map asks afterwards ([`Watch::hit`]) and throws the result away. Faults
//! elsewhere go to whoever handled them before. Linux only: elsewhere nothing is watched.
//!
//! The table of ranges is the one global of this crate: a signal handler has nowhere else to look.
#![allow(unsafe_code)]

use std::sync::Arc;

/// A map that is watched. Clones watch the same one.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    entry: Arc<system::Entry>,
}

impl Watch {
    /// Watches a map from now on. When there are more maps than the table holds, nothing is noticed of this one.
    pub(crate) fn over(map: &[u8]) -> Self {
        Self { entry: Arc::new(system::Entry::new(map.as_ptr().addr(), map.len())) }
    }

    /// Whether a page of it was touched that isn't there any more.
    pub(crate) fn hit(&self) -> bool {
        self.entry.hit()
    }

    /// The map is about to go.
    pub(crate) fn end(&self) {
        self.entry.end();
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::{
        ffi::c_int,
        ptr::{null, null_mut},
        sync::{
            OnceLock,
            atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        },
    };

    const FREE: usize = 0;
    /// Taken, but not yet, or not any more, a range.
    const TAKEN: usize = 1;

    struct Row {
        start: AtomicUsize,
        end: AtomicUsize,
        hit: AtomicBool,
    }

    static TABLE: [Row; 1024] =
        [const { Row { start: AtomicUsize::new(FREE), end: AtomicUsize::new(0), hit: AtomicBool::new(false) } }; 1024];
    static PAGE: AtomicUsize = AtomicUsize::new(4096);
    static BEFORE: OnceLock<Previous> = OnceLock::new();

    struct Previous(libc::sigaction);
    // SAFETY: plain data, written once before the handler can run.
    unsafe impl Send for Previous {}
    // SAFETY: as above.
    unsafe impl Sync for Previous {}

    #[derive(Debug)]
    pub(super) struct Entry {
        row: Option<usize>,
    }

    impl Entry {
        pub(super) fn new(start: usize, len: usize) -> Self {
            BEFORE.get_or_init(install);
            let free = |row: &Row| row.start.compare_exchange(FREE, TAKEN, SeqCst, SeqCst).is_ok();
            let row = TABLE.iter().position(free);
            if let Some(row) = row.map(|row| &TABLE[row]) {
                row.hit.store(false, SeqCst);
                row.end.store(start + len, SeqCst);
                row.start.store(start, SeqCst);
            }
            Self { row }
        }

        pub(super) fn hit(&self) -> bool {
            self.row.is_some_and(|row| TABLE[row].hit.load(SeqCst))
        }

        pub(super) fn end(&self) {
            if let Some(row) = self.row {
                TABLE[row].start.store(TAKEN, SeqCst);
                TABLE[row].end.store(0, SeqCst);
            }
        }
    }

    impl Drop for Entry {
        fn drop(&mut self) {
            self.end();
            if let Some(row) = self.row {
                TABLE[row].start.store(FREE, SeqCst);
            }
        }
    }

    fn install() -> Previous {
        PAGE.store(rustix::param::page_size(), SeqCst);
        // SAFETY: `sigaction` is plain data for which zeros are a valid value; the handler below is what SA_SIGINFO asks
        // for, touches atomics and makes system calls only.
        unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(libc::SIGBUS, null(), &raw mut before) == 0 {
                let mut ours: libc::sigaction = std::mem::zeroed();
                ours.sa_sigaction = on_fault as *const () as usize;
                ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigemptyset(&raw mut ours.sa_mask);
                libc::sigaction(libc::SIGBUS, &raw const ours, null_mut());
            }
            Previous(before)
        }
    }

    unsafe extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: the system hands the handler a valid description of a fault.
        let address = unsafe { (*info).si_addr() }.addr();
        if let Some(row) = TABLE.iter().find(|row| covers(row, address)) {
            let page = address & !(PAGE.load(SeqCst) - 1);
            let len = row.end.load(SeqCst).saturating_sub(page);
            let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            // SAFETY: from here to the end of this read-only map of ours the file has no bytes any more, or can't be read;
            // zeros take their place, and what was computed from the map is thrown away. Readers see no signal.
            let mapped = unsafe { libc::mmap(page as *mut libc::c_void, len, libc::PROT_READ, flags, -1, 0) };
            if mapped != libc::MAP_FAILED {
                row.hit.store(true, SeqCst);
                return;
            }
        }
        pass_on(signal, info, context);
    }

    fn covers(row: &Row, address: usize) -> bool {
        let start = row.start.load(SeqCst);
        start > TAKEN && address >= start && address < row.end.load(SeqCst)
    }

    /// To whoever handled it before; by default, the end of the process at the next touch.
    fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let before = BEFORE.get().map_or(libc::SIG_DFL, |before| before.0.sa_sigaction);
        if before == libc::SIG_DFL || before == libc::SIG_IGN {
            // SAFETY: the default action is always a valid one.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
            return;
        }
        // SAFETY: a handler that was installed with SA_SIGINFO takes these three; one without takes the first alone,
        // and the calling convention lets it be given more.
        unsafe {
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void) = std::mem::transmute(before);
            handler(signal, info, context);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    #[derive(Debug)]
    pub(super) struct Entry;

    impl Entry {
        pub(super) fn new(_: usize, _: usize) -> Self {
            Self
        }

        pub(super) fn hit(&self) -> bool {
            false
        }

        pub(super) fn end(&self) {}
    }
}
