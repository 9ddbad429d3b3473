use super::*;

fn graph() -> DynamicPrompt {
    let mut prompt = Prompt::new();
    prompt.insert("loop", PromptNode::new("Loop"));
    DynamicPrompt::new(Arc::new(prompt))
}

#[test]
fn a_node_of_a_nested_expansion_knows_its_parent_what_is_shown_and_where_it_comes_from() {
    let mut graph = graph();
    graph.add("loop.0.0.1".into(), Arc::new(PromptNode::new("A")), &"loop".into());
    graph.add("loop.0.0.1.0.0.1".into(), Arc::new(PromptNode::new("B")), &"loop.0.0.1".into());
    let id = NodeId::from("loop.0.0.1.0.0.1");
    assert_eq!(graph.parent_id(id.as_str()), Some(&"loop.0.0.1".into()));
    assert_eq!(graph.real_id(&id), "loop");
    assert_eq!(graph.display_id(&id), "loop");
    assert_eq!(graph.path(&id), ["loop".into(), "loop.0.0.1".into(), id.clone()]);
}

#[test]
fn a_display_override_leads_to_a_node_that_people_see() {
    let mut graph = graph();
    let shown = PromptNode { override_display_id: Some("other".into()), ..PromptNode::new("A") };
    graph.add("a".into(), Arc::new(shown), &"loop".into());
    let on_top = PromptNode { override_display_id: Some("a".into()), ..PromptNode::new("B") };
    graph.add("b".into(), Arc::new(on_top), &"a".into());
    assert_eq!(graph.display_id(&"b".into()), "other");
    assert_eq!(graph.real_id(&"b".into()), "loop");
}

#[test]
fn ids_of_a_hundred_thousand_nested_expansions_stay_short_and_differ() {
    let mut seen = std::collections::HashSet::new();
    let mut id = NodeId::from("close");
    for _ in 0..100_000 {
        id = format!("{}Recurse", expansion_prefix(&id, 0, 0)).into();
        assert!(id.as_str().len() < 320, "{id}");
        assert!(seen.insert(id.clone()));
    }
}

#[test]
fn the_first_levels_keep_their_full_names() {
    let first = format!("{}Recurse", expansion_prefix(&"12".into(), 0, 0));
    assert_eq!(first, "12.0.0.Recurse");
    assert_eq!(expansion_prefix(&first.into(), 2, 1), "12.0.0.Recurse.2.1.");
}
