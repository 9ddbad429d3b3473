//! The classes that saved workflows of these tests are made of.

use kiln_graph::{InputDef, NodeDef, NodeDefs, OutputDef};
use serde_json::{Value, json};

/// Those of `data/object_info.json`.
pub fn object_info() -> NodeDefs {
    let text = include_str!("../data/object_info.json");
    NodeDefs::from_object_info(&serde_json::from_str(text).unwrap()).unwrap()
}

/// Those, and an integer with a control behind it.
pub fn with_integer() -> NodeDefs {
    object_info().with(
        NodeDef::new("PrimitiveInt")
            .input(InputDef::new("value", "INT").option("control_after_generate", true))
            .output(OutputDef::new("INT")),
    )
}

pub fn loader(id: u32) -> Value {
    json!({"id": id, "type": "CheckpointLoaderSimple", "outputs": [{"type": "MODEL"}, {"type": "CLIP"}, {"type": "VAE"}]})
}
