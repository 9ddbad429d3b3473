//! How a topic registers its node classes.

/// Writes the topic's `register`, which adds the classes to a registry in this order.
macro_rules! classes {
    ($($node:path),* $(,)?) => {
        /// Adds this topic's classes to `registry`.
        pub(in crate::comfy) fn register(registry: &mut kiln_exec::Registry) {
            $( registry.add::<$node>(); )*
        }
    };
}
pub(in crate::comfy) use classes;
