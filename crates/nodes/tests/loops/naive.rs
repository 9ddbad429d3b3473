//! Random loops, and what they must return: computed by walking through them one iteration after the other.

use serde_json::{Value as Json, json};

/// A number generator; equal seeds give equal loops.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// Where an operand comes from.
#[derive(Clone, Copy)]
enum From {
    Constant(i64),
    /// The index of the loop at this depth, 0 for the outermost.
    Index(usize),
    Carried(usize),
    IsLast(usize),
    /// A value that was computed before, by its number.
    Step(usize),
}

enum What {
    /// Adds, or multiplies.
    Combine(bool, From, From),
    Loop(Box<Loop>),
}

struct Step {
    number: usize,
    what: What,
}

struct Loop {
    depth: usize,
    first: i64,
    stop: i64,
    stride: i64,
    initial: Option<From>,
    steps: Vec<Step>,
    output: From,
    next: Option<From>,
    accumulate: bool,
}

/// A loop with other loops inside.
pub struct Case {
    whole: Loop,
    number: usize,
}

/// What is known while a loop is written or walked through: values by number, loops by depth.
#[derive(Clone, Default)]
struct Scope {
    steps: Vec<(usize, Vec<i64>)>,
    loops: Vec<(i64, bool, Vec<i64>)>,
}

impl Case {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1));
        let mut number = 0;
        let whole = random_loop(&mut dice, 0, &[], &mut number);
        Self { whole, number }
    }

    /// The end of the outermost loop.
    pub fn last(&self) -> String {
        format!("e{}", self.number)
    }

    pub fn value(&self) -> Vec<i64> {
        self.whole.value(&Scope::default())
    }

    pub fn prompt(&self) -> Json {
        let mut nodes = json!({"out": ["Show", {"x": [self.last(), 0]}]});
        self.whole.write(&mut nodes, &mut Vec::new(), self.number);
        nodes
    }
}

fn random_loop(dice: &mut Dice, depth: usize, outside: &[usize], number: &mut usize) -> Loop {
    let mut known = outside.to_vec();
    let initial = (dice.roll(3) > 0).then(|| operand(dice, depth, &known));
    let mut steps = Vec::new();
    for _ in 0..=dice.roll(4) {
        let inner = depth < 2 && dice.roll(4) == 0;
        let what = if inner {
            What::Loop(Box::new(random_loop(dice, depth + 1, &known, number)))
        } else {
            // At least one operand is of this loop, so that the step is part of it.
            let own = [From::Index(depth), From::Carried(depth), From::IsLast(depth)][dice.roll(3)];
            What::Combine(dice.roll(4) == 0, own, operand(dice, depth + 1, &known))
        };
        *number += 1;
        known.push(*number);
        steps.push(Step { number: *number, what });
    }
    let made = From::Step(steps[dice.roll(steps.len())].number);
    let next = (dice.roll(3) > 0).then(|| From::Step(steps[dice.roll(steps.len())].number));
    let output = if dice.roll(5) == 0 { From::Index(depth) } else { made };
    let first = dice.roll(4) as i64 - 1;
    *number += usize::from(depth == 0);
    Loop {
        depth,
        first,
        stop: first + dice.roll(5) as i64,
        stride: 1 + dice.roll(2) as i64,
        initial,
        steps,
        output,
        next,
        accumulate: dice.roll(2) == 0,
    }
}

/// Something that is known inside of so many loops.
fn operand(dice: &mut Dice, depth: usize, known: &[usize]) -> From {
    match dice.roll(5) {
        0 if depth > 0 => From::Index(dice.roll(depth)),
        1 if depth > 0 => From::Carried(dice.roll(depth)),
        2 | 3 if !known.is_empty() => From::Step(known[dice.roll(known.len())]),
        _ => From::Constant(dice.roll(7) as i64 - 3),
    }
}

