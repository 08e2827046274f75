"""Count the operations of `torch.einsum`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import prod


def einsum_flops(
    equation: str, shapes: Sequence[tuple[int, ...]], path: Sequence[int] | None = None
) -> int:
    """Return the multiply-additions of an `einsum`, which contracts two operands at a time.

    Args:
        equation: The equation, such as ``"bij,bjk->bik"``.
        shapes: The shapes of the operands.
        path: The positions of each pair, as torch orders them; from left to right without.

    Example:
        >>> einsum_flops("ij,jk->ik", [(2, 3), (3, 4)])
        24
    """
    left, arrow, output = equation.replace(" ", "").partition("->")
    operands = [_labels(term, shape) for term, shape in zip(left.split(","), shapes, strict=True)]
    sizes: dict[str, int] = {}
    for labels, shape in zip(operands, shapes, strict=True):
        for label, size in zip(labels, shape, strict=True):
            sizes[label] = max(size, sizes.get(label, 1))  # a size of 1 is broadcast
    kept = _kept(output) if arrow else _implicit(operands)
    dots = {label for label in sizes if label.isdigit()}
    keep = kept | dots if not arrow or "..." in output else kept
    rest = [set(labels) for labels in operands]
    total = 0
    order = list(path or ())
    while len(rest) > 1:
        first, second = (order.pop(0), order.pop(0)) if order else (0, 1)
        pair = rest[first] | rest[second]
        rest = [labels for index, labels in enumerate(rest) if index not in (first, second)]
        total += prod(sizes[label] for label in pair)
        # The product keeps what the output or another operand needs.
        result = pair & keep.union(*rest)
        rest = [*rest, result] if path else [result, *rest]
    return total


def _labels(term: str, shape: tuple[int, ...]) -> list[str]:
    before, dots, after = term.partition("...")
    if not dots:
        return list(term)
    count = len(shape) - len(before) - len(after)
    # Digits, from the right, stand for the dimensions of the ellipsis: labels are letters.
    return [*before, *(str(count - 1 - index) for index in range(count)), *after]


def _kept(output: str) -> set[str]:
    return set(output.replace("...", ""))


def _implicit(operands: Iterable[list[str]]) -> set[str]:
    """Return the labels of an output that is not given: those that occur once."""
    counts = Counter(label for labels in operands for label in labels)
    return {label for label, count in counts.items() if count == 1}
