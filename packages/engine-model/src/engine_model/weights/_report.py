"""Report the weights that do not fit a module."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]

_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """The keys that did not fit; `str` formats them as the logged message.

    Attributes:
        missing: Keys of the module that the weights lack.
        unexpected: Keys of the weights that the module lacks.
        mismatched: Keys with different shapes, with the shapes in the weights and in the module.
        errors: Other errors that modules reported while loading.

    Example:
        >>> report = LoadReport(missing=["fc.bias"], mismatched={"fc.weight": ((10, 4), (5, 4))})
        >>> print(report)
        missing keys in the weights: fc.bias
        keys of another shape:
          fc.weight: (10, 4) in the weights, (5, 4) in the model
        >>> report.fits
        False
    """

    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: dict[str, tuple[Shape, Shape]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        """Whether every key fits."""
        return not (self.missing or self.unexpected or self.mismatched or self.errors)

    def __str__(self) -> str:
        if self.fits:
            return "all keys fit"
        lines = []
        if self.unexpected:
            lines.append(f"unexpected keys in the weights: {', '.join(self.unexpected)}")
        if self.missing:
            lines.append(f"missing keys in the weights: {', '.join(self.missing)}")
        if self.mismatched:
            lines.append("keys of another shape:")
        for key, (given, expected) in self.mismatched.items():
            lines.append(f"  {key}: {given} in the weights, {expected} in the model")
        return "\n".join([*lines, *self.errors])


def nothing_fits(
    model: str, weights: Mapping[str, Any], expected: Sequence[str], report: LoadReport
) -> str:
    """Return the message of an error about weights that fit no key of a model.

    Args:
        model: The name of the model.
        weights: The weights by their keys.
        expected: The keys of the model.
        report: The report of loading.
    """
    lines = [f"none of the weights fits {model}, which would keep its initial weights"]
    if report.mismatched:
        lines.append("keys of another shape:")
        for key, (ours, theirs) in list(report.mismatched.items())[:_SHOWN]:
            lines.append(f"  {key}: {ours} in the weights, {theirs} in the model")
        lines.append("build the model with the sizes that it was saved with")
        return "\n".join(lines)
    given = list(weights)
    lines.append(f"keys of the weights: {_some(given)}")
    lines.append(f"keys of the model: {_some(expected)}")
    nested = _nested(weights)
    if nested:
        lines.append(
            f"the weights are one level down, under the key {nested[0]!r}, as {_some(nested[1])}; "
            f"save them as {{'state_dict': checkpoint[{nested[0]!r}]}}"
        )
        return "\n".join(lines)
    if not any(hasattr(value, "shape") for value in weights.values()):
        lines.append("none of them is a tensor: choose a file that has weights")
        return "\n".join(lines)
    shared = _shared_prefix(given)
    if shared:
        lines.append(f"all keys of the weights begin with {shared!r}")
    rule = _renaming(given, expected) or "(pattern, replacement)"
    lines.append(
        f"rename keys with load_checkpoint(..., revise_keys=[{rule}]), load a part of the weights "
        "with load_checkpoint_with_prefix, or choose another checkpoint"
    )
    return "\n".join(lines)


def _some(keys: Sequence[str]) -> str:
    more = f", … ({len(keys)} in all)" if len(keys) > _SHOWN else ""
    return (", ".join(keys[:_SHOWN]) or "none") + more


def _nested(weights: Mapping[str, Any]) -> tuple[str, list[str]] | None:
    """Return the key of a mapping of tensors among the weights, and the keys in it."""
    for key, value in weights.items():
        if isinstance(value, Mapping) and any(hasattr(item, "shape") for item in value.values()):
            return key, [str(name) for name in value]
    return None


def _shared_prefix(keys: Sequence[str]) -> str:
    """Return the first part of all keys, with its dot, or an empty text if they differ in it."""
    firsts = {key.partition(".")[0] for key in keys if "." in key}
    shared = len(firsts) == 1 and all("." in key for key in keys)
    return f"{firsts.pop()}." if shared else ""


def _renaming(given: Sequence[str], expected: Sequence[str]) -> str | None:
    """Return the rule that makes the names equal if one side has a prefix."""
    for key in given:
        for name in expected[:1]:
            if key.endswith(f".{name}"):
                prefix = re.escape(key.removesuffix(name))
                return f"(r'^{prefix}', '')"
    for name in expected:
        for key in given[:1]:
            if name.endswith(f".{key}"):
                return f"(r'^', '{name.removesuffix(key)}')"
    return None
