"""Read a pickle without running its code: replace foreign classes by inert placeholders.

``torch.load(weights_only=True)`` raises an error if a file contains a class outside its list. This
reader accepts such a file. It calls only functions that build tensors and plain containers. Every
other name becomes a placeholder class, which only stores its arguments.
"""

import codecs
import math
import pickle
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import IO, Any, ClassVar, NoReturn

import numpy as np
import torch
from torch import Tensor


class ForeignObject:
    """A placeholder for an object of a class that was not imported; it has no behavior.

    Attributes:
        class_name: The class in the file, such as ``"mmcv.Config"``.
        args: The arguments of its constructor.
        state: The argument of its `__setstate__`, or ``None``.
        content: The items, or pairs of key and value, if the class is a container.

    Example:
        >>> import io
        >>> from fractions import Fraction
        >>> half = InertUnpickler(io.BytesIO(pickle.dumps(Fraction(1, 2)))).load()
        >>> half, half.args
        (<inert fractions.Fraction>, (1, 2))
    """

    class_name: ClassVar[str] = ""
    args: tuple[Any, ...]
    state: Any
    content: list[Any]

    # Depending on the protocol, pickle creates an object by __new__ or by a call of the class. Both
    # call __new__, so __new__ sets all attributes.
    def __new__(cls, *args: object, **kwargs: object) -> "ForeignObject":
        """Store the arguments; run nothing."""
        instance = super().__new__(cls)
        instance.args = (*args, kwargs) if kwargs else args
        instance.state = None
        instance.content = []
        return instance

    def __init__(self, *args: object, **kwargs: object) -> None:
        # A call of the class also passes the arguments of __new__ to this method.
        return

    def __setitem__(self, key: object, value: object) -> None:
        self.content.append((key, value))

    # The unpickler fills containers through these methods and __setitem__.
    def append(self, item: object) -> None:
        """Store an item of a list."""
        self.content.append(item)

    def extend(self, items: Iterable[object]) -> None:
        """Store items of a list."""
        self.content.extend(items)

    def add(self, item: object) -> None:
        """Store an item of a set."""
        self.content.append(item)

    def __repr__(self) -> str:
        return f"<inert {self.class_name}>"


def foreign_class(module: str, name: str) -> type[ForeignObject]:
    """Return a placeholder for a class.

    Args:
        module: The module in the file.
        name: The name in that module, usually the name of a class.
    """
    return type(name, (ForeignObject,), {"class_name": f"{module}.{name}", "__module__": __name__})


class UnsafePickleError(pickle.UnpicklingError):
    """A pickle contains an operation that the pickle of weights never contains."""


def _reject(operation: str) -> NoReturn:
    raise UnsafePickleError(f"its pickle {operation}, which a pickle of weights never does")


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """Encode text as bytes; pickle protocol 2 writes bytes as a call of ``_codecs.encode``."""
    # Reject other codecs: they may be registered functions, which would run.
    if codecs.lookup(encoding).name != "iso8859-1":
        _reject(f"encodes text by {encoding!r}")
    return text.encode("latin1")


def _plain_dict(*_factory: object) -> dict[Any, Any]:
    """Return a dict in place of a `defaultdict`, whose factory could be any callable."""
    return {}


# The codes of numpy's dtypes, and the codes of the same types in the module struct.
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


def _numpy_scalar(dtype: object, data: object = b"") -> object:
    """Convert a numpy scalar to a Python number; its dtype is a placeholder here."""
    if not isinstance(dtype, ForeignObject) or not isinstance(data, bytes):
        return foreign_class("numpy", "scalar")(dtype, data)
    code = dtype.args[0] if dtype.args else None
    if code not in _NUMBERS:
        return foreign_class("numpy", "scalar")(dtype, data)
    # The state of a dtype begins with a version, then its byte order: ``(3, ">", ...)``.
    order = ">" if isinstance(dtype.state, tuple) and ">" in dtype.state[:2] else "<"
    return struct.unpack(order + _NUMBERS[code], data)[0]


class _UnreadArray(ForeignObject):
    """A NumPy array between its creation and the operation that sets its values."""

    class_name = "numpy.ndarray"


