//! Payloads: what a node may put on a link besides what JSON can say.
//!
//! An object knows its socket type, where its bytes are and how many. It knows nothing of the run that carries it, and
//! nothing of how it is written down: that is its codec's business.

use std::any::Any;
use std::sync::Arc;

/// A payload on a link. Accounting is part of the contract, so that outputs and caches can be held to bytes.
///
/// Implement it through [`object!`](crate::object!), which also gives the conversions that typed nodes need.
pub trait Object: Any + Send + Sync {
    /// The socket type, as in `/object_info`: `"IMAGE"`, `"MODEL"`, …
    fn socket_type(&self) -> &str;

    /// Bytes that would come free if this were the last handle.
    fn bytes(&self) -> u64 {
        0
    }

    /// The device that holds those bytes: `"cpu"`, `"cuda:0"`, …
    #[allow(clippy::unnecessary_literal_bound, reason = "payloads return names of their own")]
    fn device(&self) -> &str {
        "cpu"
    }

    /// The identity of the storage behind this handle. Handles of one storage count once. Without one
    /// every `Arc` counts as a storage of its own.
    fn storage(&self) -> Option<u64> {
        None
    }
}

impl dyn Object {
    /// The payload as a `T`, when it is one.
    pub fn downcast_ref<T: Object>(&self) -> Option<&T> {
        let any: &dyn Any = self;
        any.downcast_ref()
    }
}

/// The storage that `object` counts under: its own identity, or the address of the shared handle.
pub(crate) fn storage_of(object: &Arc<dyn Object>) -> u64 {
    object.storage().unwrap_or_else(|| Arc::as_ptr(object).cast::<()>().addr() as u64)
}

/// Makes a cloneable type a payload with a socket type and a size.
///
/// ```
/// #[derive(Clone)]
/// struct Pixels(std::sync::Arc<[f32]>);
/// kiln_exec::object!(Pixels, "IMAGE", |p| (p.0.len() * 4) as u64);
/// ```
///
/// A third closure names the device: `object!(Pixels, "IMAGE", |p| 0, device: |p| p.device())`, a fourth the
/// storage: `…, storage: |p| Some(p.id())`.
#[macro_export]
macro_rules! object {
    ($type:ty, $name:literal $(,)?) => { $crate::object!($type, $name, |_| 0); };
    ($type:ty, $name:literal, $bytes:expr $(, device: $device:expr)? $(, storage: $storage:expr)? $(,)?) => {
        impl $crate::Object for $type {
            fn socket_type(&self) -> &str { $name }
            fn bytes(&self) -> u64 { let of: fn(&Self) -> u64 = $bytes; of(self) }
            $(fn device(&self) -> &str { let of: fn(&Self) -> &str = $device; of(self) })?
            $(fn storage(&self) -> ::core::option::Option<u64> {
                let of: fn(&Self) -> ::core::option::Option<u64> = $storage; of(self)
            })?
        }
        impl $crate::FromValue for $type {
            type Kind = $type;
            const TYPE: &'static str = $name;
            fn from_value(value: $crate::Value) -> ::core::result::Result<Self, $crate::Value> {
                match value.downcast_ref::<$type>() {
                    ::core::option::Option::Some(payload) => ::core::result::Result::Ok(payload.clone()),
                    ::core::option::Option::None => ::core::result::Result::Err(value),
                }
            }
        }
        impl $crate::IntoValue for $type {
            type Kind = $type;
            const TYPE: &'static str = $name;
            fn into_value(self) -> $crate::Value { $crate::Value::object(self) }
        }
        impl $crate::LinksInto<$type> for $type {}
        impl $crate::LinksInto<$crate::kind::Any> for $type {}
    };
}
