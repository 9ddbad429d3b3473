//! Users and what they keep: a folder each, settings in it, and the list of users.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::store::replace;
use crate::http::answer::Refusal;

/// The only user of a server without users.
const DEFAULT: &str = "default";
/// The list of users.
const USERS: &str = "users.json";
/// A user's settings.
const SETTINGS: &str = "comfy.settings.json";

/// Users and what they keep.
pub(crate) struct Users {
    root: PathBuf,
    multi: bool,
    /// Held while a file is read, changed and written.
    changing: Mutex<()>,
}

impl Users {
    pub(crate) fn new(root: PathBuf, multi: bool) -> Self {
        Self { root, multi, changing: Mutex::default() }
    }

    /// The folder of whoever sent a request with this header `Comfy-User`.
    ///
    /// # Errors
    /// 401 for somebody unknown.
    pub(crate) fn folder(&self, header: Option<&str>) -> Result<PathBuf, Refusal> {
        if !self.multi {
            return Ok(self.root.join(DEFAULT));
        }
        let id = header.filter(|id| self.list().contains_key(*id));
        let id = id.ok_or_else(|| Refusal::Said(StatusCode::UNAUTHORIZED, "Unknown user".into()))?;
        Ok(self.root.join(id))
    }

    /// What the page asks first.
    pub(crate) fn overview(&self) -> Value {
        if self.multi {
            json!({"storage": "server", "users": self.list()})
        } else {
            json!({"storage": "server", "migrated": self.root.join(DEFAULT).is_dir()})
        }
    }

    /// A new user. Returns their id.
    ///
    /// # Errors
    /// 400 for a name that is taken or empty.
    pub(crate) async fn add(&self, name: &str) -> Result<String, Refusal> {
        let _changing = self.changing.lock().await;
        let mut users = self.list();
        let refused = |why: &str| Refusal::Data(StatusCode::BAD_REQUEST, json!({ "error": why }));
        if name.trim().is_empty() {
            return Err(refused("Username not provided."));
        }
        if users.values().any(|known| known == name) {
            return Err(refused("Duplicate username."));
        }
        let id = format!("{}_{}", plain(name), Uuid::new_v4());
        users.insert(id.clone(), name.into());
        write(&self.root, USERS, &users.into())?;
        fs::create_dir_all(self.root.join(&id)).map_err(|error| unwritable(&error))?;
        Ok(id)
    }

    /// The settings in a user's folder; none where they can't be read.
    pub(crate) fn settings(folder: &Path) -> Map<String, Value> {
        read(&folder.join(SETTINGS))
    }

    /// Changes settings.
    ///
    /// # Errors
    /// 500 when they can't be written.
    pub(crate) async fn set(&self, folder: &Path, new: Map<String, Value>) -> Result<(), Refusal> {
        let _changing = self.changing.lock().await;
        let mut settings = Self::settings(folder);
        settings.extend(new);
        write(folder, SETTINGS, &settings.into())
    }

    fn list(&self) -> Map<String, Value> {
        read(&self.root.join(USERS))
    }
}

/// A name as part of a folder's: runs of other characters become hyphens.
fn plain(name: &str) -> String {
    let mut plain = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
            plain.push(c);
        } else if !plain.ends_with('-') {
            plain.push('-');
        }
    }
    plain
}

fn read(file: &Path) -> Map<String, Value> {
    let read = fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok());
    read.unwrap_or_default()
}

fn write(folder: &Path, file: &str, value: &Value) -> Result<(), Refusal> {
    let written = fs::create_dir_all(folder).and_then(|()| {
        let text = serde_json::to_vec_pretty(value).map_err(io::Error::other)?;
        replace(&folder.join(file), &text)
    });
    written.map_err(|error| unwritable(&error))
}

/// The refusal for what the system does not let happen.
pub(crate) fn unwritable(error: &io::Error) -> Refusal {
    tracing::warn!("can't write what a user keeps: {error}");
    Refusal::Said(StatusCode::INTERNAL_SERVER_ERROR, format!("can't be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_become_plain() {
        assert_eq!(plain("Jo Æ/../x_1"), "Jo-x_1");
    }
}
