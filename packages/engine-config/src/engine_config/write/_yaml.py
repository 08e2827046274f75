"""Write plain values as YAML with PyYAML's safe classes."""

from __future__ import annotations

from typing import Any

import yaml

from engine_config.read._yaml import scalar_rules

_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_SafeDumper):  # type: ignore[misc]  # chosen when imported
    # The same rules as the reader, so that strings are quoted where the reader needs it.
    yaml_implicit_resolvers = scalar_rules(_SafeDumper)

    def ignore_aliases(self, data: object) -> bool:
        return True  # write a list that occurs at two keys twice, without &id001


def yaml_text(value: Any) -> str:
    """Return a value as block-style YAML; keys are sorted if all are strings."""
    # PyYAML raises if it sorts keys of several types.
    sort = _all_text_keys(value)
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=sort, default_flow_style=False, allow_unicode=True
    )
    return text


def _all_text_keys(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _all_text_keys(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_all_text_keys, value))
    return True
