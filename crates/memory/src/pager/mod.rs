//! Address ranges whose units come and go: acquire returns Hit, Fill or Stream. Knows bytes, keys and a policy;
//! knows no file and no format.
//!
//! One lock per device guards the books, and only the books: commits, decommits, copies and waits happen outside it. A
//! unit that is on its way in or out belongs to the thread that moves it; everyone else streams meanwhile, so no
//! thread ever waits for another.

mod acquire;
mod counters;
mod describe;
mod forecast;
mod freeze;
mod host;
#[cfg(doctest)]
mod i11;
mod inner;
mod loss;
mod pin;
mod plan;
mod policy;
mod room;
mod state;
#[cfg(all(test, not(feature = "shuttle")))]
mod tests;
mod vbar;
mod work;

pub use counters::Counters;
pub use describe::{Map, MapRow};
pub use forecast::{Forecast, Outline};
pub use freeze::{CaptureRefused, Frozen};
pub use host::HostPager;
pub use inner::Pager;
pub use pin::{Acquisition, Pin, Vacant};
pub use plan::{Run, Schedule};
pub use policy::Policy;
pub use state::{ContentKey, UnitId};
pub use vbar::Vbar;
