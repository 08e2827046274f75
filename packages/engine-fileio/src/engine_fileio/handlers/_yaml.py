"""YAML, read safely."""

import io
from typing import IO, Any

import yaml

from engine_fileio.handlers._base import BaseFileHandler
from engine_fileio.handlers._plain import plain

# libyaml's parser, ten times as fast, where PyYAML was built with it
_SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SafeDumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_SafeDumper):  # type: ignore[valid-type, misc]  # which of two classes is known at run time
    """Plain YAML, for subclasses of the plain types and numpy values too."""

    def represent_undefined(self, data: Any) -> yaml.Node:
        try:
            value = plain(data)
        except TypeError as error:
            raise yaml.representer.RepresenterError(str(error)) from error
        return self.represent_data(value)  # type: ignore[no-any-return]  # of an untyped base


_Dumper.add_representer(None, _Dumper.represent_undefined)
_Dumper.add_multi_representer(dict, _SafeDumper.represent_dict)
_Dumper.add_multi_representer(list, _SafeDumper.represent_list)
_Dumper.add_multi_representer(tuple, _SafeDumper.represent_list)
_Dumper.add_multi_representer(str, _SafeDumper.represent_str)
_Dumper.add_multi_representer(set, _SafeDumper.represent_set)


class YamlHandler(BaseFileHandler):
    r"""YAML through PyYAML's safe loader and dumper, so that reading constructs plain data only.

    Keyword arguments go to ``yaml.load`` and ``yaml.dump``. Keys keep their order and text its
    alphabet, unless ``sort_keys`` and ``allow_unicode`` say otherwise.

    Example:
        >>> YamlHandler().dump_to_str({"lr": 0.1, "betas": (0.9, 0.99)}, default_flow_style=True)
        '{lr: 0.1, betas: [0.9, 0.99]}\n'
    """

    def load_from_fileobj(self, file: IO[Any], **kwargs: Any) -> Any:
        """Read an object from an open file."""
        kwargs.setdefault("Loader", _SafeLoader)
        return yaml.load(file, **kwargs)

    def dump_to_fileobj(self, obj: Any, file: IO[Any], **kwargs: Any) -> None:
        """Write an object to an open text file."""
        kwargs.setdefault("Dumper", _Dumper)
        kwargs.setdefault("sort_keys", False)
        kwargs.setdefault("allow_unicode", True)
        yaml.dump(obj, file, **kwargs)

    def dump_to_str(self, obj: Any, **kwargs: Any) -> str:
        """Return an object as YAML text."""
        text = io.StringIO()
        self.dump_to_fileobj(obj, text, **kwargs)
        return text.getvalue()

    def load_untrusted(self, file: IO[Any], **kwargs: Any) -> Any:
        """Read an object from an open file with the safe loader, whatever ``Loader`` says."""
        return self.load_from_fileobj(file, **{**kwargs, "Loader": _SafeLoader})
