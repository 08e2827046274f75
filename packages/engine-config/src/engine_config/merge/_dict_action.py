"""`DictAction`: the argparse action for ``--cfg-options``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from engine_config._errors import ConfigError
from engine_config.merge._overrides import parse_overrides
from engine_config.read import parse_value


class DictAction(argparse.Action):
    """Collect ``key=value`` arguments in a dict, as an argparse action.

    Use it with ``nargs="+"``. The option may be given several times; the arguments are merged.
    `parse_overrides` describes the syntax of values.

    Example:
        >>> import argparse
        >>> parser = argparse.ArgumentParser()
        >>> _ = parser.add_argument("--cfg-options", nargs="+", action=DictAction)
        >>> parser.parse_args(["--cfg-options", "a.b=1", "c=x,y"]).cfg_options
        {'a.b': 1, 'c': ['x', 'y']}
    """

    @staticmethod
    def _parse_iterable(val: str) -> Any:
        """Return the value of a text such as ``1,[2,3]``; libraries call this method."""
        return parse_value(val)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Add the arguments to those collected so far."""
        items = [values] if isinstance(values, str) else list(values or ())
        try:
            new = parse_overrides(items)
        except ConfigError as error:
            raise argparse.ArgumentError(self, str(error)) from error
        collected = getattr(namespace, self.dest, None) or {}
        setattr(namespace, self.dest, {**collected, **new})
