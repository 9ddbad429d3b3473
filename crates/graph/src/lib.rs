//! Prompts and workflows as data: links, node definitions, validation, the graph that grows while it runs.

mod def;
mod dynamic;
mod id;
mod input;
mod map;
mod prompt;
mod python;
pub mod schedule;
mod suggest;
mod validate;
mod view;
mod workflow;

pub use def::{Definitions, Group, InputDef, NodeDef, NodeDefs, ObjectInfoError, OutputDef, SocketType, ValidatorDef};
pub use dynamic::{DynamicPrompt, Ephemeral, expansion_prefix};
pub use id::{Link, NodeId};
pub use input::{Input, Inputs};
pub use map::{Map, Set};
pub use prompt::{Prompt, PromptNode, PromptReadError};
pub use validate::{
    ErrorKind, MOST_REPORTED, NoValidators, NodeErrors, PromptError, Validated, ValidationError, ValidatorCall,
    Validators, Verdict, validate,
};
pub use view::{View, Wire};
pub use workflow::{Document, LocalTime, LowerOptions, Workflow, WorkflowError};
