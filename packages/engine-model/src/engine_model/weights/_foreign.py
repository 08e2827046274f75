"""Reading pickles without running them: foreign classes become inert placeholders.

``torch.load(weights_only=True)`` refuses a file that holds any class it does not know. Here such a
file is read all the same, but of its pickle only these operations are carried out: build tensors
and plain containers. Every other name in it becomes a class of no behaviour that keeps what it was
given.
"""

import codecs
import pickle
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import IO, Any, ClassVar, Never

import torch
from torch import Tensor


class ForeignObject:
    """Stands for an object of a class that was not imported; it does nothing.

    Attributes:
        class_name: The class in the file, such as ``"mmcv.Config"``.
        args: What its constructor would have been given.
        state: What its ``__setstate__`` would have been given, or ``None``.
        content: What would have been put in, if it was a container: items, or pairs.

    Example:
        >>> kind = foreign_class("mmcv.utils", "Config")
        >>> kind(1, 2)
        <inert mmcv.utils.Config>
        >>> kind(1, 2).args
        (1, 2)
    """

    class_name: ClassVar[str] = ""
    args: tuple[Any, ...]
    state: Any
    content: list[Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> "ForeignObject":
        """Keep the arguments; run nothing."""
        instance = super().__new__(cls)
        instance.args = (*args, kwargs) if kwargs else args
        instance.state = None
        instance.content = []
        return instance

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Takes what __new__ took; pickle calls either or both.
        return

    def __setitem__(self, key: Any, value: Any) -> None:
        self.content.append((key, value))

    def append(self, item: Any) -> None:
        """Keep an item of what was a list."""
        self.content.append(item)

    def extend(self, items: Iterable[Any]) -> None:
        """Keep items of what was a list."""
        self.content.extend(items)

    def add(self, item: Any) -> None:
        """Keep an item of what was a set."""
        self.content.append(item)

    def __repr__(self) -> str:
        return f"<inert {self.class_name}>"


def foreign_class(module: str, name: str) -> type[ForeignObject]:
    """Make the placeholder of a class.

    Args:
        module: The module that the file names.
        name: The class, or whatever it is.
    """
    return type(name, (ForeignObject,), {"class_name": f"{module}.{name}", "__module__": __name__})


class RefusedPickleError(pickle.UnpicklingError):
    """A pickle does what the pickle of weights never does."""


def _refuse(what: str) -> Never:
    raise RefusedPickleError(f"its pickle {what}, which weights never do")


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """What pickle protocol 2 writes for bytes: a call of ``_codecs.encode``."""
    if codecs.lookup(encoding).name != "iso8859-1":
        _refuse(f"encodes text by {encoding!r}")
    return text.encode("latin1")


def _plain_dict(*_factory: Any) -> dict[Any, Any]:
    """A ``defaultdict`` without its factory, which could be anything."""
    return {}


_NUMBERS = {
    "b1": "?",
    "i1": "b",
    "i2": "h",
    "i4": "i",
    "i8": "q",
    "u1": "B",
    "u2": "H",
    "u4": "I",
    "u8": "Q",
    "f2": "e",
    "f4": "f",
    "f8": "d",
}


def _numpy_scalar(dtype: Any, data: Any = b"") -> Any:
    """A numpy scalar as the Python number it holds; its dtype is a placeholder here."""
    code = dtype.args[0] if isinstance(dtype, ForeignObject) and dtype.args else None
    if code not in _NUMBERS or not isinstance(data, bytes):
        return foreign_class("numpy", "scalar")(dtype, data)
    order = ">" if isinstance(dtype.state, tuple) and ">" in dtype.state[:2] else "<"
    return struct.unpack(order + _NUMBERS[code], data)[0]


_REBUILD: tuple[str, ...] = (
    "_rebuild_tensor",
    "_rebuild_tensor_v2",
    "_rebuild_tensor_v3",
    "_rebuild_parameter",
    "_rebuild_sparse_tensor",
    "_rebuild_sparse_csr_tensor",
    "_rebuild_meta_tensor_no_storage",
    "_rebuild_nested_tensor",
)
_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "Counter"): Counter,
    ("collections", "defaultdict"): _plain_dict,
    ("_codecs", "encode"): _latin1,
    ("numpy.core.multiarray", "scalar"): _numpy_scalar,
    ("numpy._core.multiarray", "scalar"): _numpy_scalar,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    ("torch", "Tensor"): Tensor,
    ("torch.nn.parameter", "Parameter"): torch.nn.Parameter,
    **{("torch._utils", n): getattr(torch._utils, n) for n in _REBUILD if hasattr(torch._utils, n)},
    **{
        (module, kind.__name__): kind
        for module in ("builtins", "__builtin__")
        for kind in (bytearray, complex, frozenset, set)
    },
}
# Allowed as arguments (of a rebuild function), never called: a call would build from what is given.
_NOT_CALLED: tuple[object, ...] = (Tensor, torch.nn.Parameter)


