"""Names of weights without the prefixes of torch's compiler."""

COMPILED = "_orig_mod"
"""The name under which `torch.compile` stores the module that it compiles."""


def plain_name(name: str) -> str:
    """Return the name of a module or weight as in a model that is not compiled.

    ``torch.compile(module)`` returns a module that holds the original as ``_orig_mod``, which so
    becomes a part of the names of its weights.

    Args:
        name: A dotted name.

    Example:
        >>> plain_name("_orig_mod.backbone._orig_mod.conv.weight")
        'backbone.conv.weight'
    """
    if COMPILED not in name:
        return name
    return ".".join(part for part in name.split(".") if part != COMPILED)
