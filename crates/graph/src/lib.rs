//! Prompts and workflows as data: links, node definitions, validation, the graph that grows while it runs.
