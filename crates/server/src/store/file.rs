//! The file: opened, checked and made where it is missing.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable};

use super::change::Change;
use super::error::StoreError;
use super::journal::Journal;
use super::tables::{APPLIED, BEGUN, COUNTS, FORMAT, HISTORY, IDS, JOBS, ROWS, THIS_FORMAT, WAITING};

/// The file's name in the data folder.
const NAME: &str = "kiln.redb";
/// The names of its journal's files.
pub(super) const JOURNALS: [&str; 2] = ["kiln.journal", "kiln.journal2"];
/// What reading keeps in memory. It fills as the history grows, so it is most of what a server grows by; the system's own
/// cache of files has the rest.
const CACHE: usize = 1 << 20;
/// How long to wait for a process that is about to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the file in a folder, or makes it; without a folder, everything is kept in memory.
///
/// # Errors
/// When the file can't be used: another server has it, it is damaged, or it is of a later version.
pub(super) fn open(folder: Option<&Path>) -> Result<Database, StoreError> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    let Some(folder) = folder else {
        let database = builder.create_with_backend(InMemoryBackend::new())?;
        prepare(&database, Path::new("memory"))?;
        return Ok(database);
    };
    let path = folder.join(NAME);
    fs::create_dir_all(folder).map_err(|error| StoreError::file(&path, error))?;
    let begun = Instant::now();
    let database = loop {
        match builder.create(&path) {
            Err(DatabaseError::DatabaseAlreadyOpen) if begun.elapsed() < PATIENCE => sleep(Duration::from_millis(50)),
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                let why = "another server uses it; end that one, or give this one another data folder";
                return Err(StoreError::file(&path, why));
            }
            Err(error) => {
                let why = format!("{error}; move it away to begin with an empty queue and history");
                return Err(StoreError::file(&path, why));
            }
            Ok(database) => break database,
        }
    };
    private(&path);
    prepare(&database, &path)?;
    Ok(database)
}

/// Prompts are nobody else's business.
fn private(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // On a file system without owners everybody may read it, as everything there.
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o600));
    }
    #[cfg(not(unix))]
    let _ = path;
}

/// Opens the journal of the file in a folder. Returns the changes that the file has not.
///
/// # Errors
/// When the journal can't be used.
pub(super) fn journal(folder: &Path, database: &Database) -> Result<(Journal, Vec<Change>), StoreError> {
    let read = database.begin_read()?;
    let applied = read.open_table(COUNTS)?.get(APPLIED)?.map_or(0, |applied| applied.value());
    let paths = JOURNALS.map(|name| folder.join(name));
    Journal::open([&paths[0], &paths[1]], applied).map_err(|error| StoreError::file(&paths[0], error))
}

/// Makes the tables that are missing, so that reading finds all of them.
fn prepare(database: &Database, path: &Path) -> Result<(), StoreError> {
    let write = database.begin_write()?;
    {
        let mut counts = write.open_table(COUNTS)?;
        let format = counts.get(FORMAT)?.map(|format| format.value());
        if format.is_some_and(|format| format != THIS_FORMAT) {
            return Err(StoreError::file(path, "a later version of Kiln has written it; use that one"));
        }
        counts.insert(FORMAT, THIS_FORMAT)?;
        write.open_table(WAITING)?;
        write.open_table(BEGUN)?;
        write.open_table(HISTORY)?;
        write.open_table(IDS)?;
        write.open_table(ROWS)?;
        write.open_table(JOBS)?;
    }
    Ok(write.commit()?)
}