# The unpickler in Python, not the one in C: only here can each operation be overridden.
class InertUnpickler(pickle._Unpickler):
    """An unpickler that calls nothing but the functions that rebuild tensors and containers.

    Example:
        >>> import io
        >>> class Spy:
        ...     def __reduce__(self):
        ...         return print, ("this is not printed",)
        >>> InertUnpickler(io.BytesIO(pickle.dumps({"spy": Spy(), "n": 1}))).load()
        {'spy': <inert builtins.print>, 'n': 1}
    """

    stack: list[Any]
    append: Callable[[Any], None]
    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, file: IO[bytes], **kwargs: Any) -> None:
        super().__init__(file, **kwargs)
        self._placeholders: dict[tuple[str, str], type[ForeignObject]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return an allowed function or class, a dtype, or a placeholder; import nothing."""
        allowed = _ALLOWED.get((module, name))
        if allowed is not None:
            return allowed
        # Not by getattr, at which torch imports some of its packages.
        item = vars(torch).get(name) if module == "torch" else None
        if isinstance(item, torch.dtype | torch.layout | torch.memory_format):
            return item
        if (module, name) not in self._placeholders:
            self._placeholders[module, name] = foreign_class(module, name)
        return self._placeholders[module, name]

    def _call(self, function: Any, args: Any, kwargs: dict[str, Any] | None = None) -> Any:
        if isinstance(function, ForeignObject):
            # What a call of a placeholder gave, such as a method, is called in turn.
            function = foreign_class(function.class_name, "__call__")
        is_placeholder = isinstance(function, type) and issubclass(function, ForeignObject)
        is_allowed = any(function is item for item in _ALLOWED.values())
        if not is_placeholder and (not is_allowed or any(function is t for t in _NOT_CALLED)):
            _refuse(f"calls {function!r:.100}")
        if not isinstance(args, tuple):
            _refuse(f"calls {function!r:.100} with {args!r:.100}")
        return function(*args, **(kwargs or {}))

    def load_reduce(self) -> None:
        """REDUCE: call a function."""
        args = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], args)

    def load_newobj(self) -> None:
        """NEWOBJ: make an instance."""
        self.load_reduce()

    def load_newobj_ex(self) -> None:
        """NEWOBJ_EX: make an instance, with keyword arguments."""
        kwargs = self.stack.pop()
        args = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], args, kwargs)

    def _instantiate(self, klass: Any, args: Any) -> None:
        """INST and OBJ of protocols 0 and 1: make an instance."""
        self.append(self._call(klass, tuple(args)))

    def load_build(self) -> None:
        """BUILD: give an object its state."""
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, ForeignObject):
            target.state = state
        elif type(target) is OrderedDict and isinstance(state, dict):
            # The versions of modules, which torch keeps as an attribute of a state dict.
            if "_metadata" in state:
                target.__dict__["_metadata"] = state["_metadata"]
        elif not isinstance(target, Tensor):
            _refuse(f"sets the state of {target!r:.100}")

    def get_extension(self, code: int) -> None:
        """EXT1, EXT2 and EXT4: a class by a number that only this process would know."""
        _refuse(f"names a class by the extension code {code}")

    @property
    def placeholders(self) -> list[str]:
        """The names that became placeholders."""
        return sorted(kind.class_name for kind in self._placeholders.values())


InertUnpickler.dispatch.update(
    {
        pickle.REDUCE[0]: InertUnpickler.load_reduce,
        pickle.NEWOBJ[0]: InertUnpickler.load_newobj,
        pickle.NEWOBJ_EX[0]: InertUnpickler.load_newobj_ex,
        pickle.BUILD[0]: InertUnpickler.load_build,
    }
)


class InertPickle:
    """A stand-in for the module ``pickle``, for ``torch.load(pickle_module=...)``.

    Attributes:
        placeholders: The names that became placeholders, in all that was read.

    Example:
        >>> import io
        >>> InertPickle().load(io.BytesIO(pickle.dumps([1, 2])))
        [1, 2]
    """

    __name__ = "engine_model.weights.pickle"

    def __init__(self) -> None:
        readers: list[InertUnpickler] = []

        class Unpickler(InertUnpickler):
            def __init__(self, file: IO[bytes], **kwargs: Any) -> None:
                super().__init__(file, **kwargs)
                readers.append(self)

        self._readers = readers
        self.Unpickler = Unpickler

    def load(self, file: IO[bytes], **kwargs: Any) -> Any:
        """Read one pickle, as ``pickle.load`` does."""
        return self.Unpickler(file, **kwargs).load()

    @property
    def placeholders(self) -> list[str]:
        """The names that became placeholders."""
        return sorted({name for reader in self._readers for name in reader.placeholders})
