"""Pickle an object of another library by its name, without that library."""

import pickle
from typing import Any, Final


class CallByName:
    """A call of a class that whoever reads the file imports, and this process does not.

    Args:
        module: The module of the class.
        name: The name of the class.
        *args: The arguments of the call, which are pickled.

    Example:
        >>> import io, torch
        >>> file = io.BytesIO()
        >>> half = CallByName("fractions", "Fraction", 1, 2)
        >>> torch.save({"half": half}, file, NamingPickle())
        >>> _ = file.seek(0)
        >>> torch.load(file, weights_only=False)
        {'half': Fraction(1, 2)}
    """

    def __init__(self, module: str, name: str, *args: object) -> None:
        self.module, self.name, self.args = module, name, args

    def __reduce__(self) -> Any:
        raise pickle.PicklingError(f"{self.module}.{self.name} needs NamingPickle, got {pickle!r}")


# The pickler that is written in Python: the one in C imports each class that it names.
class _Pickler(pickle._Pickler):
    # Methods of the base class that its stub omits.
    write: Any
    memoize: Any

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if not isinstance(obj, CallByName):
            super().save(obj, save_persistent_id)  # type: ignore[misc]  # the stub omits it
            return
        self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        super().save(obj.args)  # type: ignore[misc]  # the stub omits it
        self.write(pickle.REDUCE)


class NamingPickle:
    """Replace the module ``pickle`` in ``torch.save(pickle_module=...)``, for `CallByName`.

    Example:
        >>> import io
        >>> NamingPickle.Pickler(io.BytesIO()).dump(CallByName("not_here", "Name", 1))
    """

    # torch compares the name of the pickle module with that of dill.
    __name__: Final = "engine_model.weights.pickle"

    Pickler = _Pickler
