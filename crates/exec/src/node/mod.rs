//! What a node class is: the traits it implements, what its calls get, what they may return.
//!
//! Knows single calls. Which node is called when is the run's business.

mod args;
mod class;
mod constants;
mod cx;
mod dynamic;
mod hidden;
mod outcome;
mod registry;
mod resources;
mod schedule;
mod socket;
mod ui;
mod view;

pub use self::args::{Arg, Args};
pub use self::class::{Behaviour, Execute, ExecuteAsync, Lane, NodeClass};
pub(crate) use self::class::{Body, Call, Start};
pub(crate) use self::constants::literal;
pub use self::constants::{ConstantInputs, Fingerprint};
pub(crate) use self::cx::{Ancestry, Ids, Shared};
pub use self::cx::{Cx, Progress};
pub use self::dynamic::{DynNode, DynReply};
pub(crate) use self::hidden::HiddenKind;
pub use self::hidden::{ExtraPngInfo, HiddenValue, LivePrompt, SubmittedPrompt, UniqueId};
pub use self::outcome::{Answer, Expansion, IntoOutcome, Outcome, Produced, WithUi};
pub(crate) use self::registry::CurrentDefs;
pub use self::registry::{Class, Registry};
pub use self::resources::{Passes, Provided, Resources};
pub(crate) use self::schedule::Request;
pub use self::schedule::Schedule;
pub use self::socket::{Extras, Lazy, RawLink, Socket, declare};
pub use self::ui::Ui;
pub use self::view::NodeView;