impl Scope {
    fn get(&self, from: From) -> Vec<i64> {
        match from {
            From::Constant(value) => vec![value],
            From::Index(depth) => vec![self.loops[depth].0],
            From::IsLast(depth) => vec![i64::from(self.loops[depth].1)],
            From::Carried(depth) => self.loops[depth].2.clone(),
            From::Step(number) => {
                self.steps.iter().rev().find(|(known, _)| *known == number).map(|(_, value)| value.clone()).unwrap()
            }
        }
    }
}

impl Loop {
    fn value(&self, outside: &Scope) -> Vec<i64> {
        let indices: Vec<i64> = (self.first..self.stop).step_by(self.stride as usize).collect();
        let mut carried = self.initial.map_or_else(|| vec![0], |from| outside.get(from));
        let (mut all, mut last) = (Vec::new(), Vec::new());
        for index in &indices {
            let mut scope = outside.clone();
            scope.loops.truncate(self.depth);
            scope.loops.push((*index, Some(index) == indices.last(), carried.clone()));
            for step in &self.steps {
                let value = match &step.what {
                    What::Loop(inner) => inner.value(&scope),
                    What::Combine(multiply, a, b) => combined(*multiply, &scope.get(*a), &scope.get(*b)),
                };
                scope.steps.push((step.number, value));
            }
            last = scope.get(self.output);
            all.extend(last.iter().copied());
            carried = self.next.map_or(carried, |from| scope.get(from));
        }
        if self.accumulate { all } else { last }
    }

    /// Adds the loop's nodes; `starts` are the ids of those around it. Its end is `e<number>`.
    fn write(&self, nodes: &mut Json, starts: &mut Vec<String>, number: usize) {
        let (start, end) = (format!("s{number}"), format!("e{number}"));
        let mut inputs = json!({"mode": "For", "mode.start_iteration_index": self.first, "mode.max_iteration": self.stop,
                                "mode.step": self.stride, "cache_iterations": number.is_multiple_of(2)});
        if let Some(initial) = self.initial {
            inputs["initial_iteration_value"] = written(nodes, starts, initial);
        }
        if let Some(outer) = starts.last() {
            inputs["parent_iteration"] = json!([outer, 0]);
        }
        nodes[&start] = json!(["StartLoop", inputs]);
        starts.push(start);
        for step in &self.steps {
            match &step.what {
                What::Loop(inner) => {
                    inner.write(nodes, starts, step.number);
                    nodes[format!("n{}", step.number)] = json!(["Same", {"x": [format!("e{}", step.number), 0]}]);
                }
                What::Combine(multiply, a, b) => {
                    let (a, b) = (written(nodes, starts, *a), written(nodes, starts, *b));
                    let class = if *multiply { "Mul" } else { "Add" };
                    nodes[format!("n{}", step.number)] = json!([class, {"a": a, "b": b}]);
                }
            }
        }
        let mut inputs = json!({"output_value": written(nodes, starts, self.output), "accumulate": self.accumulate});
        if let Some(next) = self.next {
            inputs["next_iteration_value"] = written(nodes, starts, next);
        }
        nodes[&end] = json!(["EndLoop", inputs]);
        starts.pop();
    }
}

fn written(nodes: &Json, starts: &[String], from: From) -> Json {
    match from {
        From::Constant(value) => json!(value),
        From::Index(depth) => json!([starts[depth], 0]),
        From::IsLast(depth) => json!([starts[depth], 2]),
        From::Carried(depth) => json!([starts[depth], 4]),
        From::Step(number) => {
            let id = format!("n{number}");
            assert!(nodes.get(&id).is_some(), "{id} is written before it is read");
            json!([id, 0])
        }
    }
}

/// As a node is mapped over lists: the shorter one's last value goes on; nothing with an empty one.
fn combined(multiply: bool, a: &[i64], b: &[i64]) -> Vec<i64> {
    let (Some(a_last), Some(b_last)) = (a.last(), b.last()) else { return Vec::new() };
    let pair = |i: usize| (a.get(i).unwrap_or(a_last), b.get(i).unwrap_or(b_last));
    let apply = |(x, y): (&i64, &i64)| if multiply { x.wrapping_mul(*y) } else { x.wrapping_add(*y) };
    (0..a.len().max(b.len())).map(pair).map(apply).collect()
}
