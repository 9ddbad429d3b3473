//! Python's flags, and how a pattern switches them. Knows their letters.

use super::error::PatternError;
use super::reader::Reader;

/// Letters of Python's flags.
pub(super) const FLAG_LETTERS: &str = "aiLmsux";

/// Python's flags.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of Python's with its letter")]
pub(in crate::comfy::text) struct Flags {
    /// Large and small letters are the same.
    pub(super) ignore_case: bool,
    /// `^` and `$` stand for the ends of lines.
    pub(super) multiline: bool,
    /// `.` stands for line breaks, too.
    pub(super) dotall: bool,
    pub(super) ascii: bool,
    pub(super) verbose: bool,
}

impl Flags {
    /// The three that nodes have switches for.
    pub(in crate::comfy::text) fn new(ignore_case: bool, multiline: bool, dotall: bool) -> Self {
        Self { ignore_case, multiline, dotall, ascii: false, verbose: false }
    }

    /// These flags changed by `(?im)` or `(?im-s:`, and whether a colon ended that.
    pub(super) fn switched(mut self, reader: &mut Reader) -> Result<(Flags, bool), PatternError> {
        let (mut on, mut global, start) = (true, true, reader.at);
        loop {
            match reader.next() {
                Some(c) if "imsxau".contains(c) => {
                    if !on && "au".contains(c) {
                        return Reader::error("bad inline flags: cannot turn off flags 'a', 'u' and 'L'", reader.at);
                    }
                    self.set(c, on);
                }
                Some('L') => {
                    return Reader::error("bad inline flags: cannot use 'L' flag with a str pattern", reader.at);
                }
                Some('-') if on && reader.peek().is_some_and(|c| c != ':') => (on, global) = (false, false),
                Some(')') if global && reader.at - 1 > start => return Ok((self, false)),
                Some(':') => return Ok((self, true)),
                Some(c) if c.is_alphabetic() => return Reader::error("unknown flag", reader.at - 1),
                Some(_) => return Reader::error("missing -, : or )", reader.at - 1),
                None => return Reader::error("missing -, : or )", reader.at),
            }
        }
    }

    fn set(&mut self, letter: char, on: bool) {
        match letter {
            'i' => self.ignore_case = on,
            'm' => self.multiline = on,
            's' => self.dotall = on,
            'x' => self.verbose = on,
            'a' => self.ascii = true,
            _ => self.ascii = false,
        }
    }
}
