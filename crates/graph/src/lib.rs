//! Prompts and workflows as data: links, node definitions, validation, the graph that grows while it runs.
//!
//! A **prompt** is the graph that runs: nodes by id, each with a class and inputs, an input being a link or a literal.
//! It is the API-format JSON of ComfyUI, read without loss. A **workflow** is what the page saves: the same graph with
//! positions, subgraphs, muted nodes and values without names. It is *lowered* to a prompt.
//!
//! ```text
//!  workflow.json ──▶ Workflow ──lower──▶ Prompt ──validate──▶ Prompt, coerced + outputs fit to run ──▶ kiln-exec
//!  prompt.json ─────────────────────────▶   ▲                            │
//!                                       NodeDefs                PromptError: ComfyUI's JSON,
//!                                                               and a sentence for people
//! ```
//!
//! | to | use |
//! |---|---|
//! | read a file of either form | [`Document::from_json`] |
//! | read and write prompts | [`Prompt::from_json`], [`Prompt::to_value`] |
//! | describe a class, as `/object_info` does | [`NodeDef`], [`NodeDefs`] |
//! | find out whether a prompt can run, and what is wrong | [`validate()`] |
//! | order it, find its cycles, draw it | [`View`] |
//! | let it grow while it runs | [`DynamicPrompt`], [`schedule`] |
//!
//! # What holds here
//! - Ids are texts that mean nothing. Links live in the inputs and nowhere else; every other view is derived.
//! - Every walk is iterative: a chain of a million nodes validates as one of ten does.
//! - Nothing that comes from outside panics: wrong input is an error that names node and input, or line and column.
//! - No tensors, no threads, no files, no node code. What a literal's payload is, only its node knows.
//!
//! # Features
//! `regex` (on by default): workflows whose nodes choose by regular expressions what they send to which inputs.
//!
//! # Example
//! ```
//! use kiln_graph::{InputDef, NoValidators, NodeDef, NodeDefs, OutputDef, Prompt, validate};
//!
//! let defs = NodeDefs::new()
//!     .with(NodeDef::new("Number").input(InputDef::new("value", "INT").option("max", 9)).output(OutputDef::new("INT")))
//!     .with(NodeDef::new("Show").input(InputDef::new("number", "INT")).output_node(true));
//!
//! let mut prompt = Prompt::from_json(
//!     r#"{"1": {"class_type": "Number", "inputs": {"value": "7"}},
//!         "2": {"class_type": "Show", "inputs": {"number": ["1", 0]}}}"#,
//! )?;
//! let validated = validate(&mut prompt, &defs, &NoValidators, None)?;
//! assert_eq!(validated.outputs, ["2"]);
//! assert_eq!(prompt.to_value()["1"]["inputs"]["value"], 7); // brought to its type
//!
//! prompt.nodes["1"].inputs["value"] = serde_json::json!(70).into();
//! let error = validate(&mut prompt, &defs, &NoValidators, None).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "the prompt cannot run\n  Number \"1\": input `value`: 70 is out of range; give a whole number, 9 or less",
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod carrier;
mod def;
mod document;
mod dynamic;
mod id;
mod input;
mod inputs;
mod map;
mod missing;
mod prompt;
mod python;
mod replacements;
pub mod schedule;
mod suggest;
mod text;
mod validate;
mod view;
mod workflow;

pub use carrier::enough as enough_of_file;
pub use def::{
    Definitions, Group, InputDef, LoopBoundary, NodeDef, NodeDefs, ObjectInfoError, OutputDef, SocketType, ValidatorDef,
};
pub use document::Document;
pub use dynamic::{DynamicPrompt, Ephemeral, expansion_prefix, short_id};
pub use id::{Link, NodeId};
pub use input::Input;
pub use inputs::{InputIter, Inputs};
pub use map::{Map, Set};
pub use missing::{MissingClass, MissingClasses};
pub use prompt::{Meta, Prompt, PromptNode, PromptReadError, read_json};
pub use python::python_float;
pub use suggest::nearest;
pub use text::non_finite::{has_nan, non_finite, to_null as non_finite_to_null};
pub use validate::{
    ErrorKind, MOST_REPORTED, NoValidators, NodeErrors, PromptError, Route, Routes, Validated, ValidationError,
    ValidatorCall, Validators, Verdict, validate,
};
pub use view::{View, Wire};
pub use workflow::{LocalTime, LowerOptions, Workflow, WorkflowError};
