//! Nodes that wait: with progress, with errors, with limits, and inside expansions.

use std::sync::Arc;

use kiln_exec::{
    Any, ConstantInputs, Cx, Execute, ExecuteAsync, GraphBuilder, IntoValue, Lazy, Node, NodeError, Out, Outcome,
    Registry, TypedNode, UniqueId, Value,
};

use crate::common::{Shared, plain};
use crate::mixing::TestVariadicAverage;
use crate::timer;
use kiln_nodes::payload::Image;
use kiln_nodes::runtime::CxExt;

pub(super) fn register(registry: &mut Registry) {
    registry.add::<TestSleep>();
    registry.add::<TestAsyncValidation>();
    registry.add::<TestAsyncValidationError>();
    registry.add::<TestAsyncError>();
    registry.add::<TestSyncError>();
    registry.add::<TestAsyncTimeout>();
    registry.add::<TestAsyncLazyCheck>();
    registry.add::<TestDynamicAsyncGeneration>();
    registry.add::<TestAsyncResourceUser>();
    registry.add::<TestAsyncBatchProcessing>();
    registry.add::<TestAsyncConcurrentLimit>();
    registry.add::<TestAsyncProgressUpdate>();
    registry.add::<TestSyncProgressUpdate>();
}

/// Waits, and reports how long it has.
async fn wait_with_progress(cx: &Cx, seconds: f64) -> Result<(), NodeError> {
    let mut bar = cx.progress(seconds);
    timer::wait(seconds, |elapsed| bar.set(elapsed)).await
}

/// Waits, and only looks whether the run was cancelled.
async fn wait(cx: &Cx, seconds: f64) -> Result<(), NodeError> {
    timer::wait(seconds, |_| cx.checkpoint()).await
}

/// Waits so many seconds and passes anything on.
#[derive(Node)]
#[node(display_name = "Test Sleep", category = "_for_testing", module = "custom_nodes.testing_nodes", async)]
pub struct TestSleep {
    value: Any,
    #[input(default = 1.0, min = 0.0, max = 9999.0, step = 0.01)]
    seconds: f64,
    #[allow(dead_code, reason = "its presence keys results by node")]
    unique_id: UniqueId,
}

impl ExecuteAsync for TestSleep {
    type Output = Any;

    async fn execute(self, cx: Cx) -> Result<Any, NodeError> {
        wait_with_progress(&cx, self.seconds).await?;
        Ok(self.value)
    }
}

/// One TestSleep per image, and their mean.
pub(super) fn averaged_sleeps<const N: usize>(graph: &GraphBuilder, sleeps: [(Image, f64); N]) -> Out<Image> {
    average(graph, sleeps.into_iter())
}

fn average(graph: &GraphBuilder, sleeps: impl Iterator<Item = (Image, f64)>) -> Out<Image> {
    let sleep = |(image, seconds): (Image, f64)| {
        let value: Out<Image> = Out::value(image.into_value());
        graph.add(TestSleep::node().value(value).seconds(seconds))
    };
    let slept: Vec<_> = sleeps.map(sleep).collect();
    let mut slept = slept.into_iter();
    let Some(first) = slept.next() else { return Out::value(Value::Null) };
    if slept.len() == 0 {
        // What a single one passes on is an image, as it was given one.
        return first.as_link().map_or_else(|| Out::value(Value::Null), |link| Out::link(&link.node, link.socket));
    }
    let spec = TestVariadicAverage::node().input1(first).into_spec();
    let spec = (2..).zip(slept).fold(spec, |spec, (i, more)| spec.input(&format!("input{i}"), more.into_source()));
    Out::link(&graph.add_spec(spec), 0)
}

/// The mean over nodes that wait, as many as wanted.
#[derive(Node)]
#[node(
    display_name = "Test Dynamic Async Generation",
    category = "_for_testing/async",
    module = "custom_nodes.testing_nodes"
)]
pub struct TestDynamicAsyncGeneration {
    image1: Image,
    image2: Image,
    #[input(default = 3, min = 1, max = 10)]
    num_async_nodes: usize,
    #[input(default = 0.2, min = 0.1, max = 1.0)]
    sleep_duration: f64,
}

impl Execute for TestDynamicAsyncGeneration {
    type Output = Outcome<Image>;

    fn execute(self, cx: &mut Cx) -> Result<Outcome<Image>, NodeError> {
        Ok(cx.expand(|graph| {
            let image = |i: usize| if i.is_multiple_of(2) { self.image1.clone() } else { self.image2.clone() };
            average(graph, (0..self.num_async_nodes).map(|i| (image(i), self.sleep_duration)))
        }))
    }
}

