//! `/ws`: a client listens.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::response::Response;
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use super::features::features;
use crate::hub::frame::text;
use crate::state::App;

/// The largest message that a client may send.
const LARGEST: usize = 4 << 20;
/// How often a silent connection is tried.
const PING: Duration = Duration::from_secs(30);
/// How long a client may take to read a message.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn connect(
    State(app): State<App>,
    Query(query): Query<HashMap<String, String>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let given = query.get("clientId").filter(|id| !id.is_empty());
    let sid: Arc<str> = given.map_or_else(|| Uuid::new_v4().simple().to_string().into(), |id| id.as_str().into());
    let upgrade = upgrade.max_message_size(LARGEST).max_frame_size(LARGEST);
    upgrade.on_upgrade(move |socket| talk(app, sid, socket))
}

/// Sends what the hub has for this client until one of both goes.
async fn talk(app: App, sid: Arc<str>, socket: WebSocket) {
    let Some(mut joined) = app.hub.join(Arc::clone(&sid)).await else { return };
    let (mut to, mut from) = socket.split();
    let mut pings = interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    let mut first = true;
    loop {
        let message = tokio::select! {
            message = joined.messages.recv() => match message {
                Some(message) => message,
                None => break,
            },
            said = from.next() => match said {
                Some(Ok(Message::Text(said))) if std::mem::take(&mut first) => {
                    match flags(&said) {
                        Some(with_metadata) => {
                            app.hub.set_flags(Arc::clone(&sid), joined.serial, with_metadata);
                            Message::Text(text("feature_flags", features(&app.config)))
                        }
                        None => continue,
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => continue,
            },
            _ = pings.tick() => Message::Ping(bytes::Bytes::new()),
        };
        if !matches!(timeout(PATIENCE, to.send(message)).await, Ok(Ok(()))) {
            break;
        }
    }
    app.hub.leave(sid, joined.serial);
    // A client that is gone needs no farewell.
    let _ = timeout(PATIENCE, to.close()).await;
}

/// Whether the client reads pictures with metadata, if this is its message of features.
fn flags(said: &str) -> Option<bool> {
    let said: Value = serde_json::from_str(said).ok()?;
    let data = said.get("data").filter(|_| said.get("type").is_some_and(|kind| kind == "feature_flags"))?;
    Some(data.get("supports_preview_metadata").and_then(Value::as_bool).unwrap_or_default())
}
