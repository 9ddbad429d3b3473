//! `/system_stats`: the machine and the program, in true numbers.

use axum::extract::State;
use kiln_memory::{available_memory, total_memory};
use serde_json::{Value, json};

use crate::config::Config;
use crate::http::answer::Json;
use crate::state::App;

/// The ComfyUI whose dialect this is. The page reads it as a version.
const COMFYUI: &str = "0.3.75";

pub(crate) async fn stats(State(app): State<App>) -> Json<Value> {
    let (total, free) = (total_memory(), available_memory());
    let os = match std::env::consts::OS {
        "windows" => "win32",
        "macos" => "darwin",
        other => other,
    };
    let kiln = env!("CARGO_PKG_VERSION");
    Json(json!({
        "system": {
            "os": os,
            "ram_total": total,
            "ram_free": free,
            "comfyui_version": COMFYUI,
            "kiln_version": kiln,
            "required_frontend_version": null,
            "installed_templates_version": null,
            "required_templates_version": null,
            "python_version": format!("none (Kiln {kiln})"),
            "pytorch_version": format!("none (Kiln {kiln})"),
            "embedded_python": false,
            "argv": arguments(&app.config),
        },
        "devices": [{
            "name": "cpu",
            "type": "cpu",
            "index": 0,
            "vram_total": total,
            "vram_free": free,
            "torch_vram_total": total,
            "torch_vram_free": free,
        }],
    }))
}

/// The command line without what is nobody's business.
fn arguments(config: &Config) -> Vec<String> {
    let token = config.token.as_deref().filter(|token| !token.is_empty());
    let hidden = |argument: &String| token.map_or_else(|| argument.clone(), |token| argument.replace(token, "…"));
    config.arguments.iter().map(hidden).collect()
}
