"""Load and dump YAML files, with the safe loader and dumper."""

import functools
import io
from typing import IO, Any, NamedTuple

from engine_fileio.handlers._base import BaseFileHandler, plain_data


class YamlHandler(BaseFileHandler):
    r"""YAML through PyYAML's safe loader and dumper; loading constructs plain data only.

    Keyword arguments go to ``yaml.load`` and ``yaml.dump``. By default ``sort_keys`` is False and
    ``allow_unicode`` is True.

    Example:
        >>> YamlHandler().dump_to_str({"lr": 0.1, "betas": (0.9, 0.99)}, default_flow_style=True)
        '{lr: 0.1, betas: [0.9, 0.99]}\n'
    """

    def load_from_fileobj(self, file: IO[Any], **kwargs: Any) -> Any:
        """Load an object from an open file."""
        kwargs.setdefault("Loader", _dialect().loader)
        return _dialect().yaml.load(file, **kwargs)

    def dump_to_fileobj(self, obj: Any, file: IO[Any], **kwargs: Any) -> None:
        """Write an object to an open text file."""
        kwargs.setdefault("Dumper", _dialect().dumper)
        kwargs.setdefault("sort_keys", False)
        kwargs.setdefault("allow_unicode", True)
        _dialect().yaml.dump(obj, file, **kwargs)

    def dump_to_str(self, obj: Any, **kwargs: Any) -> str:
        """Return an object as YAML text."""
        text = io.StringIO()
        self.dump_to_fileobj(obj, text, **kwargs)
        return text.getvalue()

    def load_untrusted(self, file: IO[Any], **kwargs: Any) -> Any:
        """Load an object from an open file with the safe loader, even if ``Loader`` is given."""
        return self.load_from_fileobj(file, **{**kwargs, "Loader": _dialect().loader})


class _Dialect(NamedTuple):
    yaml: Any
    loader: Any
    dumper: Any


@functools.cache
def _dialect() -> _Dialect:
    """Return PyYAML, its safe loader, and our dumper."""
    import yaml  # slow to import, and most programs read no YAML

    # libyaml's parser and emitter are ten times as fast, where PyYAML was built with them.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(base):  # type: ignore[misc]  # which of two classes is known at run time
        """A safe dumper that also accepts subclasses of plain types, arrays and tensors."""

        def represent_undefined(self, data: Any) -> yaml.Node:
            try:
                value = plain_data(data)
            except TypeError as error:
                raise yaml.representer.RepresenterError(str(error)) from error
            return self.represent_data(value)  # type: ignore[no-any-return]  # of an untyped base

    # PyYAML finds a representer by the exact type. A multi-representer also covers subclasses, such
    # as OrderedDict. The key None covers all types without a representer.
    Dumper.add_representer(None, Dumper.represent_undefined)
    for kind, represent in (
        (dict, base.represent_dict),
        (list, base.represent_list),
        (tuple, base.represent_list),
        (str, base.represent_str),
        (set, base.represent_set),
    ):
        Dumper.add_multi_representer(kind, represent)
    return _Dialect(yaml, loader, Dumper)
