"""Reads the pickles in PyTorch's files; nothing that they refer to is run.

A pickle is a program for a stack machine. The machine here makes plain values and
`TensorPlace`s. A name of another module, and whatever a pickle makes of it, is a
`Foreign`: only its name is known.
"""

import dataclasses
import pickletools
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

# Limits on what a pickle may hold. A training checkpoint has about 50 instructions for
# each tensor.
_INSTRUCTIONS = 1_000_000
_DIMENSIONS = 8
_LARGEST = 2**48

# Modules of the standard library that training scripts store objects of.
_HARMLESS = {
    *("_codecs", "argparse", "array", "collections", "copy_reg", "copyreg"),
    *("dataclasses", "datetime", "decimal", "enum", "fractions", "functools"),
    *("numbers", "pathlib", "random", "typing", "uuid"),
}
_HARMLESS_BUILTINS = {
    *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int"),
    *("list", "object", "range", "set", "slice", "str", "tuple", "type"),
}
_BUILTINS = ("builtins", "__builtin__")

_TENSORS = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
_PARAMETERS = (
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
)
_DICTS = ("collections.OrderedDict", "collections.defaultdict")

_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT"),
    *("BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE"),
    *("SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    "BYTEARRAY8",
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_SHORT_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class CodeError(Exception):
    """A name of the standard library that a file of tensors does not need."""


@dataclasses.dataclass(frozen=True, slots=True)
class Foreign:
    """A name that a pickle refers to, or an object that it makes of one."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Storage:
    """A storage: its type, such as `FloatStorage`, and its key in the file."""

    kind: str
    key: str


@dataclasses.dataclass(frozen=True, slots=True)
class TensorPlace:
    """The place of a tensor in its storage, counted in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        shape, strides = self.shape, self.strides
        if not (isinstance(shape, tuple) and isinstance(strides, tuple)):
            raise ValueError("the shape of a tensor must be a tuple")
        if len(shape) != len(strides) or len(shape) > _DIMENSIONS:
            raise ValueError("a tensor's shape and strides must have one length")
        for number in (self.offset, *shape, *strides):
            if type(number) is not int or not 0 <= number < _LARGEST:
                raise ValueError(
                    "the shape of a tensor must be non-negative integers below 2^48"
                )


class Machine:
    """Runs the instructions of the pickles of one file.

    Attributes:
        storages: the kind of every storage that a pickle referred to, by its key.
    """

    def __init__(self) -> None:
        self.storages: dict[str, str] = {}
        self._left = _INSTRUCTIONS
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def load(self, file: BinaryIO) -> Any:
        """The content of the pickle at the position of a file, which moves behind it.

        Raises:
            CodeError: if it refers to a part of the standard library that it should
                not need.
            Exception: of nearly every type, if it is damaged.
        """
        self._stack, self._marks, self._memo = [], [], {}
        for opcode, argument, _ in pickletools.genops(file):
            self._left -= 1
            if self._left < 0:
                raise ValueError(f"it has more than {_INSTRUCTIONS:,} instructions")
            if opcode.name == "STOP":
                return self._stack.pop()
            self._run(opcode.name, argument)
        raise ValueError("it has no end")

    def _run(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _SHORT_TUPLES:
            stack[-_SHORT_TUPLES[name] :] = [tuple(self._pop(_SHORT_TUPLES[name]))]
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name in ("GLOBAL", "INST"):
            if name == "INST":
                self._since_mark()
            stack.append(_reference(*argument.split(" ", 1)))
        else:
            self._other(name)

    def _pop(self, count: int) -> list[Any]:
        """The last values, which stay on the stack."""
        if len(self._stack) < count:
            raise ValueError("its stack is too short")
        return self._stack[-count:]

    def _since_mark(self) -> list[Any]:
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _other(self, name: str) -> None:
        if name not in _INSTRUCTION:
            raise ValueError(f"it has the unknown instruction {name}")
        _INSTRUCTION[name](self, self._stack)

    def _stack_global(self, stack: list[Any]) -> None:
        name, module = stack.pop(), stack.pop()
        stack.append(_reference(module, name))

    def _persistent(self, stack: list[Any]) -> None:
        word, kind, key, *_ = stack.pop()
        if word != "storage" or not isinstance(kind, Foreign):
            raise ValueError("it refers to something other than a storage")
        if type(key) not in (str, int):
            raise ValueError("the key of a storage must be a name")
        storage = Storage(kind.name.rpartition(".")[2], str(key))
        self.storages[storage.key] = storage.kind
        stack.append(storage)

    def _reduce(self, stack: list[Any]) -> None:
        arguments, made_of = stack.pop(), stack.pop()
        stack.append(self._made(made_of, arguments))

    def _pop_one(self, stack: list[Any]) -> None:
        if self._marks and self._marks[-1] == len(stack):
            self._marks.pop()
        else:
            stack.pop()

    def _set_items(self, stack: list[Any], items: list[Any]) -> None:
        target = stack[-1]
        if isinstance(target, dict):
            # A key of another type, such as a nested tuple, can take forever to hash.
            pairs = zip(items[::2], items[1::2], strict=True)
            target.update({k: v for k, v in pairs if type(k) in (str, int)})
        elif not isinstance(target, Foreign):
            raise ValueError("it sets items of something that has none")

    def _append(self, stack: list[Any], items: list[Any]) -> None:
        target = stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Foreign):
            raise ValueError("it appends to something that is no list")

    def _build(self, stack: list[Any]) -> None:
        """Sets attributes: accepted of dicts, such as `_metadata`, and not kept."""
        stack.pop()
        target = stack[-1]
        known = isinstance(target, Foreign) and target.name in _TENSORS + _PARAMETERS
        if known or not isinstance(target, Foreign | dict):
            raise ValueError("a tensor's fields must not be set")

    def _make_dict(self, stack: list[Any]) -> None:
        items = self._since_mark()
        stack.append({})
        self._set_items(stack, items)

    def _make_object(self, stack: list[Any]) -> None:
        made_of, *arguments = self._since_mark()
        stack.append(self._made(made_of, tuple(arguments)))

    def _make_frozen_set(self, stack: list[Any]) -> None:
        self._since_mark()
        stack.append(Foreign("builtins.frozenset"))

    def _make_with_names(self, stack: list[Any]) -> None:
        stack.pop()
        self._reduce(stack)

    def _made(self, made_of: Any, arguments: Any) -> Any:
        """What a call of a name results in."""
        if not (isinstance(made_of, Foreign) and isinstance(arguments, tuple)):
            raise ValueError("it calls something without a name")
        name = made_of.name
        if name in _TENSORS:
            storage, offset, shape, strides = arguments[:4]
            if not isinstance(storage, Storage):
                raise ValueError("a tensor must have a storage")
            return TensorPlace(storage, offset, shape, strides)
        if name in _PARAMETERS or name == "torch.Size":
            return arguments[0]
        if name in _DICTS:
            # Python 2 wrote the pairs of an OrderedDict as an argument.
            pairs = next((a for a in arguments if isinstance(a, list)), [])
            self._left -= len(pairs)
            return {k: v for k, v in pairs if type(k) in (str, int)}
        return made_of


def _reference(module: Any, name: Any) -> Foreign:
    if not (isinstance(module, str) and isinstance(name, str)):
        raise ValueError("it refers to something without a name")
    top = module.partition(".")[0]
    allowed = top in _HARMLESS or (module in _BUILTINS and name in _HARMLESS_BUILTINS)
    if (top in sys.stdlib_module_names or top in _BUILTINS) and not allowed:
        raise CodeError(f"{module}.{name}")
    return Foreign(f"{module}.{name}")


_INSTRUCTION: dict[str, Callable[[Machine, list[Any]], None]] = {
    "PROTO": lambda m, s: None,
    "FRAME": lambda m, s: None,
    "MARK": lambda m, s: m._marks.append(len(s)),
    "POP": Machine._pop_one,
    "POP_MARK": lambda m, s: m._since_mark().clear(),
    "DUP": lambda m, s: s.append(s[-1]),
    "MEMOIZE": lambda m, s: m._memo.update({len(m._memo): s[-1]}),
    "STACK_GLOBAL": Machine._stack_global,
    "BINPERSID": Machine._persistent,
    "REDUCE": Machine._reduce,
    "NEWOBJ": Machine._reduce,
    "NEWOBJ_EX": Machine._make_with_names,
    "OBJ": Machine._make_object,
    "BUILD": Machine._build,
    "EMPTY_LIST": lambda m, s: s.append([]),
    "LIST": lambda m, s: s.append(m._since_mark()),
    "TUPLE": lambda m, s: s.append(tuple(m._since_mark())),
    "APPEND": lambda m, s: m._append(s, [s.pop()]),
    "APPENDS": lambda m, s: m._append(s, m._since_mark()),
    "EMPTY_DICT": lambda m, s: s.append({}),
    "DICT": Machine._make_dict,
    "SETITEM": lambda m, s: m._set_items(s, [s.pop(-2), s.pop()]),
    "SETITEMS": lambda m, s: m._set_items(s, m._since_mark()),
    "EMPTY_SET": lambda m, s: s.append(Foreign("builtins.set")),
    "FROZENSET": Machine._make_frozen_set,
    "ADDITEMS": lambda m, s: m._append(s, m._since_mark()),
}
