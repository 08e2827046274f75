"""Report the weights that do not fit a module."""

from dataclasses import dataclass, field

Shape = tuple[int, ...]


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
