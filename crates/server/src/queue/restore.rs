//! Jobs that an earlier process has left: read, validated again, and sorted into those that go on and those that don't.

use kiln_nodes::Session;

use super::job::Job;
use crate::config::Resume;
use crate::store::{Snapshot, StoreError};

/// A prompt that was at work so many times when its server ended does not begin again.
const MOST_TIMES: u32 = 3;

/// What becomes of a job that was left.
pub(super) enum Left {
    /// It waits again.
    Waits(Job),
    /// It ends, for this reason.
    Ends(Job, String),
}

/// All jobs that were left. What can't be read is warned of, and stays where it is.
///
/// # Errors
/// When the file can't be read.
pub(super) fn left(session: &Session, snapshot: &Snapshot, resume: Resume) -> Result<Vec<Left>, StoreError> {
    let mut left = Vec::new();
    for (place, text, times) in snapshot.waiting()? {
        match Job::read(place, &text) {
            Ok(job) => left.push(judge(session, job, times, resume)),
            Err(why) => tracing::warn!("a prompt that waited can't be read and stays where it is: {why}"),
        }
    }
    Ok(left)
}

fn judge(session: &Session, mut job: Job, times: u32, resume: Resume) -> Left {
    if times > 0 && resume == Resume::Mark {
        return Left::Ends(job, "the server ended while this prompt ran".into());
    }
    if times >= MOST_TIMES {
        return Left::Ends(job, format!("the server ended {times} times while this prompt ran"));
    }
    let mut prompt = (*job.prompt).clone();
    match session.engine().validate(&mut prompt, Some(&job.validated.outputs)) {
        Ok(validated) => {
            job.prompt = prompt.into();
            job.validated = validated;
            Left::Waits(job)
        }
        Err(error) => Left::Ends(job, format!("it is not fit to run any more: {error}")),
    }
}
