//! The methods of a provider that a double leaves as they are.

/// Methods that go to the provider below as they are.
macro_rules! forward {
    ($($method:ident),*) => { $(forward!(@ $method);)* };
    (@ page_size) => {
        fn page_size(&self) -> usize {
            self.inner.page_size()
        }
    };
    (@ reserve) => {
        fn reserve(&self, bytes: usize) -> Result<P::Region, ProviderError> {
            self.inner.reserve(bytes)
        }
    };
    (@ release) => {
        unsafe fn release(&self, region: P::Region) {
            // SAFETY: the caller's promises are those of the provider below.
            unsafe { self.inner.release(region) }
        }
    };
    (@ commit) => {
        fn commit(&self, region: P::Region, pages: Range<usize>) -> Result<(), ProviderError> {
            self.inner.commit(region, pages)
        }
    };
    (@ decommit) => {
        unsafe fn decommit(&self, region: P::Region, pages: Range<usize>) {
            // SAFETY: the caller's promises are those of the provider below.
            unsafe { self.inner.decommit(region, pages) }
        }
    };
    (@ address) => {
        fn address(&self, region: P::Region, at: usize) -> Option<NonNull<u8>> {
            self.inner.address(region, at)
        }
    };
    (@ is_done) => {
        fn is_done(&self, ticket: Ticket) -> bool {
            self.inner.is_done(ticket)
        }
    };
    (@ wait) => {
        fn wait(&self, ticket: Ticket) -> Result<(), ProviderError> {
            self.inner.wait(ticket)
        }
    };
    (@ fence) => {
        fn fence(&self) -> Ticket {
            self.inner.fence()
        }
    };
    (@ info) => {
        fn info(&self) -> MemInfo {
            self.inner.info()
        }
    };
    (@ trim) => {
        fn trim(&self) {
            self.inner.trim();
        }
    };
    (@ scattered) => {
        fn scattered(&self, keep: u64) -> Vec<(P::Region, usize)> {
            self.inner.scattered(keep)
        }
    };
    (@ recover) => {
        fn recover(&self) -> Result<(), ProviderError> {
            self.inner.recover()
        }
    };
}
pub(super) use forward;
