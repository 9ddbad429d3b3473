//! `/ws`: a client listens.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use super::features::features;
use crate::http::answer::{Answer, Refusal};
use crate::hub::frame::text;
use crate::state::App;

/// The largest message that a client may send.
const LARGEST: usize = 4 << 20;
/// What is read of a connection at once. Clients say little, and each connection keeps this much.
const READ: usize = 4 << 10;
/// How often a connection is tried.
const PING: Duration = Duration::from_secs(30);
/// A client that has said nothing since so many pings, not even that it lives, is gone.
const UNANSWERED: u32 = 3;
/// How long a client may take to read a message.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn connect(
    State(app): State<App>,
    Query(query): Query<HashMap<String, String>>,
    upgrade: WebSocketUpgrade,
) -> Answer {
    let full = |_| Refusal::Said(StatusCode::SERVICE_UNAVAILABLE, "too many websockets are open".into());
    let place = Arc::clone(&app.sockets).try_acquire_owned().map_err(full)?;
    let given = query.get("clientId").filter(|id| !id.is_empty());
    let sid: Arc<str> = given.map_or_else(|| Uuid::new_v4().simple().to_string().into(), |id| id.as_str().into());
    let upgrade = upgrade.max_message_size(LARGEST).max_frame_size(LARGEST).read_buffer_size(READ);
    Ok(upgrade.on_upgrade(async move |socket| {
        talk(app, sid, socket).await;
        drop(place);
    }))
}

/// Sends what the hub has for this client until one of both goes.
async fn talk(app: App, sid: Arc<str>, socket: WebSocket) {
    let Some(mut joined) = app.hub.join(Arc::clone(&sid)).await else { return };
    let (mut to, mut from) = socket.split();
    let mut pings = interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    let (mut first, mut silent) = (true, 0);
    loop {
        let message = tokio::select! {
            message = joined.messages.recv() => match message {
                Some(message) => message,
                None => break,
            },
            said = from.next() => match said {
                Some(Ok(Message::Text(said))) if std::mem::take(&mut first) => {
                    silent = 0;
                    match flags(&said) {
                        Some(with_metadata) => {
                            app.hub.set_flags(Arc::clone(&sid), joined.serial, with_metadata);
                            Message::Text(text("feature_flags", features(&app.config)))
                        }
                        None => continue,
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {
                    silent = 0;
                    continue;
                }
            },
            _ = pings.tick() => {
                silent += 1;
                if silent > UNANSWERED {
                    break;
                }
                Message::Ping(bytes::Bytes::new())
            }
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
