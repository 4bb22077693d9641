"""Writes files as `torch.save` does, without PyTorch."""

import pickle
import struct
import zipfile

_CLASSES = {
    "<f4": "FloatStorage",
    "<f2": "HalfStorage",
    "<f8": "DoubleStorage",
    "<i8": "LongStorage",
}


def plain(value):
    """The opcodes that put a plain value on the stack."""
    return pickle.dumps(value, 2)[2:-1]


def call(module, name, *arguments):
    """The opcodes of `module.name(*arguments)`, arguments being opcodes."""
    start = b"c" + f"{module}\n{name}\n".encode()
    return start + b"(" + b"".join(arguments) + b"tR"


def tensor(array, key, *, legacy=False, shape=None, strides=None, offset=0):
    name = _CLASSES[array.dtype.str]
    storage = (
        b"("
        + plain("storage")
        + b"ctorch\n"
        + name.encode()
        + b"\n"
        + plain(key)
        + plain("cpu")
        + plain(array.size)
        + (b"N" if legacy else b"")
        + b"tQ"
    )
    if strides is None:
        strides = tuple(s // array.itemsize for s in array.strides)
    return call(
        "torch._utils",
        "_rebuild_tensor_v2",
        storage,
        plain(offset),
        plain(array.shape if shape is None else shape),
        plain(strides),
        plain(False),
        call("collections", "OrderedDict"),
    )


def state_dict(arrays, *, legacy=False, first=0):
    """An OrderedDict of tensors; storages are named `first`, `first + 1`, ..."""
    return as_dict(
        {
            name: tensor(array, str(first + i), legacy=legacy)
            for i, (name, array) in enumerate(arrays.items())
        }
    )


def as_dict(parts):
    """An OrderedDict of the objects that opcodes make."""
    items = b"".join(plain(name) + part for name, part in parts.items())
    return call("collections", "OrderedDict") + b"(" + items + b"u"


def as_list(*parts):
    return b"](" + b"".join(parts) + b"e"


def pickled(opcodes):
    return b"\x80\x02" + opcodes + b"."


def write_archive(path, opcodes, arrays):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", pickled(opcodes))
        archive.writestr("archive/byteorder", "little")
        for i, array in enumerate(arrays):
            archive.writestr(f"archive/data/{i}", array.tobytes("A"))
        archive.writestr("archive/version", "3\n")


def write_stream(path, opcodes, arrays):
    """As before PyTorch 1.6."""
    with open(path, "wb") as file:
        for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            file.write(pickle.dumps(value, 2))
        file.write(pickled(opcodes))
        file.write(pickle.dumps([str(i) for i in range(len(arrays))], 2))
        for array in arrays:
            file.write(struct.pack("<q", array.size) + array.tobytes("A"))
