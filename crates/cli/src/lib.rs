//! The kiln command.
