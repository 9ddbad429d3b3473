//! The names that a pickle of tensors may speak of, and what each stands for. Everything else is refused.
//!
//! The list is that of torch's own reader of weights (`torch/_weights_only_unpickler.py`), without what Kiln has no
//! numbers for (sparse, quantised and meta tensors), with what ComfyUI adds to it (Lightning's `ModelCheckpoint`, NumPy's
//! scalars) and with containers of plain data that such files carry.

use crate::format::dtype::Dtype;

/// What an allowed name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// A dict, or a class that behaves as one.
    Dict,
    /// A list, a set.
    List,
    /// `torch.Size`: the tuple that it is made of.
    Size,
    /// `_codecs.encode`: bytes that protocol 2 writes as text.
    Encode,
    /// `torch.nn.ParameterDict`: its parameters are in its state.
    ParameterDict,
    /// A storage whose numbers are of a type.
    Storage(Dtype),
    /// A storage of bytes.
    Bytes,
    /// A type of numbers.
    Dtype(Dtype),
    /// `_rebuild_tensor(storage, offset, size, stride)` and `_v2`, which has more behind these.
    Tensor,
    /// `_rebuild_tensor_v3(storage, offset, size, stride, grad, hooks, dtype)`.
    TypedTensor,
    /// A tensor wrapped in something: its first argument.
    Wrapped,
    /// `_rebuild_from_type_v2(function, type, arguments, state)`.
    FromType,
    /// NumPy's `scalar(dtype, bytes)`.
    NumpyScalar,
    /// NumPy's `dtype(code, ..)`.
    NumpyDtype,
    /// Something without tensors that is passed over.
    Opaque,
}

/// torch's name of a type, the name of its storage, the type.
const NUMBERS: [(&str, &str, Dtype); 19] = [
    ("float64", "DoubleStorage", Dtype::F64),
    ("float32", "FloatStorage", Dtype::F32),
    ("float16", "HalfStorage", Dtype::F16),
    ("bfloat16", "BFloat16Storage", Dtype::BF16),
    ("int64", "LongStorage", Dtype::I64),
    ("int32", "IntStorage", Dtype::I32),
    ("int16", "ShortStorage", Dtype::I16),
    ("int8", "CharStorage", Dtype::I8),
    ("uint8", "ByteStorage", Dtype::U8),
    ("bool", "BoolStorage", Dtype::Bool),
    ("complex64", "ComplexFloatStorage", Dtype::C64),
    ("uint64", "", Dtype::U64),
    ("uint32", "", Dtype::U32),
    ("uint16", "", Dtype::U16),
    ("float8_e4m3fn", "", Dtype::F8E4M3),
    ("float8_e5m2", "", Dtype::F8E5M2),
    ("float8_e4m3fnuz", "", Dtype::F8E4M3Fnuz),
    ("float8_e5m2fnuz", "", Dtype::F8E5M2Fnuz),
    ("float8_e8m0fnu", "", Dtype::F8E8M0),
];

/// Module, name, what it stands for.
const OTHERS: [(&str, &str, Class); 52] = [
    ("collections", "OrderedDict", Class::Dict),
    ("collections", "Counter", Class::Dict),
    ("collections", "defaultdict", Class::Dict),
    ("builtins", "dict", Class::Dict),
    ("pytorch_lightning.utilities.parsing", "AttributeDict", Class::Dict),
    ("lightning_fabric.utilities.data", "AttributeDict", Class::Dict),
    ("lightning.fabric.utilities.data", "AttributeDict", Class::Dict),
    ("lightning.pytorch.utilities.parsing", "AttributeDict", Class::Dict),
    ("builtins", "list", Class::List),
    ("builtins", "set", Class::List),
    ("builtins", "frozenset", Class::List),
    ("torch", "Size", Class::Size),
    ("_codecs", "encode", Class::Encode),
    ("torch.nn.modules.container", "ParameterDict", Class::ParameterDict),
    ("torch.storage", "UntypedStorage", Class::Bytes),
    ("torch", "UntypedStorage", Class::Bytes),
    ("torch._utils", "_rebuild_tensor", Class::Tensor),
    ("torch._utils", "_rebuild_tensor_v2", Class::Tensor),
    ("torch._utils", "_rebuild_tensor_v3", Class::TypedTensor),
    ("torch._utils", "_rebuild_parameter", Class::Wrapped),
    ("torch._utils", "_rebuild_parameter_with_state", Class::Wrapped),
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor", Class::Wrapped),
    ("torch.nn.parameter", "Parameter", Class::Wrapped),
    ("torch.nn", "Parameter", Class::Wrapped),
    ("torch.nn.parameter", "Buffer", Class::Wrapped),
    ("torch.autograd.variable", "Variable", Class::Wrapped),
    ("torch._tensor", "_rebuild_from_type_v2", Class::FromType),
    ("numpy.core.multiarray", "scalar", Class::NumpyScalar),
    ("numpy._core.multiarray", "scalar", Class::NumpyScalar),
    ("numpy", "dtype", Class::NumpyDtype),
    ("numpy.core.multiarray", "_reconstruct", Class::Opaque),
    ("numpy._core.multiarray", "_reconstruct", Class::Opaque),
    ("numpy.core.numeric", "_frombuffer", Class::Opaque),
    ("numpy._core.numeric", "_frombuffer", Class::Opaque),
    ("numpy", "ndarray", Class::Opaque),
    ("numpy.dtypes", "Float64DType", Class::Opaque),
    ("builtins", "int", Class::Opaque),
    ("builtins", "float", Class::Opaque),
    ("builtins", "bool", Class::Opaque),
    ("builtins", "str", Class::Opaque),
    ("builtins", "tuple", Class::Opaque),
    ("builtins", "bytearray", Class::Opaque),
    ("builtins", "complex", Class::Opaque),
    ("torch", "device", Class::Opaque),
    ("torch", "Tensor", Class::Opaque),
    ("torch", "FloatTensor", Class::Opaque),
    ("torch.serialization", "_get_layout", Class::Opaque),
    ("argparse", "Namespace", Class::Opaque),
    ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint", Class::Opaque),
    ("pytorch_lightning.callbacks.early_stopping", "EarlyStopping", Class::Opaque),
    ("lightning.pytorch.callbacks.model_checkpoint", "ModelCheckpoint", Class::Opaque),
    ("lightning.pytorch.callbacks.early_stopping", "EarlyStopping", Class::Opaque),
];

impl Class {
    /// What a name stands for, if it may be spoken of.
    pub(super) fn named(module: &str, name: &str) -> Option<Self> {
        // Python 2's name of the module.
        let module = if module == "__builtin__" { "builtins" } else { module };
        let other = OTHERS.iter().find(|row| (row.0, row.1) == (module, name)).map(|row| row.2);
        other.or_else(|| Self::of_numbers(module, name))
    }

    fn of_numbers(module: &str, name: &str) -> Option<Self> {
        let row = |column: fn(&(&'static str, &'static str, Dtype)) -> &'static str| {
            NUMBERS.iter().find(|row| column(row) == name && !name.is_empty()).map(|row| row.2)
        };
        match module {
            "torch" => row(|row| row.0).map(Self::Dtype).or_else(|| row(|row| row.1).map(Self::Storage)),
            "torch.cuda" | "torch.storage" => row(|row| row.1).map(Self::Storage),
            _ => None,
        }
    }
}