macro_rules! validated {
    ($($(#[$docs:meta])* $name:ident($limit:ident): $display:literal, $refuse:expr, $share:expr;)*) => {$(
        $(#[$docs])*
        #[derive(Node)]
        #[node(
            display_name = $display,
            category = "_for_testing/async",
            module = "custom_nodes.testing_nodes",
            validates(value, $limit)
        )]
        pub struct $name {
            #[input(default = 5.0)]
            value: f64,
            #[input(default = 10.0)]
            $limit: f64,
        }

        impl Execute for $name {
            type Output = Image;

            fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
                // The original waits here without holding others up; a validator of Kiln need not wait at all.
                let refuse: fn(f64, f64) -> String = $refuse;
                match (known.get_as::<f64>("value"), known.get_as::<f64>(stringify!($limit))) {
                    (Some(value), Some(limit)) if value > limit => Err(refuse(value, limit)),
                    _ => Ok(()),
                }
            }

            fn execute(self, cx: &mut Cx) -> Result<Image, NodeError> {
                let share: fn(f64, f64) -> f64 = $share;
                Ok(plain(share(self.value, self.$limit), cx.environment()?.device()))
            }
        }
    )*};
}

validated! {
    /// A grey image, if a value is not above a threshold.
    TestAsyncValidation(threshold): "Test Async Validation",
        |value, limit| format!("Value {value:?} exceeds threshold {limit:?}"), |value, _| value / 10.0;
    /// A grey image, if a value is not above its maximum.
    TestAsyncValidationError(max_value): "Test Async Validation Error",
        |value, limit| format!("Async validation failed: {value:?} > {limit:?}"), |value, limit| value / limit;
}

/// Waits, then fails.
#[derive(Node)]
#[node(
    display_name = "Test Async Error",
    category = "_for_testing/async",
    module = "custom_nodes.testing_nodes",
    async
)]
pub struct TestAsyncError {
    #[allow(dead_code, reason = "it only has to be computed")]
    value: Any,
    #[input(default = 0.1, min = 0.0, max = 10.0)]
    error_after: f64,
}

impl ExecuteAsync for TestAsyncError {
    type Output = Any;

    async fn execute(self, cx: Cx) -> Result<Any, NodeError> {
        wait(&cx, self.error_after).await?;
        Err(NodeError::new("Intentional async execution error for testing"))
    }
}

/// Fails at once.
#[derive(Node)]
#[node(display_name = "Test Sync Error", category = "_for_testing/async", module = "custom_nodes.testing_nodes")]
pub struct TestSyncError {
    #[allow(dead_code, reason = "it only has to be computed")]
    value: Any,
}

impl Execute for TestSyncError {
    type Output = Any;

    fn execute(self, _: &mut Cx) -> Result<Any, NodeError> {
        Err(NodeError::new("Intentional sync execution error for testing"))
    }
}

/// Waits for an operation, but not longer than a limit.
#[derive(Node)]
#[node(
    display_name = "Test Async Timeout",
    category = "_for_testing/async",
    module = "custom_nodes.testing_nodes",
    async
)]
pub struct TestAsyncTimeout {
    value: Any,
    #[input(default = 1.0, min = 0.1, max = 10.0)]
    timeout: f64,
    #[input(default = 2.0, min = 0.1, max = 10.0)]
    operation_time: f64,
}

impl ExecuteAsync for TestAsyncTimeout {
    type Output = Any;

    async fn execute(self, cx: Cx) -> Result<Any, NodeError> {
        wait(&cx, self.operation_time.min(self.timeout)).await?;
        if self.operation_time > self.timeout {
            return Err(NodeError::new(format!("Operation timed out after {:?} seconds", self.timeout)));
        }
        Ok(self.value)
    }
}

/// Asks for one of two inputs, and makes a white image.
#[derive(Node)]
#[node(display_name = "Test Async Lazy Check", category = "_for_testing/async", module = "custom_nodes.testing_nodes")]
pub struct TestAsyncLazyCheck {
    input1: Lazy<Any>,
    input2: Lazy<Any>,
    #[input(default = true)]
    condition: bool,
}

impl Execute for TestAsyncLazyCheck {
    type Output = Image;

    fn needs(&self) -> Vec<&'static str> {
        match self.condition {
            true if self.input1.is_missing() => vec!["input1"],
            false if self.input2.is_missing() => vec!["input2"],
            _ => Vec::new(),
        }
    }

    fn execute(self, cx: &mut Cx) -> Result<Image, NodeError> {
        Ok(plain(1.0, cx.environment()?.device()))
    }
}

/// Holds a named resource while it waits; nobody else may hold it meanwhile.
#[derive(Node)]
#[node(
    display_name = "Test Async Resource User",
    category = "_for_testing/async",
    module = "custom_nodes.testing_nodes",
    async
)]
pub struct TestAsyncResourceUser {
    value: Any,
    #[input(default = "resource_0")]
    resource_id: String,
    #[input(default = 0.1, min = 0.0, max = 1.0)]
    duration: f64,
}

