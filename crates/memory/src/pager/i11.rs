//! Invariant 11, bytes can't outlive the guard that keeps them in place: programs that must not compile. The tests of
//! the documentation run them.

/// ```compile_fail,E0597
/// use kiln_memory::{Budget, Kind, pager::{Acquisition, ContentKey, Pager}, provider::HostVm};
/// let pager = Pager::new(HostVm::new(), 1 << 20);
/// let vbar = pager.register(Budget::unlimited("host").account("unet", Kind::Weights), 4096).unwrap();
/// let unit = vbar.add_unit(16).unwrap();
/// let bytes: &[u8] = match vbar.acquire(unit, ContentKey(1)) {
///     Acquisition::Hit(pin) => &*pin,
///     _ => &[],
/// };
/// assert!(bytes.is_empty());
/// ```
/// The same program with the guard kept longer compiles:
/// ```
/// use kiln_memory::{Budget, Kind, pager::{Acquisition, ContentKey, Pager}, provider::HostVm};
/// let pager = Pager::new(HostVm::new(), 1 << 20);
/// let vbar = pager.register(Budget::unlimited("host").account("unet", Kind::Weights), 4096).unwrap();
/// let unit = vbar.add_unit(16).unwrap();
/// let acquisition = vbar.acquire(unit, ContentKey(1));
/// let bytes: &[u8] = match &acquisition {
///     Acquisition::Hit(pin) => &**pin,
///     _ => &[],
/// };
/// assert!(bytes.is_empty());
/// ```
#[allow(non_camel_case_types, dead_code)]
struct i11_bytes_cannot_outlive_their_pin;

/// ```compile_fail,E0597
/// use kiln_memory::{Budget, MemorySource, Weights};
/// let weights = Weights::new(MemorySource::new("m"), "unet", &Budget::unlimited("host"));
/// let weight = weights.weight("w").unwrap();
/// let numbers: &[f32];
/// {
///     let values = weight.read().unwrap();
///     numbers = &*values;
/// }
/// assert!(numbers.is_empty());
/// ```
#[allow(non_camel_case_types, dead_code)]
struct i11_numbers_cannot_outlive_their_values;
