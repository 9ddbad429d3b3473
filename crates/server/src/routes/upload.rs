//! Uploads: images and whatever else graphs read, and masks for images that are there.

use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::multipart::{Multipart, MultipartError, MultipartRejection};
use axum::http::StatusCode;
use kiln_nodes::files::Folders;
use serde_json::{Value, json};

use crate::files::mask::with_mask;
use crate::files::place::{self, Named};
use crate::files::store;
use crate::http::answer::{Answer, Json, Refusal};
use crate::http::blocking::blocking;
use crate::state::App;

/// The fields of an upload.
#[derive(Default)]
struct Form {
    name: String,
    bytes: Bytes,
    kind: Option<String>,
    subfolder: String,
    overwrite: bool,
    original: Option<String>,
}

impl Form {
    async fn read(form: Result<Multipart, MultipartRejection>) -> Answer<Self> {
        let mut form = form.map_err(|error| Refusal::Said(StatusCode::BAD_REQUEST, error.body_text()))?;
        let mut read = Self::default();
        while let Some(field) = form.next_field().await.map_err(broken)? {
            match field.name().unwrap_or_default() {
                "image" => {
                    read.name = field.file_name().unwrap_or_default().to_owned();
                    read.bytes = field.bytes().await.map_err(broken)?;
                }
                "type" => read.kind = Some(field.text().await.map_err(broken)?),
                "subfolder" => read.subfolder = field.text().await.map_err(broken)?,
                "overwrite" => read.overwrite = matches!(&*field.text().await.map_err(broken)?, "true" | "1"),
                "original_ref" => read.original = Some(field.text().await.map_err(broken)?),
                _ => {}
            }
        }
        if read.name.is_empty() { Err(Refusal::bad()) } else { Ok(read) }
    }

    /// Stores the bytes, and says under which name.
    fn store(&self, folders: &Folders, bytes: &[u8]) -> Answer<Json<Value>> {
        let kind = place::kind(self.kind.as_deref().unwrap_or("input"))?;
        let (folder, name) = store::target(folders.dir(kind), &self.subfolder, &self.name).ok_or_else(Refusal::bad)?;
        let stored = if self.overwrite {
            store::replace(&folder.join(&name), bytes).map(|()| name)
        } else {
            store::add(&folder, &name, bytes)
        };
        let name = stored.map_err(|error| Refusal::Said(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        let inner =
            Path::new(self.name.trim_start_matches(['/', '\\'])).parent().filter(|inner| *inner != Path::new(""));
        let name = inner.map_or(name.clone(), |inner| format!("{}/{name}", inner.display()));
        Ok(Json(json!({"name": name, "subfolder": self.subfolder, "type": kind.name()})))
    }
}

/// Also what is too large shows here.
fn broken(error: MultipartError) -> Refusal {
    Refusal::Said(error.status(), error.body_text())
}

pub(crate) async fn image(State(app): State<App>, form: Result<Multipart, MultipartRejection>) -> Answer<Json<Value>> {
    let form = Form::read(form).await?;
    let session = Arc::clone(&app.session);
    blocking(move || form.store(session.environment().folders(), &form.bytes)).await
}

pub(crate) async fn mask(State(app): State<App>, form: Result<Multipart, MultipartRejection>) -> Answer<Json<Value>> {
    let form = Form::read(form).await?;
    let session = Arc::clone(&app.session);
    blocking(move || {
        let folders = session.environment().folders();
        let original: Value =
            form.original.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let text = |key: &str| original.get(key).and_then(Value::as_str);
        let named = Named {
            filename: text("filename").ok_or_else(Refusal::bad)?,
            kind: text("type").unwrap_or("output"),
            subfolder: text("subfolder").unwrap_or_default(),
        };
        let masked = with_mask(&named.find(folders)?, &form.bytes);
        form.store(folders, &masked.map_err(|why| Refusal::Said(StatusCode::BAD_REQUEST, why))?)
    })
    .await
}
