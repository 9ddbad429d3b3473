//! An app that shows runs in a terminal, with what the command shows them with.
#![cfg(test)]

use kiln::cli::options;

#[test]
fn sizes_are_read_as_the_command_reads_them() {
    assert_eq!(options::bytes("600M"), Ok(600 << 20));
}
