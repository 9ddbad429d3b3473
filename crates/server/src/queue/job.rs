//! A job: a prompt that was accepted, with everything it needs to run and to be shown.

use std::cmp::Ordering;
use std::sync::Arc;

use indexmap::IndexMap;
use kiln_exec::{NodeId, Prompt};
use kiln_graph::{Validated, non_finite_to_null};
use serde::Deserialize;
use serde_json::{Map, Number, Value, json};

use crate::config::PreviewMethod;

/// What is taken out of `extra_data` before anybody sees it.
const SECRETS: [&str; 2] = ["auth_token_comfy_org", "api_key_comfy_org"];

/// A job as it is kept.
#[derive(Deserialize)]
struct Kept {
    number: Number,
    id: String,
    prompt: Value,
    extra: Map<String, Value>,
    outputs: Vec<NodeId>,
}

/// A prompt that was accepted.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Its place among those that are kept: no other job has it.
    pub(crate) place: u64,
    /// Smaller numbers run first.
    pub(crate) number: Number,
    pub(crate) id: Arc<str>,
    /// As validation left it.
    pub(crate) prompt: Arc<Prompt>,
    pub(crate) validated: Validated,
    /// What came with it, without secrets.
    pub(crate) extra: Arc<Map<String, Value>>,
}

impl Job {
    /// As it is kept: JSON that [`read`](Self::read) understands.
    pub(crate) fn to_kept(&self) -> String {
        let kept = json!({
            "number": self.number,
            "id": self.id,
            "prompt": self.prompt.to_value(),
            "extra": *self.extra,
            "outputs": self.outputs(),
        });
        kept.to_string()
    }

    /// A job that was kept. It has to be validated again: of what validation found only the outputs are known.
    ///
    /// # Errors
    /// A sentence, for what no job is.
    pub(crate) fn read(place: u64, text: &[u8]) -> Result<Self, String> {
        let kept: Kept = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let prompt = Prompt::from_value(kept.prompt).map_err(|error| error.to_string())?;
        let validated = Validated { outputs: kept.outputs, node_errors: IndexMap::default(), routes: Arc::default() };
        let (id, prompt, extra) = (kept.id.into(), Arc::new(prompt), Arc::new(kept.extra));
        Ok(Self { place, number: kept.number, id, prompt, validated, extra })
    }

    /// The socket that hears of it.
    pub(crate) fn client(&self) -> Option<Arc<str>> {
        self.extra.get("client_id").and_then(Value::as_str).map(Arc::from)
    }

    /// Who is told of its end.
    pub(crate) fn webhook(&self) -> Option<String> {
        self.extra.get("webhook").and_then(Value::as_str).map(str::to_owned)
    }

    /// What saved files carry besides the prompt.
    pub(crate) fn extra_pnginfo(&self) -> Option<Arc<Value>> {
        self.extra.get("extra_pnginfo").filter(|extra| extra.is_object()).cloned().map(Arc::new)
    }

    /// How this prompt wants its steps shown, if it says so.
    pub(crate) fn previews(&self) -> Option<PreviewMethod> {
        PreviewMethod::named(self.extra.get("preview_method")?.as_str()?)
    }

    /// The output nodes that run.
    pub(crate) fn outputs(&self) -> &[NodeId] {
        &self.validated.outputs
    }

    /// `[number, id, prompt, extra_data, outputs]`. JSON has no NaN: null takes its place.
    pub(crate) fn to_json(&self) -> Value {
        let mut prompt = self.prompt.to_value();
        non_finite_to_null(&mut prompt);
        json!([self.number, self.id, prompt, &*self.extra, self.outputs()])
    }

    /// Which of two runs first: the smaller number, then the smaller id.
    pub(crate) fn before(&self, other: &Self) -> Ordering {
        let number = |job: &Self| job.number.as_f64().unwrap_or_default();
        number(self).total_cmp(&number(other)).then_with(|| self.id.cmp(&other.id))
    }
}

/// What is kept of a request's `extra_data`: without secrets, with the client and the time.
pub(crate) fn extra_data(given: Option<Map<String, Value>>, client: Option<Value>, now: u64) -> Map<String, Value> {
    let mut extra = given.unwrap_or_default();
    for secret in SECRETS {
        extra.shift_remove(secret);
    }
    if let Some(client) = client {
        extra.insert("client_id".into(), client);
    }
    extra.insert("create_time".into(), now.into());
    extra.values_mut().for_each(non_finite_to_null);
    extra
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_was_kept_comes_back() {
        let prompt = json!({"1": {"class_type": "A", "inputs": {"x": 1.0, "y": [], "z": ["2", 0]}}});
        let job = Job {
            place: 7,
            number: Number::from(-3),
            id: "id".into(),
            prompt: Prompt::from_value(prompt).unwrap().into(),
            validated: Validated {
                outputs: vec!["1".into()],
                node_errors: IndexMap::default(),
                routes: Arc::default(),
            },
            extra: Arc::new(extra_data(None, Some("me".into()), 5)),
        };
        let again = Job::read(7, job.to_kept().as_bytes()).unwrap();
        assert_eq!((again.to_json(), again.place), (job.to_json(), 7));
        assert_eq!(again.to_kept(), job.to_kept());
        assert!(Job::read(7, b"{}").is_err());
    }

    #[test]
    fn secrets_are_gone_and_the_client_is_known() {
        let given = json!({"auth_token_comfy_org": "x", "api_key_comfy_org": "y", "extra_pnginfo": {}});
        let extra = extra_data(given.as_object().cloned(), Some("me".into()), 5);
        assert_eq!(Value::Object(extra), json!({"extra_pnginfo": {}, "client_id": "me", "create_time": 5}));
    }
}
