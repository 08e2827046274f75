"""YAML, read safely."""

import io
from typing import IO, Any

from engine_fileio.handlers._base import BaseFileHandler


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
        yaml, dialect = _library()
        kwargs.setdefault("Loader", dialect.Loader)
        return yaml.load(file, **kwargs)

    def dump_to_fileobj(self, obj: Any, file: IO[Any], **kwargs: Any) -> None:
        """Write an object to an open text file."""
        yaml, dialect = _library()
        kwargs.setdefault("Dumper", dialect.Dumper)
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
        return self.load_from_fileobj(file, **{**kwargs, "Loader": _library()[1].Loader})


def _library() -> tuple[Any, Any]:
    """Return PyYAML and our dialect of it: imported when YAML is read, not with the package."""
    import yaml

    from engine_fileio.handlers import _yaml_dialect

    return yaml, _yaml_dialect
