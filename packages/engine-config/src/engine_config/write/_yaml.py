"""Write plain values as YAML with PyYAML's safe classes."""

from __future__ import annotations

from typing import Any, Final

import yaml

from engine_config.read._substitution import escaped
from engine_config.read._yaml import scalar_rules

_STRING: Final = "tag:yaml.org,2002:str"
_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_SafeDumper):  # type: ignore[misc]  # chosen when imported
    # The same rules as the reader, so that strings are quoted where the reader needs it.
    yaml_implicit_resolvers = scalar_rules(_SafeDumper)

    def ignore_aliases(self, data: object) -> bool:
        return True  # write a list that occurs at two keys twice, without &id001

    def represent_text(self, data: str) -> Any:
        # In double quotes, where `yaml_text` can write an escape.
        return self.represent_scalar(_STRING, data, style='"' if "{{" in data else None)


_Dumper.add_representer(str, _Dumper.represent_text)


def yaml_text(value: Any) -> str:
    """Return a value as block-style YAML; keys are sorted if all are strings."""
    # PyYAML raises if it sorts keys of several types.
    sort = _all_text_keys(value)
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=sort, default_flow_style=False, allow_unicode=True
    )
    # Otherwise {{fileDirname}} would be replaced when the text is read again.
    return escaped(text)


def _all_text_keys(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _all_text_keys(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_all_text_keys, value))
    return True
