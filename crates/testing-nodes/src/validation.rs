//! Nodes with validators of their own, each with another signature.

use burn::tensor::Device;
use kiln_exec::{Any, ConstantInputs, Cx, Execute, FromValue, Node, NodeError, Registry, Value};

use crate::common::{plain, same_size, variant};
use kiln_nodes::payload::Image;
use kiln_nodes::runtime::CxExt;

pub(super) fn register(registry: &mut Registry) {
    registry.add::<TestCustomValidation1>();
    registry.add::<TestCustomValidation2>();
    registry.add::<TestCustomValidation3>();
    registry.add::<TestCustomValidation4>();
    registry.add::<TestCustomValidation5>();
}

/// Two numbers make a grey image; an image and a number, or two images, are multiplied.
fn product(a: Value, b: Value, device: &Device) -> Result<Image, NodeError> {
    let image = |value: &Value| value.downcast_ref::<Image>().cloned();
    let number = |name: &str, value: Value| {
        f64::from_value(value).map_err(|found| NodeError::wrong_type(name, "IMAGE,FLOAT", &found))
    };
    match (image(&a), image(&b)) {
        (Some(a), Some(b)) => {
            same_size(&a, &b)?;
            Ok(Image::new(a.pixels() * b.pixels()))
        }
        (Some(image), None) => Ok(Image::new(image.pixels() * number("input2", b)?)),
        (None, Some(image)) => Ok(Image::new(image.pixels() * number("input1", a)?)),
        (None, None) => Ok(plain(number("input1", a)? * number("input2", b)?, device)),
    }
}

/// Constants must be images or floats.
fn constants_fit(known: &ConstantInputs<'_>) -> Result<(), String> {
    for name in ["input1", "input2"] {
        match known.get(name) {
            None | Some(Value::Null | Value::Float(_)) => {}
            Some(value) if value.downcast_ref::<Image>().is_some() => {}
            Some(other) => return Err(format!("Invalid type of {name}: {}", other.type_name())),
        }
    }
    Ok(())
}

macro_rules! products {
    ($($(#[$docs:meta])* $name:ident($($validates:tt)*): $display:literal, $validate:expr;)*) => {$(
        $(#[$docs])*
        #[derive(Node)]
        #[node(
            display_name = $display,
            category = "Testing/Nodes",
            module = "custom_nodes.testing_nodes",
            validates($($validates)*)
        )]
        pub struct $name {
            #[input(type = "IMAGE,FLOAT")]
            input1: Any,
            #[input(type = "IMAGE,FLOAT")]
            input2: Any,
        }

        impl Execute for $name {
            type Output = Image;

            fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
                let validate: fn(&ConstantInputs<'_>) -> Result<(), String> = $validate;
                validate(known)
            }

            fn execute(self, cx: &mut Cx) -> Result<Image, NodeError> {
                product(self.input1.0, self.input2.0, cx.environment()?.device())
            }
        }
    )*};
}

products! {
    /// Multiplies; its validator looks at constants.
    TestCustomValidation1(input1, input2): "Custom Validation 1", constants_fit;
    /// Multiplies; its validator looks at constants and at the types of links.
    TestCustomValidation2(types, input1, input2): "Custom Validation 2", |known| {
        constants_fit(known)?;
        for (name, received) in known.received_types() {
            if !matches!(received.name(), Some("IMAGE" | "FLOAT")) {
                return Err(format!("Invalid type of {name}: {received}"));
            }
        }
        Ok(())
    };
    /// Multiplies; its types are sets.
    TestCustomValidation3(types): "Custom Validation 3", variant::<TestCustomValidation3>;
}

/// Two numbers make a grey image; its validator looks at constants.
#[derive(Node)]
#[node(
    display_name = "Custom Validation 4",
    category = "Testing/Nodes",
    module = "custom_nodes.testing_nodes",
    validates(input1, input2)
)]
pub struct TestCustomValidation4 {
    input1: f64,
    input2: f64,
}

impl Execute for TestCustomValidation4 {
    type Output = Image;

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        for name in ["input1", "input2"] {
            if let Some(other) = known.get(name).filter(|value| !matches!(value, Value::Float(_) | Value::Null)) {
                return Err(format!("Invalid type of {name}: {}", other.type_name()));
            }
        }
        Ok(())
    }

    fn execute(self, cx: &mut Cx) -> Result<Image, NodeError> {
        Ok(plain(self.input1 * self.input2, cx.environment()?.device()))
    }
}

/// Two numbers make a grey image; its validator takes every input, and refuses 7.
#[derive(Node)]
#[node(
    display_name = "Custom Validation 5",
    category = "Testing/Nodes",
    module = "custom_nodes.testing_nodes",
    validates(all)
)]
pub struct TestCustomValidation5 {
    #[input(min = 0.0, max = 1.0)]
    input1: f64,
    #[input(min = 0.0, max = 1.0)]
    input2: f64,
}

impl Execute for TestCustomValidation5 {
    type Output = Image;

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        match known.get_as::<f64>("input2") {
            Some(7.0) => Err("input2 may be anything but 7".to_owned()),
            _ => Ok(()),
        }
    }

    fn execute(self, cx: &mut Cx) -> Result<Image, NodeError> {
        Ok(plain(self.input1 * self.input2, cx.environment()?.device()))
    }
}
