"""Large numbers and tables for people."""

_UNITS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "K"))


def short_number(count: int) -> str:
    """Write a count with a unit: K, M, G or T of a thousand each.

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
    """Align cells in columns.

    Args:
        lines: Rows of cells, the heading first.
        left: How many columns, from the first, are aligned to the left.
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
