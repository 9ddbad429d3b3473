//! Ids of expanded nodes: unique, the same in every run, and bounded in length however deep the expansion.

use std::borrow::Cow;

use crate::id::NodeId;

/// Ids longer than this are shortened before something is put behind them.
const LONGEST: usize = 128;
/// How much of a long id stays readable.
const HEAD: usize = 64;

/// What the ids of an expansion's nodes begin with: `<expanding node>.<call>.<graph>.`
///
/// `call` is the index of the mapped call, `graph` counts the graphs built within that call. Every iteration of a
/// loop by expansion lives one level deeper than the one before; so that a hundred thousand iterations do not get
/// ids of a megabyte, an id of more than 128 bytes goes in as its beginning and a digest of the whole.
pub fn expansion_prefix(node: &NodeId, call: u32, graph: u32) -> String {
    let id = short_id(node.as_str());
    let mut prefix = String::with_capacity(id.len() + 12);
    prefix.push_str(&id);
    let mut digits = itoa::Buffer::new();
    for number in [call, graph] {
        prefix.push('.');
        prefix.push_str(digits.format(number));
    }
    prefix.push('.');
    prefix
}

/// The id itself, or of one of more than 128 bytes its beginning and a digest of the whole.
pub fn short_id(id: &str) -> Cow<'_, str> {
    if id.len() <= LONGEST {
        return id.into();
    }
    format!("{}~{:032x}", head(id), fnv128(id.as_bytes())).into()
}

fn head(id: &str) -> &str {
    let mut end = HEAD;
    while !id.is_char_boundary(end) {
        end -= 1;
    }
    &id[..end]
}

/// FNV-1a with 128 bits: fixed for ever, unlike a hash map's.
fn fnv128(bytes: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}
