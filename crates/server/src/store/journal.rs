//! The journal: changes that the database has not on the disk yet, at the end of a file of their own.
//!
//! What is written to a file outlives a process that is killed at once; that the disk has it, too, takes milliseconds. So a
//! change goes to the journal before anybody hears of it, and the database is brought to the disk a little later, for many
//! changes in one go. Each record has a number, so that a change that is in both is made once.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::change::Change;

/// Before each change: its length, a checksum of what follows, and its number, little-endian.
const HEAD: usize = 16;

/// A journal, open for writing.
pub(super) struct Journal {
    file: File,
    length: u64,
    /// The number of the last record.
    last: u64,
}

impl Journal {
    /// Opens or makes the file. Records with numbers up to `applied` are in the database already.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn open(path: &Path, applied: u64) -> io::Result<(Self, Vec<Change>)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (mut changes, mut last, mut rest) = (Vec::new(), applied, &bytes[..]);
        // The last record may be torn: then nobody has heard of it.
        while let Some((number, change, after)) = record(rest) {
            if number > applied {
                changes.push(change);
                last = number;
            }
            rest = after;
        }
        let length = (bytes.len() - rest.len()) as u64;
        file.set_len(length)?;
        file.seek(SeekFrom::End(0))?;
        Ok((Self { file, length, last }, changes))
    }

    /// The number of the last record.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// How many bytes it has.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Adds changes.
    ///
    /// # Errors
    /// The system's; then none of them is in it.
    pub(super) fn add<'a>(&mut self, changes: impl Iterator<Item = &'a Change>) -> io::Result<()> {
        let (mut bytes, mut number) = (Vec::new(), self.last);
        for change in changes {
            number += 1;
            let text = serde_json::to_vec(change).map_err(io::Error::other)?;
            let length = u32::try_from(text.len()).map_err(io::Error::other)?;
            let numbered = [&number.to_le_bytes()[..], &text].concat();
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&crc32fast::hash(&numbered).to_le_bytes());
            bytes.extend_from_slice(&numbered);
        }
        if let Err(error) = self.file.write_all(&bytes) {
            self.cut(self.length)?;
            return Err(error);
        }
        (self.length, self.last) = (self.length + bytes.len() as u64, number);
        Ok(())
    }

    /// Takes everything behind a length out again.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length))?;
        self.length = length;
        Ok(())
    }
}

/// The first whole record: its number, its change, and what follows.
fn record(bytes: &[u8]) -> Option<(u64, Change, &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let length = u32::from_le_bytes(head[..4].try_into().ok()?) as usize;
    let sum = u32::from_le_bytes(head[4..8].try_into().ok()?);
    let number = u64::from_le_bytes(head[8..].try_into().ok()?);
    let (text, after) = rest.split_at_checked(length)?;
    let numbered = bytes.get(8..HEAD + length)?;
    if crc32fast::hash(numbered) != sum {
        return None;
    }
    Some((number, serde_json::from_slice(text).ok()?, after))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn whole_records_come_back_once_and_a_torn_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, none) = Journal::open(&path, 7).unwrap();
        assert!(none.is_empty());
        journal.add([Change::Begin(1), Change::Begin(2)].iter()).unwrap();
        let whole = journal.length();
        journal.add([Change::Pause(true)].iter()).unwrap();
        assert_eq!(journal.last(), 10);
        let told = |applied| format!("{:?}", Journal::open(&path, applied).unwrap().1);
        assert_eq!(told(7), "[Begin(1), Begin(2), Pause(true)]");
        assert_eq!(told(9), "[Pause(true)]");
        for cut in 1..journal.length() - whole {
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(&path, &bytes[..bytes.len() - cut as usize]).unwrap();
            assert_eq!(told(7), "[Begin(1), Begin(2)]", "cut by {cut}");
            std::fs::write(&path, bytes).unwrap();
        }
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(told(7), "[Begin(1), Begin(2)]");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), whole, "what is torn is gone");
    }
}
