//! Frames that become one file, from VideoHelperSuite: VHS_VideoCombine.

mod combine;
mod filenames;
mod formats;

pub(super) use combine::register;
