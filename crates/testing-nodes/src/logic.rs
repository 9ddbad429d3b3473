//! Arithmetic and comparisons.

use kiln_exec::{Any, Cx, Execute, Node, NodeError, Registry};
use regex::Regex;

use kiln_nodes::payload::{Image, Mask};

pub(super) fn register(registry: &mut Registry) {
    registry.add::<TestIntMathOperation>();
    registry.add::<TestIntConditions>();
    registry.add::<TestFloatConditions>();
    registry.add::<TestStringConditions>();
    registry.add::<TestToBoolNode>();
    registry.add::<TestBoolOperationNode>();
}

/// 2⁶⁴ - 1, the largest whole number these nodes take.
const LARGEST: f64 = 18_446_744_073_709_551_615.0;

/// Whole numbers.
#[derive(Node)]
#[node(display_name = "Int Math Operation", category = "Testing/Logic", module = "custom_nodes.testing_nodes")]
pub struct TestIntMathOperation {
    #[input(default = 0, min = -LARGEST, max = LARGEST)]
    a: i128,
    #[input(default = 0, min = -LARGEST, max = LARGEST)]
    b: i128,
    #[input(combo = ["add", "subtract", "multiply", "divide", "modulo", "power"])]
    operation: String,
}

impl Execute for TestIntMathOperation {
    type Output = i128;

    fn execute(self, _: &mut Cx) -> Result<i128, NodeError> {
        let Self { a, b, operation } = self;
        let result = match operation.as_str() {
            "add" => a.checked_add(b),
            "subtract" => a.checked_sub(b),
            "multiply" => a.checked_mul(b),
            "divide" => a.checked_div_euclid(b).map(|_| floor_div(a, b)),
            "modulo" => a.checked_rem_euclid(b).map(|_| a - floor_div(a, b) * b),
            "power" => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
            other => return Err(NodeError::new(format!("`operation` is `{other}`, which does not exist"))),
        };
        result.ok_or_else(|| NodeError::new(format!("{operation} of {a} and {b} has no result in 128 bits")))
    }
}

/// Division rounded towards minus infinity, as Python's. `b` is not 0.
fn floor_div(a: i128, b: i128) -> i128 {
    let quotient = a / b;
    if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient }
}

fn compare<T: PartialOrd>(a: T, b: T, operation: &str) -> Result<bool, NodeError> {
    Ok(match operation {
        "==" => a == b,
        "!=" => a != b,
        "<" => a < b,
        ">" => a > b,
        "<=" => a <= b,
        ">=" => a >= b,
        other => return Err(NodeError::new(format!("`operation` is `{other}`, which does not exist"))),
    })
}

/// Compares whole numbers.
#[derive(Node)]
#[node(display_name = "Int Condition", category = "Testing/Logic", module = "custom_nodes.testing_nodes")]
pub struct TestIntConditions {
    #[input(default = 0, min = -LARGEST, max = LARGEST)]
    a: i128,
    #[input(default = 0, min = -LARGEST, max = LARGEST)]
    b: i128,
    #[input(combo = ["==", "!=", "<", ">", "<=", ">="])]
    operation: String,
}

impl Execute for TestIntConditions {
    type Output = bool;

    fn execute(self, _: &mut Cx) -> Result<bool, NodeError> {
        compare(self.a, self.b, &self.operation)
    }
}

/// Compares numbers.
#[derive(Node)]
#[node(display_name = "Float Condition", category = "Testing/Logic", module = "custom_nodes.testing_nodes")]
pub struct TestFloatConditions {
    #[input(default = 0, min = -999_999_999_999_i64, max = 999_999_999_999_i64)]
    a: f64,
    #[input(default = 0, min = -999_999_999_999_i64, max = 999_999_999_999_i64)]
    b: f64,
    #[input(combo = ["==", "!=", "<", ">", "<=", ">="])]
    operation: String,
}

impl Execute for TestFloatConditions {
    type Output = bool;

    fn execute(self, _: &mut Cx) -> Result<bool, NodeError> {
        compare(self.a, self.b, &self.operation)
    }
}

/// Compares texts.
#[derive(Node)]
#[node(display_name = "String Condition", category = "Testing/Logic", module = "custom_nodes.testing_nodes")]
pub struct TestStringConditions {
    #[input(option("multiline" = false))]
    a: String,
    #[input(option("multiline" = false))]
    b: String,
    #[input(combo = ["a == b", "a != b", "a IN b", "a MATCH REGEX(b)", "a BEGINSWITH b", "a ENDSWITH b"])]
    operation: String,
    #[input(default = true)]
    case_sensitive: bool,
}

impl Execute for TestStringConditions {
    type Output = bool;

    fn execute(self, _: &mut Cx) -> Result<bool, NodeError> {
        let fold = |text: String| if self.case_sensitive { text } else { text.to_lowercase() };
        let (a, b) = (fold(self.a), fold(self.b));
        Ok(match self.operation.as_str() {
            "a == b" => a == b,
            "a != b" => a != b,
            "a IN b" => b.contains(&a),
            "a BEGINSWITH b" => a.starts_with(&b),
            "a ENDSWITH b" => a.ends_with(&b),
            // The pattern must be one by itself, before anything stands around it.
            _ => Regex::new(&b).is_ok() && Regex::new(&format!("^(?:{b})")).is_ok_and(|pattern| pattern.is_match(&a)),
        })
    }
}

/// Whether a value is anything but nothing.
#[derive(Node)]
#[node(display_name = "To Bool", category = "Testing/Logic", module = "custom_nodes.testing_nodes")]
pub struct TestToBoolNode {
    value: Any,
    #[input(default = false)]
    invert: Option<bool>,
}

impl Execute for TestToBoolNode {
    type Output = bool;

    fn execute(self, _: &mut Cx) -> Result<bool, NodeError> {
        let value = &self.value.0;
        let truth = if let Some(image) = value.downcast_ref::<Image>() {
            image.values()?.iter().any(|v| *v != 0.0)
        } else if let Some(mask) = value.downcast_ref::<Mask>() {
            mask.values()?.iter().any(|v| *v != 0.0)
        } else {
            value.is_truthy()
        };
        Ok(truth != self.invert.unwrap_or(false))
    }
}

/// Combines two truths.
#[derive(Node)]
#[node(display_name = "Bool Operation", category = "Testing/Logic", module = "custom_nodes.testing_nodes")]
pub struct TestBoolOperationNode {
    #[input(default = false)]
    a: bool,
    #[input(default = false)]
    b: bool,
    #[input(combo = ["a AND b", "a OR b", "a XOR b", "NOT a"])]
    op: String,
}

impl Execute for TestBoolOperationNode {
    type Output = bool;

    fn execute(self, _: &mut Cx) -> Result<bool, NodeError> {
        Ok(match self.op.as_str() {
            "a AND b" => self.a && self.b,
            "a OR b" => self.a || self.b,
            "a XOR b" => self.a != self.b,
            _ => !self.a,
        })
    }
}
