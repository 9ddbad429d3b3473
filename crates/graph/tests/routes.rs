//! Routes: what validation records of where links lead, against a look-up of every id.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kiln_graph::{Input, NoValidators, Prompt, PromptNode, Route, validate};
use proptest::prelude::*;

/// The links of a node, looked up one by one.
fn looked_up(prompt: &Prompt, node: &PromptNode) -> Vec<Route> {
    let links = node.inputs.values().enumerate().filter_map(|(input, content)| Some((input, content.as_link()?)));
    links
        .map(|(input, link)| Route {
            source: prompt.nodes.get_index_of(&link.node).unwrap() as u32,
            socket: link.socket as u32,
            input: input as u32,
        })
        .collect()
}

proptest! {
    /// Nodes link backwards to anything, through declared and undeclared inputs in any order; half of the prompts are
    /// read from JSON, where ids are shared, half are built, where they are not.
    #[test]
    fn every_link_of_a_needed_node_has_the_route_that_a_look_up_gives(
        links in prop::collection::vec(prop::collection::vec((0_usize..1000, 0_usize..3), 0..6), 1..40),
        read in any::<bool>(),
    ) {
        let mut prompt = Prompt::new();
        for (at, sources) in links.iter().enumerate() {
            let mut node = PromptNode::new("Any");
            for (number, (source, name)) in sources.iter().enumerate().filter(|_| at > 0) {
                let name = ["x", "y", "other"][*name].to_owned() + &"_".repeat(number);
                node = node.with(name, Input::link((source % at).to_string(), 0));
            }
            prompt.insert(at.to_string(), node);
        }
        let last = Input::link((links.len() - 1).to_string(), 0);
        prompt.insert("end", PromptNode::new("End").with("b", last));
        if read {
            prompt = Prompt::from_json(serde_json::to_string(&prompt).unwrap()).unwrap();
        }
        let defs = [
            kiln_graph::NodeDef::new("Any")
                .input(kiln_graph::InputDef::new("y_", "*").optional())
                .input(kiln_graph::InputDef::new("x", "*").optional())
                .output(kiln_graph::OutputDef::new("*")),
            kiln_graph::NodeDef::new("End").output_node(true),
        ];
        let defs: kiln_graph::NodeDefs = defs.into_iter().collect();
        let routes = validate(&mut prompt, &defs, &NoValidators, None).unwrap().routes;
        prop_assert_eq!(routes.nodes(), prompt.len());
        let mut needed = vec![false; prompt.len()];
        needed[prompt.len() - 1] = true;
        for place in (0..prompt.len()).rev() {
            if !needed[place] {
                prop_assert_eq!(routes.of(place), None);
                continue;
            }
            let (_, node) = prompt.nodes.get_index(place).unwrap();
            let expected = looked_up(&prompt, node);
            prop_assert_eq!(routes.of(place), Some(&expected[..]));
            for route in &expected {
                needed[route.source as usize] = true;
            }
        }
    }
}
