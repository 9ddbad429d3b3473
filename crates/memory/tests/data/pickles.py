"""Writes the PyTorch files of this folder with Python's own pickler and zip writer: an independent second pair of hands.

torch is not needed: classes of its names stand in for it, and are pickled as torch pickles its own. Run it here with
python3; nothing of the project does. `torch_2.pth` and `torch_2_embedding.pt` are files of torch itself.
"""

import argparse
import collections
import io
import pickle
import struct
import sys
import types
import zipfile


def module(name, **names):
    made = sys.modules.setdefault(name, types.ModuleType(name))
    for key, value in names.items():
        if isinstance(value, type) or callable(value):
            value.__module__, value.__qualname__, value.__name__ = name, key, key
        setattr(made, key, value)
        sys.modules.setdefault(name, made)
    parent, _, last = name.rpartition(".")
    if parent:
        module(parent)
        setattr(sys.modules[parent], last, made)
    return made


def stand_in(base=object):
    return type("StandIn", (base,), {})


def function():
    return lambda *args: None


TYPES = {
    "FloatStorage": ("f", 4), "DoubleStorage": ("d", 8), "HalfStorage": ("e", 2), "LongStorage": ("q", 8),
    "IntStorage": ("i", 4), "ShortStorage": ("h", 2), "CharStorage": ("b", 1), "ByteStorage": ("B", 1),
    "BoolStorage": ("?", 1), "BFloat16Storage": ("H", 2),
}
torch = module("torch", **{name: stand_in() for name in TYPES}, UntypedStorage=stand_in(), device=function())
module("torch.cuda", FloatStorage=stand_in())
rebuild = module(
    "torch._utils", _rebuild_tensor=function(), _rebuild_tensor_v2=function(), _rebuild_tensor_v3=function(),
    _rebuild_parameter=function(),
)
container = module("torch.nn.modules.container", ParameterDict=stand_in())
lightning = module("pytorch_lightning.callbacks.model_checkpoint", ModelCheckpoint=stand_in())
numpy = module("numpy", dtype=stand_in())
multiarray = module("numpy.core.multiarray", scalar=function())


class Global:
    """A name that is pickled as itself, like torch.float32."""

    def __init__(self, name):
        self.name = name

    def __reduce__(self):
        return self.name


class Call:
    """What pickles as a call of a function, perhaps with a state."""

    def __init__(self, function, *args, state=None):
        self.parts = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.parts


class Storage:
    def __init__(self, key, kind, values, cls=None, view=None):
        self.key, self.kind, self.cls, self.view = key, kind, cls, view
        code, self.size = TYPES.get(kind, ("B", 1))
        self.bytes = struct.pack(f"<{len(values)}{code}", *values)
        self.count = len(values)

    def pid(self, legacy):
        cls = self.cls or getattr(torch, self.kind)
        parts = ("storage", cls, self.key, "cpu", self.count)
        return parts + (self.view,) if legacy else parts

    def part(self, key, offset, count):
        """A view of it as a storage of its own, as files of before 1.6 have them."""
        part = Storage(self.key, self.kind, ())
        part.bytes, part.count, part.view = self.bytes, self.count, (key, offset, count)
        return part


def tensor(storage, shape, strides=None, offset=0, version=2, dtype=None):
    if strides is None:
        strides, step = [], 1
        for side in reversed(shape):
            strides.insert(0, step)
            step *= side
    hooks = collections.OrderedDict()
    if version == 1:
        return Call(rebuild._rebuild_tensor, storage, offset, tuple(shape), tuple(strides))
    if version == 3:
        return Call(rebuild._rebuild_tensor_v3, storage, offset, tuple(shape), tuple(strides), False, hooks, dtype)
    return Call(rebuild._rebuild_tensor_v2, storage, offset, tuple(shape), tuple(strides), False, hooks)


def parameter(data):
    return Call(rebuild._rebuild_parameter, data, True, collections.OrderedDict())