def _array(state: object) -> "np.ndarray[Any, Any] | None":
    """Return the array of a state ``(version, shape, dtype, is_fortran, data)``; else None."""
    match state:
        case (int(), tuple(shape), ForeignObject() as dtype, is_fortran, bytes(data)):
            code = dtype.args[0] if dtype.args else None
            if code not in _NUMBERS or not all(isinstance(size, int) for size in shape):
                return None
            order = ">" if isinstance(dtype.state, tuple) and ">" in dtype.state[:2] else "<"
            values = np.frombuffer(data, np.dtype(code).newbyteorder(order))
            if values.size != math.prod(shape):
                _reject("has an array with too few or too many values")
            # A copy, because an array on top of bytes is read-only.
            return values.reshape(shape, order="F" if is_fortran else "C").copy()
        case _:
            return None


# The functions that a pickle of torch calls, per kind of tensor. A version of torch may lack some.
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
    # A Counter or OrderedDict runs no code from the file.
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "Counter"): Counter,
    ("collections", "defaultdict"): _plain_dict,
    ("_codecs", "encode"): _latin1,
    # numpy 2 renamed the module.
    ("numpy.core.multiarray", "scalar"): _numpy_scalar,
    ("numpy._core.multiarray", "scalar"): _numpy_scalar,
    ("numpy.core.multiarray", "_reconstruct"): _UnreadArray,
    ("numpy._core.multiarray", "_reconstruct"): _UnreadArray,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    ("torch", "Tensor"): Tensor,
    ("torch.nn.parameter", "Parameter"): torch.nn.Parameter,
    # The storage of a data type without a class of its own, such as uint16; torch has two paths.
    ("torch", "UntypedStorage"): torch.UntypedStorage,
    ("torch.storage", "UntypedStorage"): torch.UntypedStorage,
    ("torch.serialization", "_get_layout"): torch.serialization._get_layout,  # of sparse tensors
    **{("torch._utils", n): getattr(torch._utils, n) for n in _REBUILD if hasattr(torch._utils, n)},
    **{
        (module, kind.__name__): kind
        for module in ("builtins", "__builtin__")  # Python 3 and Python 2
        for kind in (bytearray, complex, frozenset, set)
    },
}
# Allowed as arguments of a rebuild function, but not called: their constructors accept any object.
_NOT_CALLED: tuple[object, ...] = (Tensor, torch.nn.Parameter, torch.UntypedStorage)


