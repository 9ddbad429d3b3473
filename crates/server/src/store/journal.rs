//! The journal: changes that the database has not on the disk yet, at the end of a file of their own.
//!
//! What is written to a file outlives a process that is killed at once; that the disk has it, too, takes milliseconds. So a
//! change goes to the journal before anybody hears of it, and the database is brought to the disk a little later, for many
//! changes in one go. There are two files, so that changes can come while those of the other one are brought there. Each
//! record has a number, so that a change that is in both, the journal and the database, is made once.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::change::Change;

/// Before each change: its length, a checksum of what follows, and its number, little-endian.
const HEAD: usize = 16;

/// A journal, open for writing.
pub(super) struct Journal {
    files: [Part; 2],
    /// Which of the files changes go to.
    active: usize,
    /// The number of the last record.
    last: u64,
}

/// One of its files.
struct Part {
    file: File,
    length: u64,
    /// The number of its last record.
    last: u64,
}

impl Journal {
    /// Opens or makes the files. Records with numbers up to `applied` are in the database already; the others are returned, in
    /// their order.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn open(paths: [&Path; 2], applied: u64) -> io::Result<(Self, Vec<Change>)> {
        let mut left = Vec::new();
        let mut part = |path| Part::open(path, &mut left);
        let files = [part(paths[0])?, part(paths[1])?];
        left.retain(|(number, _)| *number > applied);
        left.sort_by_key(|(number, _)| *number);
        let last = left.last().map_or(applied, |(number, _)| *number);
        // The file that is written to has the later records.
        let active = usize::from(files[1].last > files[0].last);
        Ok((Self { files, active, last }, left.into_iter().map(|(_, change)| change).collect()))
    }

    /// The number of the last record.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// How many bytes the file has that changes go to.
    pub(super) fn length(&self) -> u64 {
        self.files[self.active].length
    }

    /// Adds a change: its [text](Change::to_text).
    ///
    /// # Errors
    /// The system's; then it is not in it.
    pub(super) fn add(&mut self, text: &[u8]) -> io::Result<()> {
        let number = self.last + 1;
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        let numbered = [&number.to_le_bytes()[..], text].concat();
        let sum = crc32fast::hash(&numbered);
        let record = [&length.to_le_bytes()[..], &sum.to_le_bytes(), &numbered].concat();
        self.files[self.active].add(&record, number)?;
        self.last = number;
        Ok(())
    }

    /// From now on changes go to the other file, if that is empty.
    pub(super) fn turn_over(&mut self) {
        if self.files[1 - self.active].length == 0 {
            self.active = 1 - self.active;
        }
    }

    /// Empties the files whose records all have numbers up to this one: the disk's database has them.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn drop_up_to(&mut self, last: u64) -> io::Result<()> {
        let mut old = self.files.iter_mut().filter(|part| part.length > 0 && part.last <= last);
        old.try_for_each(|part| part.cut(0))
    }
}

impl Part {
    /// Opens or makes a file, and adds its records to `found`.
    fn open(path: &Path, found: &mut Vec<(u64, Change)>) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (mut last, mut rest) = (0, &bytes[..]);
        // The last record may be torn: then nobody has heard of it.
        while let Some((number, change, after)) = record(rest) {
            found.push((number, change));
            (last, rest) = (number, after);
        }
        let mut part = Self { file, length: 0, last };
        part.cut((bytes.len() - rest.len()) as u64)?;
        Ok(part)
    }

    fn add(&mut self, record: &[u8], number: u64) -> io::Result<()> {
        if let Err(error) = self.file.write_all(record) {
            self.cut(self.length)?;
            return Err(error);
        }
        (self.length, self.last) = (self.length + record.len() as u64, number);
        Ok(())
    }

    /// Takes everything behind a length out again.
    fn cut(&mut self, length: u64) -> io::Result<()> {
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
    use std::path::PathBuf;

    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn path(&self, index: usize) -> PathBuf {
            self.0.path().join(index.to_string())
        }

        fn open(&self, applied: u64) -> (Journal, String) {
            let (journal, changes) = Journal::open([&self.path(0), &self.path(1)], applied).unwrap();
            (journal, format!("{changes:?}"))
        }
    }

    fn add(journal: &mut Journal, changes: &[Change]) {
        for change in changes {
            journal.add(&change.to_text().unwrap()).unwrap();
        }
    }

    #[test]
    fn whole_records_come_back_once_and_a_torn_one_does_not() {
        let files = Files(tempfile::tempdir().unwrap());
        let (mut journal, none) = files.open(7);
        assert_eq!(none, "[]");
        add(&mut journal, &[Change::Begin(1), Change::Begin(2)]);
        let whole = journal.length();
        add(&mut journal, &[Change::Pause(true)]);
        assert_eq!(journal.last(), 10);
        assert_eq!(files.open(7).1, "[Begin(1), Begin(2), Pause(true)]");
        assert_eq!(files.open(9).1, "[Pause(true)]");
        for cut in 1..journal.length() - whole {
            let bytes = std::fs::read(files.path(0)).unwrap();
            std::fs::write(files.path(0), &bytes[..bytes.len() - cut as usize]).unwrap();
            assert_eq!(files.open(7).1, "[Begin(1), Begin(2)]", "cut by {cut}");
            std::fs::write(files.path(0), bytes).unwrap();
        }
        let mut bytes = std::fs::read(files.path(0)).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(files.path(0), bytes).unwrap();
        assert_eq!(files.open(7).1, "[Begin(1), Begin(2)]");
        assert_eq!(std::fs::metadata(files.path(0)).unwrap().len(), whole, "what is torn is gone");
    }

    #[test]
    fn changes_that_come_while_others_are_settled_stay_and_keep_their_order() {
        let files = Files(tempfile::tempdir().unwrap());
        let (mut journal, _) = files.open(0);
        add(&mut journal, &[Change::Begin(1)]);
        journal.turn_over();
        add(&mut journal, &[Change::Begin(2)]);
        assert_eq!(files.open(0).1, "[Begin(1), Begin(2)]", "both files are read");
        // The disk was not ready: nothing is turned over onto records.
        journal.turn_over();
        add(&mut journal, &[Change::Begin(3)]);
        assert_eq!(files.open(0).1, "[Begin(1), Begin(2), Begin(3)]");
        journal.drop_up_to(1).unwrap();
        assert_eq!(files.open(0).1, "[Begin(2), Begin(3)]");
        journal.turn_over();
        add(&mut journal, &[Change::Begin(4)]);
        let (mut again, left) = files.open(0);
        assert_eq!(left, "[Begin(2), Begin(3), Begin(4)]");
        add(&mut again, &[Change::Begin(5)]);
        assert_eq!(files.open(0).1, "[Begin(2), Begin(3), Begin(4), Begin(5)]");
        again.drop_up_to(5).unwrap();
        assert_eq!((files.open(5).1, again.last()), ("[]".to_owned(), 5));
    }
}