def scalar(code, fmt, value):
    dtype = Call(numpy.dtype, code, False, True, state=(3, "<", None, None, None, -1, -1, 0))
    return Call(multiarray.scalar, dtype, struct.pack("<" + fmt, value))


class Pickler(pickle._Pickler):
    """Python's pickler; names that are not in a module are written as they are."""

    def __init__(self, file, protocol, legacy, storages):
        super().__init__(file, protocol)
        self.legacy, self.storages = legacy, storages

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        self.storages.setdefault(value.key, value)
        return value.pid(self.legacy)

    def save(self, value, *args, **named):
        if isinstance(value, Global):
            value, (module_name, name) = value.name, value.name.split(" ")
            if self.proto >= 4:
                super().save(module_name)
                super().save(name)
                self.write(pickle.STACK_GLOBAL)
            else:
                self.write(pickle.GLOBAL + f"{module_name}\n{name}\n".encode())
            return
        super().save(value, *args, **named)


def pickled(value, protocol=2, legacy=False):
    out, storages = io.BytesIO(), {}
    Pickler(out, protocol, legacy, storages).dump(value)
    return out.getvalue(), storages


def archive(path, value, protocol=2, name="archive", compressed=False, order=b"little", swap=False):
    data, storages = pickled(value, protocol)
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as out:
        out.writestr(f"{name}/data.pkl", data)
        if order:
            out.writestr(f"{name}/byteorder", order)
        for key, storage in storages.items():
            raw = storage.bytes
            if swap:
                raw = b"".join(raw[i:i + storage.size][::-1] for i in range(0, len(raw), storage.size))
            out.writestr(f"{name}/data/{key}", raw)
        out.writestr(f"{name}/version", b"3\n")


