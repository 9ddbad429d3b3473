//! What frames an iteration: its beginning, the line that tells how far the loop is, and the loop's result.
//!
//! Loops make these nodes; nobody writes them into a prompt.

use kiln_exec::graph::{Input, InputDef, NodeDef, NodeId, OutputDef, PromptNode};
use kiln_exec::{Args, Cx, DynNode, LivePrompt, NodeError, Schedule, Source, Value, Values};

use super::boundaries::{ACCUMULATE, LAST_OUTPUT, OUTPUT};

/// A class that only loops use. It gets whole lists, and blockers in them: what is blocked in one iteration stops
/// neither the next one nor the loop.
fn class(name: &str, description: &str) -> NodeDef {
    let def = NodeDef::new(name).category("utilities/looping").description(description);
    NodeDef {
        module: "comfy_extras.nodes_loop".into(),
        input_is_list: true,
        accept_all_inputs: true,
        dev_only: true,
        ..def
    }
}

fn required(name: &str, ty: &str, tooltip: &str) -> InputDef {
    InputDef::new(name, ty).tooltip(tooltip)
}

/// Where an iteration begins. `dependency0`, `dependency1`, … are what the iteration before made: it comes first.
pub(super) fn iteration() -> DynNode {
    let list = OutputDef::new("*").list();
    let def = class("LoopIteration", "The beginning of one iteration of a loop.")
        .input(required("iteration_index", "INT", "The index of the iteration."))
        .input(required("is_first", "BOOLEAN", "Whether it is the first."))
        .input(required("is_last", "BOOLEAN", "Whether it is the last."))
        .input(required("list_item", "*", "The item of the iteration.").optional())
        .input(required("current_iteration_value", "*", "What the iteration before passed on.").optional())
        .input(required("reuse_cache", "BOOLEAN", "Whether results of earlier runs may stand in for this one."))
        .output(OutputDef::new("INT"))
        .output(OutputDef::new("BOOLEAN"))
        .output(OutputDef::new("BOOLEAN"))
        .output(OutputDef::new("*"))
        .output(list);
    let begin = |args: &mut Args, _: &mut Cx| {
        let one = |name: &str| Values::One(args.get(name).cloned().unwrap_or_default());
        let carried = args.list("current_iteration_value").cloned().unwrap_or(Values::One(Value::Null));
        Ok(vec![one("iteration_index"), one("is_first"), one("is_last"), one("list_item"), carried])
    };
    DynNode::new(def, begin).taking_blockers()
}

/// How far a loop is, shown at its start. Waits for all that the iteration made.
pub(super) fn progress() -> DynNode {
    let def = class("LoopProgress", "Shows at the start of a loop how many iterations are done.")
        .output_node(true)
        .input(required("start_id", "STRING", "The start of the loop."))
        .input(required("position", "INT", "How many iterations are done."))
        .input(required("total", "INT", "How many there are."))
        .output(OutputDef::new("INT"));
    let show = |args: &mut Args, cx: &mut Cx| {
        let (position, total) = (args.get_as::<i128>("position")?, args.get_as::<i128>("total")?);
        let start = NodeId::from(args.get_as::<String>("start_id")?);
        cx.show_text(&start, || format!("Iteration {position} / {total}"));
        Ok(Value::Int(position))
    };
    DynNode::new(def, show).taking_blockers().uncached()
}

/// The last node of a loop: hands its end the values of `output0`, `output1`, … and lets it run.
pub(super) fn result() -> DynNode {
    let def = class("LoopResult", "Hands the end of a loop what the iterations made.")
        .output_node(true)
        .input(required("close_id", "STRING", "The end of the loop."))
        .input(InputDef::new("dynprompt", "DYNPROMPT").hidden())
        .input(InputDef::new("execution_list", "EXECUTION_LIST").hidden());
    DynNode::new(def, |args, _: &mut Cx| hand_over(args)).taking_blockers()
}

fn hand_over(args: &mut Args) -> Result<(), NodeError> {
    let end = NodeId::from(args.get_as::<String>("close_id")?);
    let graph = args.take::<LivePrompt>("dynprompt")?.0;
    let schedule = args.take::<Schedule>("execution_list")?;
    let known = graph.get(end.as_ref());
    let known = known.ok_or_else(|| NodeError::new(format!("the end \"{end}\" of the loop does not exist")))?;
    let is_output = |name: &str| name.strip_prefix("output").is_some_and(|rest| rest.parse::<u64>().is_ok());
    let outputs = || args.extras().iter().filter(|(name, _)| is_output(name)).map(|(_, values)| values);
    let last = outputs().next_back().cloned().unwrap_or_else(Values::empty);
    let all: Values = outputs().flat_map(Values::iter).cloned().collect();
    let mut node = PromptNode::new(known.class_type.clone());
    for (name, values) in [(OUTPUT, all), (LAST_OUTPUT, last)] {
        node.inputs.insert(name.into(), Input::from(Source::from(values)));
    }
    if let Some(accumulate) = known.inputs.get(ACCUMULATE) {
        node.inputs.insert(ACCUMULATE.into(), accumulate.clone());
    }
    schedule.override_node(end.clone(), node);
    schedule.release(end);
    Ok(())
}
