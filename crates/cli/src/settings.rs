//! A setting: one input of a graph that stands otherwise than in its file (`--set 3.seed=7`).
//!
//! Knows prompts and what classes declare; runs nothing.

use std::str::FromStr;

use kiln_graph::{Definitions, Input, InputDef, NodeId, Prompt, nearest};
use serde_json::Value;

/// `NODE.INPUT=VALUE` from a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `3.seed`. Ids and names of inputs may have dots, so that only a prompt tells where one ends.
    target: String,
    value: String,
}

/// Why a setting can't be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// It has not its form.
    #[error("write NODE.INPUT=VALUE, as in 3.seed=7")]
    Form,
    /// No node has that id, class or title.
    #[error("--set {target}: the graph has no node `{node}`{}; its nodes are {known}", meant(nearest.as_deref()))]
    NoNode {
        /// What was to be set.
        target: String,
        /// What stands for the node.
        node: String,
        /// What may have been meant.
        nearest: Option<String>,
        /// Those that there are.
        known: String,
    },
    /// Several nodes have that class or title.
    #[error("--set {target}: `{node}` may be each of {known}; write one's id")]
    Several {
        /// What was to be set.
        target: String,
        /// What stands for the node.
        node: String,
        /// Their ids.
        known: String,
    },
    /// The node has no such input.
    #[error("--set {target}: {node} has no input `{input}`{}; it has {known}", meant(nearest.as_deref()))]
    NoInput {
        /// What was to be set.
        target: String,
        /// Class and id.
        node: String,
        /// What stands for the input.
        input: String,
        /// What may have been meant.
        nearest: Option<String>,
        /// Those that there are.
        known: String,
    },
}

fn meant(name: Option<&str>) -> String {
    name.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

impl FromStr for Setting {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let (target, value) = text.split_once('=').ok_or(SettingError::Form)?;
        let target = target.trim();
        let is_whole = target.split_once('.').is_some_and(|(node, input)| !node.is_empty() && !input.is_empty());
        if is_whole { Ok(Self { target: target.into(), value: value.into() }) } else { Err(SettingError::Form) }
    }
}

impl Setting {
    /// Puts the value into the prompt. What it is, is validation's matter.
    ///
    /// # Errors
    /// [`SettingError`] where the prompt has no such node, several of them, or the node no such input.
    pub fn apply(&self, prompt: &mut Prompt, definitions: &dyn Definitions) -> Result<(), SettingError> {
        let (id, name) = self.place(prompt, definitions)?;
        let Some(node) = prompt.nodes.get_mut(&id) else { return Ok(()) };
        let declared = definitions.get(&node.class_type).and_then(|def| def.find_input(&name));
        node.inputs.insert(name.as_str().into(), Input::from_json(self.value(declared)));
        Ok(())
    }

    /// The value as JSON where it is some, else as text. What should be text is taken word for word, unless it is a link or
    /// stands in quotes.
    fn value(&self, declared: Option<&InputDef>) -> Value {
        let text = || Value::String(self.value.clone());
        let Ok(value) = serde_json::from_str::<Value>(&self.value) else { return text() };
        let wants_text = declared.is_some_and(|input| {
            let is_choice = |choice: &Value| choice.as_str() == Some(&*self.value);
            input.ty.name() == Some("STRING") || input.choices().is_some_and(|all| all.iter().any(is_choice))
        });
        if wants_text && !value.is_string() && !value.is_array() { text() } else { value }
    }