def legacy(path, value, protocol=2):
    data, storages = pickled(value, protocol, legacy=True)
    with open(path, "wb") as out:
        pickle.dump(0x1950A86A20F9469CFC6C, out, protocol=2)
        pickle.dump(1001, out, protocol=2)
        pickle.dump({"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}, out, protocol=2)
        out.write(data)
        keys = sorted(storages)
        pickle.dump(keys, out, protocol=2)
        for key in keys:
            out.write(struct.pack("<q", storages[key].count) + storages[key].bytes)


def everything():
    """A state dict with every type and every way to lie in a storage."""
    shared = Storage("0", "FloatStorage", [i / 4 for i in range(24)])
    state = collections.OrderedDict()
    state["plain"] = tensor(shared, [2, 3, 4])
    state["part"] = tensor(shared, [2, 4], offset=4)
    state["transposed"] = tensor(shared, [4, 3], strides=[1, 4], offset=12)
    state["every_other"] = tensor(shared, [3], strides=[2], offset=1)
    state["repeated"] = parameter(tensor(shared, [2, 2], strides=[0, 1], offset=6))
    state["scalar"] = tensor(shared, [], offset=5)
    state["nothing"] = tensor(shared, [0, 7], strides=[7, 1])
    state["f64"] = tensor(Storage("1", "DoubleStorage", [1.5, -2.25]), [2])
    state["f16"] = tensor(Storage("2", "HalfStorage", [0.5, -8.0, 65504.0]), [3])
    state["bf16"] = tensor(Storage("3", "BFloat16Storage", [0x3F80, 0xC000]), [2])
    state["i64"] = tensor(Storage("4", "LongStorage", [-3, 1 << 40]), [2])
    state["i32"] = tensor(Storage("5", "IntStorage", [7, -7]), [2])
    state["i16"] = tensor(Storage("6", "ShortStorage", [300, -300]), [2])
    state["i8"] = tensor(Storage("7", "CharStorage", [1, -1]), [2])
    state["u8"] = tensor(Storage("8", "ByteStorage", [0, 255]), [2])
    state["bool"] = tensor(Storage("9", "BoolStorage", [True, False, True]), [3])
    # As OrderedDict's attribute, where torch keeps versions of modules.
    state._metadata = collections.OrderedDict([("", {"version": 1})])
    return state


archive("everything.pth", everything())
archive("everything_compressed.pth", everything(), compressed=True, name="model")
archive("everything_big_endian.pth", everything(), order=b"big", swap=True)
archive("everything_protocol_5.pth", everything(), protocol=5, order=None)
state = everything()
root = Storage("root", "FloatStorage", [float(i) for i in range(10)])
state["viewed"] = tensor(root.part("view", 4, 5), [2, 2], offset=1)
state["viewed_too"] = tensor(root.part("view", 4, 5), [5], version=1)
state["cuda"] = tensor(Storage("gpu", "FloatStorage", [1.0, 2.0], cls=sys.modules["torch.cuda"].FloatStorage), [2])
legacy("everything_legacy.pth", state)

weights = collections.OrderedDict(
    [("model.diffusion_model.out.0.weight", tensor(Storage("0", "HalfStorage", [1.0, 2.0]), [2]))])
model_checkpoint = lightning.ModelCheckpoint.__new__(lightning.ModelCheckpoint)
model_checkpoint.__dict__.update(best_model_score=tensor(Storage("1", "FloatStorage", [0.5]), []), mode="min")
archive("lightning.ckpt", {
    "epoch": 21, "global_step": 470000, "pytorch-lightning_version": "1.4.2", "ema": True,
    "state_dict": weights,
    "callbacks": {lightning.ModelCheckpoint: {"monitor": "val/loss", "best": scalar("f4", "f", 0.125)},
                  "instance": model_checkpoint},
    "optimizer_states": [{"state": {0: {"step": 9, "exp_avg": tensor(Storage("2", "FloatStorage", [3.0]), [1])}},
                          "param_groups": [{"lr": 1e-4, "params": list(range(40)), "betas": (0.9, 0.999)}]}],
    "lr_schedulers": [], "hparams_name": "kwargs",
    "hyper_parameters": argparse.Namespace(lr=scalar("f8", "d", 1e-4), device=Call(torch.device, "cuda", 0)),
    "loss": scalar("f8", "d", 0.0625), "counted": scalar("i8", "q", -5),
})

archive("embedding.pt", {
    "string_to_token": {"*": 265}, "name": "style", "step": 500, "sd_checkpoint": None,
    "string_to_param": {"*": parameter(tensor(Storage("0", "FloatStorage", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), [2, 3]))},
}, name="style")
parameters = container.ParameterDict.__new__(container.ParameterDict)
parameters.__dict__.update(
    training=True, _buffers=collections.OrderedDict(), _modules=collections.OrderedDict(),
    _parameters=collections.OrderedDict([("*", parameter(tensor(Storage("0", "FloatStorage", [7.0, 8.0]), [1, 2])))]))
legacy("embedding_of_parameters.pt", {"string_to_token": {"*": 265}, "string_to_param": parameters})

fp8 = tensor(Storage("0", "UntypedStorage", [0x38, 0xC0]), [2], version=3, dtype=Global("torch float8_e4m3fn"))
u16 = tensor(Storage("1", "UntypedStorage", [1, 0, 0, 1]), [2], version=3, dtype=Global("torch uint16"))
layers = [collections.OrderedDict([("linear.weight", tensor(Storage("2", "FloatStorage", [9.0]), [1, 1]))]), {}]
archive("nested.pt", {
    768: layers, "fp8": fp8, "u16": u16, "layer_structure": [1, 2.5, True], "losses": list(range(20)),
    "activation_func": "relu", "is_layer_norm": False, "optional": None,
})


class Evil:
    def __reduce__(self):
        import os
        return os.system, ("echo this must never be seen",)


archive("asks_for_a_shell.pt", {"weight": Evil()})
legacy("asks_for_a_shell_legacy.pt", {"weight": Evil()})
with open("asks_for_a_shell.pkl", "wb") as out:
    pickle.dump(Evil(), out, protocol=4)