/// A resource in use; free again when this is dropped, however that happens.
struct Resource {
    shared: Arc<Shared>,
    id: String,
}

impl Resource {
    fn take(shared: Arc<Shared>, id: String) -> Result<Self, NodeError> {
        if !shared.resources().insert(id.clone()) {
            return Err(NodeError::new(format!("Resource {id} is already in use!")));
        }
        Ok(Self { shared, id })
    }
}

impl Drop for Resource {
    fn drop(&mut self) {
        self.shared.resources().remove(&self.id);
    }
}

impl ExecuteAsync for TestAsyncResourceUser {
    type Output = Any;

    async fn execute(self, cx: Cx) -> Result<Any, NodeError> {
        let _held = Resource::take(cx.host::<Shared>()?, self.resource_id)?;
        wait(&cx, self.duration).await?;
        Ok(self.value)
    }
}

/// Inverts images one by one, and waits for each.
#[derive(Node)]
#[node(
    display_name = "Test Async Batch Processing",
    category = "_for_testing/async",
    module = "custom_nodes.testing_nodes",
    async
)]
pub struct TestAsyncBatchProcessing {
    images: Image,
    #[input(default = 0.1, min = 0.01, max = 1.0)]
    process_time_per_item: f64,
    #[allow(dead_code, reason = "its presence keys results by node")]
    unique_id: UniqueId,
}

impl ExecuteAsync for TestAsyncBatchProcessing {
    type Output = Image;

    async fn execute(self, cx: Cx) -> Result<Image, NodeError> {
        let count = self.images.dims()[0];
        let mut bar = cx.progress(count as f64);
        for _ in 0..count {
            wait(&cx, self.process_time_per_item).await?;
            bar.step()?;
        }
        Ok(Image::new(self.images.pixels() * -1.0 + 1.0))
    }
}

/// Waits, two at a time.
#[derive(Node)]
#[node(
    display_name = "Test Async Concurrent Limit",
    category = "_for_testing/async",
    module = "custom_nodes.testing_nodes",
    async
)]
pub struct TestAsyncConcurrentLimit {
    value: Any,
    #[input(default = 0.5, min = 0.1, max = 2.0)]
    duration: f64,
    #[allow(dead_code, reason = "tells copies apart")]
    #[input(default = 0)]
    node_id: i64,
}

/// How many may wait at a time.
const AT_A_TIME: u32 = 2;

/// One of the places; free again when this is dropped.
struct Seat(Arc<Shared>);

impl Drop for Seat {
    fn drop(&mut self) {
        *self.0.running() -= 1;
    }
}

impl ExecuteAsync for TestAsyncConcurrentLimit {
    type Output = Any;

    async fn execute(self, cx: Cx) -> Result<Any, NodeError> {
        let shared = cx.host::<Shared>()?;
        let seat = loop {
            let free = {
                let mut running = shared.running();
                let free = *running < AT_A_TIME;
                *running += u32::from(free);
                free
            };
            if free {
                break Seat(shared.clone());
            }
            wait(&cx, 0.01).await?;
        };
        wait(&cx, self.duration).await?;
        drop(seat);
        Ok(self.value)
    }
}

/// Reports progress for so long, waiting.
#[derive(Node)]
#[node(
    display_name = "Async Progress Update Test Node",
    category = "_for_testing/async",
    module = "custom_nodes.testing_nodes",
    async
)]
pub struct TestAsyncProgressUpdate {
    value: Any,
    #[input(default = 1.0)]
    sleep_seconds: f64,
}

impl ExecuteAsync for TestAsyncProgressUpdate {
    type Output = Any;

    async fn execute(self, cx: Cx) -> Result<Any, NodeError> {
        let mut bar = cx.progress(1.0);
        let seconds = self.sleep_seconds;
        timer::wait(seconds, |elapsed| bar.set(elapsed / seconds.max(f64::MIN_POSITIVE))).await?;
        Ok(self.value)
    }
}

/// Reports progress for so long, holding its thread.
#[derive(Node)]
#[node(
    display_name = "Sync Progress Update Test Node",
    category = "_for_testing/async",
    module = "custom_nodes.testing_nodes"
)]
pub struct TestSyncProgressUpdate {
    value: Any,
    #[input(default = 1.0)]
    sleep_seconds: f64,
}

impl Execute for TestSyncProgressUpdate {
    type Output = Any;

    fn execute(self, cx: &mut Cx) -> Result<Any, NodeError> {
        let (start, mut bar) = (std::time::Instant::now(), cx.progress(1.0));
        loop {
            let elapsed = start.elapsed().as_secs_f64();
            if elapsed >= self.sleep_seconds {
                bar.set(1.0)?;
                return Ok(self.value);
            }
            bar.set(elapsed / self.sleep_seconds)?;
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
