//! The order of wings in each crate: what may import what inside of it.
//!
//! Data alone; [`crate::imports`] holds the crates to it.

/// A crate and its wings, the ground first. A wing imports from itself and from those before it.
#[derive(Debug)]
pub struct House {
    /// The crate's folder, from the root of the workspace.
    pub folder: &'static str,
    /// Wings that stand beside each other share a row. Each is a file or a folder in `src`, without `.rs`;
    /// the longest name that fits a file is the file's wing.
    pub wings: &'static [&'static [&'static str]],
}

/// The crates that are held to their order.
pub const HOUSES: &[House] = &[
    House { folder: "", wings: &[] },
    House {
        folder: "crates/exec",
        wings: &[
            &["sync", "value"],
            &["cancel", "error", "lanes", "observe"],
            &["host"],
            &["build", "codec"],
            &["node", "spill"],
            &["store"],
            &["cache"],
            &["engine"],
            &["run"],
        ],
    },
    House { folder: "crates/nodes", wings: &[&["files"], &["payload"], &["runtime"], &["comfy"]] },
    House {
        folder: "crates/testing-nodes",
        wings: &[
            &["common", "timer"],
            &["flow", "lists", "logic", "memory", "mixing", "stubs", "validation"],
            &["asynchronous", "loops"],
            &["specific"],
        ],
    },
    House {
        folder: "crates/server",
        wings: &[
            &["tls"],
            &["config", "http"],
            &["files", "hub", "store"],
            &["queue"],
            &["state"],
            &["routes"],
            &["connections"],
            &["server"],
        ],
    },
    House {
        folder: "crates/community",
        wings: &[
            &["compare", "constants", "fill", "gguf", "lora_name", "seed", "size", "switch", "tokens", "video"],
            &["power_lora", "resize", "text"],
        ],
    },
    House {
        folder: "crates/cli",
        wings: &[
            &["places", "streams"],
            &[
                "bench",
                "calls",
                "class_page",
                "lines",
                "memory",
                "named_files",
                "open",
                "settings",
                "shelves",
                "warnings",
            ],
            &["excerpt"],
            &["checkup", "console", "graph_plan", "interrupt", "options", "outlook", "plan"],
            &["summary"],
            &["terminal"],
            &["command"],
        ],
    },
    House {
        folder: "crates/graph",
        wings: &[
            &["text"],
            &["id", "map", "python", "replacements", "schedule", "suggest"],
            &["def", "input"],
            &["inputs", "missing"],
            &["prompt"],
            &["carrier", "dynamic", "validate", "view", "workflow"],
            &["document"],
        ],
    },
    House {
        folder: "crates/kernels",
        wings: &[
            &["error", "scratch", "simd"],
            &["isa", "math"],
            &["gemm"],
            &[
                "activation",
                "attention",
                "channel_norm",
                "conv",
                "linear",
                "modulate",
                "norm",
                "resize",
                "rotary",
                "softmax",
                "winograd",
            ],
        ],
    },
    House { folder: "crates/macros", wings: &[&["attributes", "engine"], &["expand"]] },
    House {
        folder: "crates/memory",
        wings: &[
            &["sync"],
            &["budget"],
            &["format"],
            &["provider"],
            &["pager", "testing"],
            &["weights"],
            &["controls"],
        ],
    },
    House {
        folder: "crates/models",
        wings: &[
            &["latent", "ops", "random", "schedule"],
            &["error", "image"],
            &["nets/activations", "sampler", "weights"],
            &[
                "lora",
                "nets/condition_inputs",
                "nets/hooks",
                "nets/layers",
                "nets/patches",
                "nets/residuals",
                "nets/side_inputs",
                "nets/transformer_call",
            ],
            &["nets/control", "nets/denoiser", "nets/frames", "weight_hooks"],
            &["nets/clip", "nets/detector", "nets/llm", "nets/qwen_vision", "nets/segmenter", "nets/t5"],
            &["nets/family"],
            &["nets/hypernetwork", "nets/t2i", "nets/unet", "nets/vae"],
            &[
                "nets/controlnet",
                "nets/gligen",
                "nets/taehv",
                "nets/taesd",
                "nets/upscale",
                "nets/vae3d",
                "nets/vision",
            ],
            &["nets/flux", "nets/mmdit", "nets/qwen_image", "nets/zimage"],
            &["nets"],
            &["checkpoint/detect", "conditioning", "tokenizer"],
            &["checkpoint/recognise"],
            &["checkpoint/diffusion", "checkpoint/text"],
            &["checkpoint/lora", "checkpoint/open", "checkpoint/save"],
            &["checkpoint"],
            &["sampling", "text"],
        ],
    },
    House {
        folder: "xtask",
        wings: &[
            &["syntax", "lengths", "picture", "wings"],
            &["mentions"],
            &["modules"],
            &["names", "workspace"],
            &["exports", "features", "imports", "layering", "tidy"],
        ],
    },
];

impl House {
    /// The row in which a file stands; `lib.rs` and `main.rs` stand above all.
    pub fn wing(&self, file: &str) -> Option<usize> {
        if ["lib", "main"].iter().any(|top| self.holds(top, file)) {
            return Some(self.wings.len());
        }
        let rows = self.wings.iter().enumerate();
        let fitting = rows.flat_map(|(row, rooms)| rooms.iter().map(move |room| (room, row)));
        fitting.filter(|(room, _)| self.holds(room, file)).max_by_key(|(room, _)| room.len()).map(|(_, row)| row)
    }

    /// Whether a file is part of the library or the command, and so needs a wing.
    pub fn is_inside(&self, file: &str) -> bool {
        self.in_src(file).is_some()
    }

    /// Whether a wing of that name holds the file.
    pub fn holds(&self, room: &str, file: &str) -> bool {
        let behind = self.in_src(file).and_then(|file| file.strip_prefix(room));
        behind.is_some_and(|behind| behind == ".rs" || behind.starts_with('/'))
    }

    /// The names of all wings.
    pub fn rooms(&self) -> impl Iterator<Item = &'static str> {
        self.wings.iter().flat_map(|row| row.iter().copied())
    }

    fn in_src<'f>(&self, file: &'f str) -> Option<&'f str> {
        let behind = file.strip_prefix(self.folder)?.trim_start_matches('/');
        behind.strip_prefix("src/")
    }
}
