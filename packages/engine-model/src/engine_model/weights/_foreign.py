"""Read a pickle without running its code: replace foreign classes by inert placeholders.

``torch.load(weights_only=True)`` raises an error if a file contains a class outside its list. This
reader accepts such a file. It calls only functions that build tensors and plain containers. Every
other name becomes a placeholder class, which only stores its arguments.
"""

import codecs
import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import IO, Any, ClassVar, NoReturn

import torch
from torch import Tensor

from engine_model.weights._placeholder import ForeignObject, foreign_class
from engine_model.weights._values import VALUES, UnreadArray, WrongSizeError, array_of


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
    ("_codecs", "encode"): _latin1,
    **VALUES,
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
        self._unread: set[str] = set()  # values that are not rebuilt, such as arrays of objects

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
        result = function(*args, **(kwargs or {}))
        if is_allowed and isinstance(result, ForeignObject) and not isinstance(result, UnreadArray):
            self._unread.add(result.class_name)
        return result

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
        # The attributes of a tensor and of a config, whose items are set already, are dropped.
        elif not isinstance(target, Tensor) and type(target) is not dict:
            _reject(f"sets the state of {target!r:.100}")

    def _read_array(self, target: ForeignObject) -> None:
        """Replace a NumPy array on the stack and in the memo, if its values are plain numbers."""
        if not isinstance(target, UnreadArray):
            return
        try:
            array = array_of(target.state)
        except WrongSizeError as error:
            _reject(str(error))
        if array is None:
            self._unread.add(target.class_name)
        else:
            self.stack[-1] = array
            for key, value in self.memo.items():
                if value is target:
                    self.memo[key] = array

    def get_extension(self, code: int) -> None:
        """EXT1, EXT2 and EXT4: raise an error, since the number may refer to any class."""
        _reject(f"names a class by the extension code {code}")

    @property
    def placeholders(self) -> list[str]:
        """The names of the classes that placeholders replace."""
        names = {kind.class_name for kind in self._placeholders.values()}
        # Arrays and scalars name these two, and are read.
        names -= {"numpy.ndarray", "numpy.dtype"}
        return sorted(names | self._unread)


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