    /// The node and the input: the longest name of a node that leaves an input which it has.
    fn place(&self, prompt: &Prompt, definitions: &dyn Definitions) -> Result<(NodeId, String), SettingError> {
        let mut refused = None;
        for (dot, _) in self.target.rmatch_indices('.') {
            let (node, input) = (&self.target[..dot], &self.target[dot + 1..]);
            let found = self.node(node, prompt).and_then(|id| {
                self.check_input(&id, input, prompt, definitions)?;
                Ok((id, input.to_owned()))
            });
            match found {
                Ok(found) => return Ok(found),
                // That a node lacks an input says more than that a longer name is no node.
                Err(error @ SettingError::NoNode { .. }) => refused = refused.or(Some(error)),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or(SettingError::Form))
    }

    /// The node of that id, or the only one of that class or title.
    fn node(&self, name: &str, prompt: &Prompt) -> Result<NodeId, SettingError> {
        if let Some((id, _)) = prompt.nodes.get_key_value(name) {
            return Ok(id.clone());
        }
        let named = prompt.nodes.iter().filter(|(_, node)| &*node.class_type == name || node.title() == Some(name));
        let ids: Vec<&NodeId> = named.map(|(id, _)| id).collect();
        let (target, node) = (self.target.clone(), name.to_owned());
        match ids.as_slice() {
            [one] => Ok((*one).clone()),
            [] => {
                let names = prompt.nodes.iter().flat_map(|(id, node)| [id.as_str(), &*node.class_type]);
                let nearest = nearest(name, names).map(str::to_owned);
                let known = prompt.nodes.iter().map(|(id, node)| format!("{} \"{id}\"", node.class_type));
                Err(SettingError::NoNode { target, node, nearest, known: some_of(known) })
            }
            several => {
                let known = some_of(several.iter().map(|id| format!("\"{id}\"")));
                Err(SettingError::Several { target, node, known })
            }
        }
    }

    fn check_input(
        &self,
        id: &NodeId,
        name: &str,
        prompt: &Prompt,
        definitions: &dyn Definitions,
    ) -> Result<(), SettingError> {
        let Some(node) = prompt.get(id.as_str()) else { return Ok(()) };
        let declared = definitions.get(&node.class_type);
        let names = declared.iter().flat_map(|def| &def.inputs).map(|input| &*input.name);
        let mut names: Vec<&str> = names.chain(node.inputs.keys().map(|name| &**name)).collect();
        if names.contains(&name) || declared.is_some_and(|def| def.accept_all_inputs) {
            return Ok(());
        }
        names.sort_unstable();
        names.dedup();
        let nearest = nearest(name, names.iter().copied()).map(str::to_owned);
        let known = some_of(names.iter().map(|name| format!("`{name}`")));
        let (target, node) = (self.target.clone(), format!("{} \"{id}\"", node.class_type));
        Err(SettingError::NoInput { target, node, input: name.to_owned(), nearest, known })
    }
}

/// Names in a row, of very many the first.
fn some_of(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.take(21).collect();
    if names.len() > 20 {
        names[20] = "others".into();
    }
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use kiln_graph::{NodeDef, NodeDefs};
    use serde_json::json;

    fn definitions() -> NodeDefs {
        let sampler =
            NodeDef::new("Sampler").input(InputDef::new("seed", "INT")).input(InputDef::new("text", "STRING"));
        let sampler = sampler.input(InputDef::combo("kind", ["euler", "3"])).input(InputDef::new("in.x", "INT"));
        NodeDefs::new().with(sampler)
    }

    fn prompt() -> Prompt {
        let node = json!({"class_type": "Sampler", "inputs": {}, "_meta": {"title": "Draw"}});
        let other = json!({"class_type": "Other", "inputs": {"free": 1}});
        Prompt::from_value(json!({"3": node, "3.a": other, "4": other})).unwrap()
    }

    fn set(setting: &str) -> Result<Value, SettingError> {
        let mut prompt = prompt();
        setting.parse::<Setting>()?.apply(&mut prompt, &definitions())?;
        Ok(prompt.to_value())
    }

    #[test]
    fn numbers_texts_links_and_choices_are_taken_as_they_are_meant() {
        let read = |setting: &str, input: &str| set(setting).unwrap()["3"]["inputs"][input].clone();
        assert_eq!(read("3.seed=7", "seed"), json!(7));
        assert_eq!(read("3.text=7", "text"), json!("7"));
        assert_eq!(read("3.text=a = b", "text"), json!("a = b"));
        assert_eq!(read("3.text=\"a\\nb\"", "text"), json!("a\nb"));
        assert_eq!(read("3.text=", "text"), json!(""));
        assert_eq!(read("3.text=[\"4\", 0]", "text"), json!(["4", 0]));
        assert_eq!(read("3.kind=3", "kind"), json!("3"));
        assert_eq!(read("Sampler.seed=1.5", "seed"), json!(1.5));
        assert_eq!(read("Draw.seed=true", "seed"), json!(true));
        assert_eq!(read("3.in.x=2", "in.x"), json!(2));
        assert_eq!(set("3.a.free=9").unwrap()["3.a"]["inputs"]["free"], 9);
    }

    #[test]
    fn what_cannot_be_set_says_what_there_is() {
        let refused = |setting: &str| set(setting).unwrap_err().to_string();
        assert!(refused("3.sed=7").contains("Sampler \"3\" has no input `sed` (did you mean `seed`?); it has"));
        assert!(refused("9.seed=7").contains("no node `9`"));
        assert!(refused("Samplr.seed=7").contains("did you mean `Sampler`?"));
        assert!(refused("Other.free=7").contains("each of \"3.a\", \"4\""));
        for setting in ["", "3", "3.seed", "=7", ".=7", "3.=7", ".seed=7", "seed=3"] {
            assert_eq!(setting.parse::<Setting>(), Err(SettingError::Form), "{setting}");
        }
    }
}