# Use the unpickler that is written in Python: the one in C does not allow overriding operations.
class InertUnpickler(pickle._Unpickler):
    """Unpickle, and call only functions that rebuild tensors and containers.

    Example:
        >>> import io
        >>> class Spy:
        ...     def __reduce__(self):
        ...         return print, ("this is not printed",)
        >>> InertUnpickler(io.BytesIO(pickle.dumps({"spy": Spy(), "n": 1}))).load()
        {'spy': <inert builtins.print>, 'n': 1}
    """

    # Attributes of the base class that its stub omits.
    stack: list[Any]
    memo: dict[int, Any]
    append: Callable[[Any], None]
    # Copy the table, because other unpicklers use the one of the base class.
    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, file: IO[bytes], **kwargs: Any) -> None:
        super().__init__(file, **kwargs)
        self._placeholders: dict[tuple[str, str], type[ForeignObject]] = {}
        self._has_unread_arrays = False

    def find_class(self, module: str, name: str) -> Any:
        """Return an allowed function or class, a dtype, or a placeholder, and import nothing."""
        allowed = _ALLOWED.get((module, name))
        if allowed is not None:
            return allowed
        # Use vars instead of getattr: torch imports some packages on attribute access, so a file
        # could make this process import code.
        item = vars(torch).get(name) if module == "torch" else None
        if isinstance(item, torch.dtype | torch.layout | torch.memory_format):
            return item
        if (module, name) not in self._placeholders:
            self._placeholders[module, name] = foreign_class(module, name)
        return self._placeholders[module, name]

    def _call(
        self, function: Callable[..., Any], args: object, kwargs: dict[str, Any] | None = None
    ) -> Any:
        if isinstance(function, ForeignObject):
            # A call of a placeholder returns an object. A pickle may call that object again.
            function = foreign_class(function.class_name, "__call__")
        is_placeholder = isinstance(function, type) and issubclass(function, ForeignObject)
        # Compare identities: an object from the file may define == and may have no hash.
        is_allowed = any(function is item for item in _ALLOWED.values())
        if not is_placeholder and (not is_allowed or any(function is t for t in _NOT_CALLED)):
            _reject(f"calls {function!r:.100}")
        if not isinstance(args, tuple):
            _reject(f"calls {function!r:.100} with {args!r:.100}")
        return function(*args, **(kwargs or {}))

    def load_reduce(self) -> None:
        """REDUCE: call a function."""
        args = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], args)

    def load_newobj(self) -> None:
        """NEWOBJ: create an instance."""
        self.load_reduce()

    def load_newobj_ex(self) -> None:
        """NEWOBJ_EX: create an instance with keyword arguments."""
        kwargs = self.stack.pop()
        args = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], args, kwargs)

    def _instantiate(self, klass: Callable[..., Any], args: Iterable[object]) -> None:
        """INST and OBJ of protocols 0 and 1: create an instance."""
        self.append(self._call(klass, tuple(args)))

    def load_build(self) -> None:
        """BUILD: set the state of an object."""
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, ForeignObject):
            target.state = state
            self._read_array(target)
        elif type(target) is OrderedDict and isinstance(state, dict):
            # torch stores the versions of modules in the attribute `_metadata` of a state dict.
            # Drop all other attributes, because they could replace methods.
            if "_metadata" in state:
                target.__dict__["_metadata"] = state["_metadata"]
        # The state of a tensor, such as Python attributes, is dropped.
        elif not isinstance(target, Tensor):
            _reject(f"sets the state of {target!r:.100}")

    def _read_array(self, target: ForeignObject) -> None:
        """Replace a NumPy array on the stack and in the memo, if its values are plain numbers."""
        array = _array(target.state) if isinstance(target, _UnreadArray) else None
        if array is not None:
            self.stack[-1] = array
            for key, value in self.memo.items():
                if value is target:
                    self.memo[key] = array
        elif isinstance(target, _UnreadArray):
            self._has_unread_arrays = True

    def get_extension(self, code: int) -> None:
        """EXT1, EXT2 and EXT4: raise an error, since the number may refer to any class."""
        _reject(f"names a class by the extension code {code}")

    @property
    def placeholders(self) -> list[str]:
        """The names of the classes that placeholders replace."""
        names = {kind.class_name for kind in self._placeholders.values()}
        # Arrays and scalars name these two, and are read.
        names -= {"numpy.ndarray", "numpy.dtype"}
        return sorted(names | ({"numpy.ndarray"} if self._has_unread_arrays else set()))


# pickle looks up operations in this table, so overriding the methods is not enough.
InertUnpickler.dispatch.update(
    {
        pickle.REDUCE[0]: InertUnpickler.load_reduce,
        pickle.NEWOBJ[0]: InertUnpickler.load_newobj,
        pickle.NEWOBJ_EX[0]: InertUnpickler.load_newobj_ex,
        pickle.BUILD[0]: InertUnpickler.load_build,
    }
)


class InertPickle:
    """Replace the module ``pickle`` in ``torch.load(pickle_module=...)``.

    Attributes:
        placeholders: The names of the classes that placeholders replace, in all pickles read.

    Example:
        >>> import io
        >>> InertPickle().load(io.BytesIO(pickle.dumps([1, 2])))
        [1, 2]
    """

    # torch.load compares the name of the pickle module with that of dill.
    __name__ = "engine_model.weights.pickle"

    def __init__(self) -> None:
        readers: list[InertUnpickler] = []

        # torch subclasses the `Unpickler` of its pickle module, so this must be a class. Each
        # InertPickle has its own class, because `placeholders` must list its own readers only.
        class Unpickler(InertUnpickler):
            def __init__(self, file: IO[bytes], **kwargs: Any) -> None:
                super().__init__(file, **kwargs)
                readers.append(self)

        self._readers = readers
        self.Unpickler = Unpickler

    def load(self, file: IO[bytes], **kwargs: Any) -> Any:
        """Read one pickle, as `pickle.load` does."""
        return self.Unpickler(file, **kwargs).load()

    @property
    def placeholders(self) -> list[str]:
        """The names of the classes that placeholders replace."""
        return sorted({name for reader in self._readers for name in reader.placeholders})
