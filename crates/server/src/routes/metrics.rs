//! `/metrics`: numbers for Prometheus.

use std::fmt::{Display, Write};

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use kiln_memory::available_memory;

use crate::http::answer::Answer;
use crate::state::App;
use crate::store::STATES;

/// Prometheus's text format.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Metrics in the making.
#[derive(Default)]
struct Page(String);

impl Page {
    /// A metric, and what it is for.
    fn about(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string can't fail.
        let _ = writeln!(self.0, "# HELP kiln_{name} {help}\n# TYPE kiln_{name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "kiln_{name}{labels} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.about(name, kind, help);
        self.value(name, "", value);
    }
}

pub(crate) async fn metrics(State(app): State<App>) -> Answer<Response> {
    let (numbers, kept) = (app.queue.numbers().await?, app.queue.kept().await?);
    let (entries, bytes) = kept.size()?;
    let mut page = Page::default();
    page.about("prompts_total", "counter", "Prompts that have ended since the start, by how.");
    for (state, ended) in STATES.iter().zip(numbers.ended) {
        page.value("prompts_total", &format!("{{state=\"{state}\"}}"), ended);
    }
    page.one("prompt_seconds_total", "counter", "Time that prompts ran, since the start.", numbers.seconds);
    page.one("prompts_waiting", "gauge", "Prompts that wait.", numbers.waiting);
    page.one("prompts_running", "gauge", "Prompts that run.", numbers.running);
    page.one("queue_paused", "gauge", "1 while nothing begins.", u8::from(numbers.paused));
    page.one("history_entries", "gauge", "Finished prompts that are kept.", entries);
    page.one("history_bytes", "gauge", "Bytes of all finished prompts that are kept.", bytes);
    let open = app.config.sockets.saturating_sub(app.sockets.available_permits());
    page.one("websockets", "gauge", "Open websockets.", open);
    memory(&app, &mut page);
    let since = app.since.elapsed().as_secs_f64();
    page.one("uptime_seconds", "counter", "Time since the start.", since);
    Ok(([(header::CONTENT_TYPE, TEXT)], page.0).into_response())
}

/// Of all kinds of holders one line each.
fn memory(app: &App, page: &mut Page) {
    let budget = app.session.environment().budget();
    page.one("memory_limit_bytes", "gauge", "The memory budget.", budget.limit());
    page.one("memory_used_bytes", "gauge", "What is held of the budget.", budget.used());
    if let Some(available) = available_memory() {
        page.one("memory_available_bytes", "gauge", "Memory that the system has left.", available);
    }
}
