//! The two ends of a loop as they look from outside, and the end's own work: it passes on what the loop gave it.

use kiln_exec::graph::{InputDef, LoopBoundary, NodeDef, OutputDef};
use kiln_exec::{Args, Cx, DynNode, DynReply, NodeError, Outcome, Value, Values};
use serde_json::json;

/// The input under which the end finds the last iteration's part of its values.
pub(super) const LAST_OUTPUT: &str = "last_output";
/// The input under which it finds all of them.
pub(super) const OUTPUT: &str = "output_value";
/// The input that carries a value into the next iteration.
pub(super) const NEXT: &str = "next_iteration_value";
/// The first value of it, at the start.
pub(super) const INITIAL: &str = "initial_iteration_value";
/// The input that says whether the values of all iterations are wanted.
pub(super) const ACCUMULATE: &str = "accumulate";

/// Names of types that stand for whatever is linked, equal within a node where the name is equal.
const ITEM: &str = "list_item";
const CARRIED: &str = "carried_value";
const RESULT: &str = "output_value";

fn class(name: &str, shown: &str, boundary: LoopBoundary) -> NodeDef {
    let def = NodeDef::new(name).display_name(shown).category("utilities/looping");
    NodeDef {
        module: "comfy_extras.nodes_loop".into(),
        input_is_list: true,
        loop_boundary: Some(boundary),
        search_aliases: ["for each", "repeat", "iterate"].map(Into::into).into(),
        ..def
    }
}

/// An input of any type, which is that of everything else in the node with the same template.
fn matching(name: &str, template: &str) -> InputDef {
    let template = json!({"allowed_types": "*", "template_id": template});
    InputDef::new(name, "COMFY_MATCHTYPE_V3").option("template", template)
}

fn int(name: &str, default: i64, tooltip: &str) -> InputDef {
    InputDef::new(name, "INT").option("default", default).tooltip(tooltip)
}

fn modes() -> InputDef {
    let counted = vec![int("num_iterations", 4, "How often the body of the loop runs.").option("min", 0)];
    let ranged = vec![
        int("start_iteration_index", 0, "The index of the first iteration."),
        int("max_iteration", 4, "The index at which the loop stops; that one does not run.").option("max", u64::MAX),
        int("step", 1, "How much the index grows from iteration to iteration.").option("min", 1),
    ];
    let listed = vec![matching("list", ITEM).tooltip("The items; the body runs once for each.")];
    InputDef::dynamic_combo("mode", [("simple", counted), ("For", ranged), ("List", listed)])
        .tooltip("What decides how often the body runs.")
}

/// What the start of a loop looks like.
pub(super) fn start_def() -> NodeDef {
    let cache = InputDef::new("cache_iterations", "BOOLEAN").option("default", false).option("advanced", true);
    let cache = cache.tooltip("Keep the results of iterations for the next run; otherwise every iteration runs again.");
    let outer = InputDef::new("parent_iteration", "INT").optional().option("forceInput", true);
    let initial = matching(INITIAL, CARRIED).optional();
    class("StartLoop", "Start Loop", LoopBoundary::Start)
        .description("Where a loop begins: what depends on it, up to the End Loop, runs once per iteration.")
        .input(modes())
        .input(cache)
        .input(outer.tooltip("The iteration_index of a loop around this one."))
        .input(initial.tooltip("The current_iteration_value of the first iteration."))
        .input(InputDef::new("dynprompt", "DYNPROMPT").hidden())
        .input(InputDef::new("execution_list", "EXECUTION_LIST").hidden())
        .input(InputDef::new("unique_id", "UNIQUE_ID").hidden())
        .output(OutputDef::new("INT").named("iteration_index").tooltip("The index of this iteration."))
        .output(OutputDef::new("BOOLEAN").named("is_first").tooltip("True in the first iteration."))
        .output(OutputDef::new("BOOLEAN").named("is_last").tooltip("True in the last iteration."))
        .output(OutputDef::matching(ITEM).named(ITEM).tooltip("The item of this iteration; none unless in List mode."))
        .output(
            OutputDef::matching(CARRIED)
                .named("current_iteration_value")
                .tooltip("What the iteration before gave to next_iteration_value; in the first the initial value."),
        )
}

fn end_def() -> NodeDef {
    let template = json!({
        "input": {"required": {"termination": ["*", {"tooltip": "What has to run in every iteration."}]}},
        "prefix": "termination",
        "min": 0,
        "max": 50,
    });
    let terminations = InputDef::new("terminations", "COMFY_AUTOGROW_V3").optional().option("template", template);
    let accumulate = InputDef::new(ACCUMULATE, "BOOLEAN").option("default", false);
    let result = OutputDef { is_list: true, ..OutputDef::matching(RESULT).named("outputs") };
    let def = class("EndLoop", "End Loop", LoopBoundary::End)
        .description("Where a loop ends: returns what its iterations made.")
        .input(matching(OUTPUT, RESULT).optional().tooltip("What the loop returns."))
        .input(matching(NEXT, CARRIED).optional().tooltip("What the next iteration begins with."))
        .input(accumulate.tooltip("Return the output_value of every iteration, not only that of the last."))
        .input(terminations.tooltip("What has to run in every iteration although the loop does not return it."))
        .output(result.tooltip("The output_value of the last iteration, or of all of them."));
    NodeDef { accept_all_inputs: true, ..def }
}

/// The end of a loop. By the time it runs, the loop has put its values in the place of what was linked there.
pub(super) fn end() -> DynNode {
    DynNode::new(end_def(), |args, _: &mut Cx| returned(args)).taking_blockers()
}

fn returned(args: &Args) -> Result<DynReply, NodeError> {
    if let Some(Value::Blocker(_)) = args.get(ACCUMULATE) {
        return Ok(Outcome::Block(None).into());
    }
    let all = || args.list(OUTPUT).cloned().unwrap_or_else(Values::empty);
    let values = match args.list(LAST_OUTPUT) {
        Some(last) if !args.get_as::<bool>(ACCUMULATE)? => last.clone(),
        _ => all(),
    };
    Ok(vec![values].into())
}
