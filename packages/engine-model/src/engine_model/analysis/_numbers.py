"""Format large numbers and tables."""

_UNITS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "K"))


def short_number(count: int) -> str:
    """Return a count as text with a unit: K, M, G or T, in steps of a thousand.

    Args:
        count: The count.

    Example:
        >>> short_number(25557032), short_number(999)
        ('25.557M', '999')
    """
    for size, unit in _UNITS:
        if count >= size:
            return f"{count / size:.3f}{unit}"
    return str(count)


def table(lines: list[list[str]], left: int) -> str:
    """Return rows of cells as text in aligned columns.

    Args:
        lines: Rows of cells, the heading first.
        left: The number of columns, from the first, that are aligned to the left.
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
