//! derive(Node): one struct is the schema, the input decoder and the typed builder of a node.
