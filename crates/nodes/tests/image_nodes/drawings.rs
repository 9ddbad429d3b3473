//! Drawings as files, and images that the page took.

use kiln_exec::graph::Document;
use kiln_exec::{Cx, Execute, GraphBuilder, Node, NodeError, Out};
use kiln_nodes::files::{DirKind, Folders};
use kiln_nodes::image::SaveSVGNode;
use kiln_nodes::payload::Svg;
use kiln_nodes::{Environment, Session};
use serde_json::json;

use crate::bench::{bytes, input, named, run, write};
use crate::common::{self, Bench, one};

/// Draws.
#[derive(Node)]
struct Draw {
    /// Documents, one a line.
    text: String,
}

impl Execute for Draw {
    type Output = Svg;

    fn execute(self, _: &mut Cx) -> Result<Svg, NodeError> {
        Ok(Svg::new(self.text.lines().map(str::to_owned).collect()))
    }
}

#[test]
fn drawings_carry_their_graph() {
    let root = tempfile::tempdir().unwrap();
    let environment = Environment::new(Folders::under(root.path()));
    let engine = Session::new(environment, kiln_nodes::registry().with::<Draw>()).into_engine();
    let save = |text: &str| {
        let g = GraphBuilder::new();
        let drawn: Out<Svg> = g.add(Draw::node().text(text));
        g.add(SaveSVGNode::node().svg(drawn).filename_prefix("svg/kiln"));
        let prompt = g.into_prompt();
        engine.run(prompt.clone()).map(|_| prompt)
    };
    let prompt = save("<?xml version='1.0'?><svg width='1'><g/></svg>\n<svg>]]></svg>").unwrap();
    for (file, end) in [("kiln_00001_.svg", "<g/></svg>"), ("kiln_00002_.svg", "]]></svg>")] {
        let text = std::fs::read_to_string(root.path().join("output/svg").join(file)).unwrap();
        assert!(text.ends_with(end), "{text}");
        let Document::Prompt(carried) = Document::from_json(&text).unwrap() else { panic!("{text}") };
        assert_eq!(carried.to_value(), prompt.to_value());
    }
    let error = save("<svg/>\n<html/>").unwrap_err().to_string();
    assert!(error.contains("drawing 1 of `svg`"), "{error}");
    assert!(!root.path().join("output/svg/kiln_00003_.svg").exists());
}

#[test]
fn an_image_of_the_camera_is_a_file_that_the_page_made() {
    let bench = Bench::new();
    let picture = named("noise", 4, 5);
    write(&bench, "webcam/1.png", &picture);
    let made = |file: &str| {
        let g = GraphBuilder::new();
        let widgets = json!({"image": file, "width": 0, "height": 0, "capture_on_queue": true});
        let out = common::node(&g, "WebcamCapture", &[], &widgets);
        run(&bench, g, &out).map(|report| one::<kiln_nodes::Image>(report.values(&out).unwrap()))
    };
    assert_eq!(bytes(&made("webcam/1.png [input]").unwrap()), picture.bytes);
    assert!(input(&bench, "webcam/1.png").is_file() && bench.files(DirKind::Output).is_empty());
    let error = made("webcam/2.png [input]").unwrap_err().to_string();
    assert!(error.contains("webcam/2.png"), "{error}");
}
