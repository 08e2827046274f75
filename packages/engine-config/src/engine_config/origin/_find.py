"""Find the origin of any key of a config."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from engine_config._dict import ConfigDict, marks_of
from engine_config._errors import ConfigKeyError
from engine_config._keys import join
from engine_config._marks import NOWHERE, Mark

if TYPE_CHECKING:
    from engine_config.origin._origin import Origin


def find_origin(config: ConfigDict, key_path: str) -> Origin:
    """Return the origin of a key path.

    Raises:
        ConfigKeyError: There is no such key.
    """
    # `dataclasses`, which `Origin` needs, takes a quarter of the import of this package.
    from engine_config.origin._origin import origin_at

    return origin_at(_descend(config, NOWHERE, key_path.split("."), ""))


def _descend(value: Any, mark: Mark, keys: list[str], path: str) -> Mark:
    if not keys:
        return mark
    # A key may itself contain dots, such as the parameter names in `custom_keys`. Try the shortest
    # key first. If all fail, raise the first error, because it names the key that the user most
    # likely meant.
    first: ConfigKeyError | None = None
    for size in range(1, len(keys) + 1 if isinstance(value, dict) else 2):
        key = ".".join(keys[:size])
        try:
            inner, place = _step(value, mark, key, path)
            return _descend(inner, place, keys[size:], join(path, key))
        except ConfigKeyError as error:
            first = first or error
    raise first or ConfigKeyError("there is no such key", key_path=path)


def _step(value: Any, mark: Mark, key: Any, path: str) -> tuple[Any, Mark]:
    if isinstance(value, ConfigDict):
        for known in dict.keys(value):
            if known == key or str(known) == key:
                return dict.__getitem__(value, known), marks_of(value).get(known, mark)
        # Imported here, for errors only: importing this package would take 50 % longer.
        from engine_utils import did_you_mean

        hint = did_you_mean(key, dict.keys(value))
        raise ConfigKeyError(f"there is no such key{hint}", key_path=join(path, key))
    if isinstance(value, list | tuple):
        try:
            index = int(key)
            return value[index], _item(mark, index, len(value))
        except (ValueError, IndexError):
            message = f"{path} is a list of {len(value)} elements; there is no such index"
            raise ConfigKeyError(message, key_path=join(path, key)) from None
    raise ConfigKeyError(f"{path} is a value, it has no keys", key_path=join(path, key))


def _item(mark: Mark, index: int, size: int) -> Mark:
    # If the program has changed the length of the list, the marks of its items are not valid.
    if mark.items is not None and len(mark.items) == size:
        return mark.items[index]
    return mark


def walk_origins(config: ConfigDict) -> Iterator[tuple[str, Origin]]:
    """Yield the key path and origin of every key and list element."""
    from engine_config.origin._origin import origin_at  # as in `find_origin`

    for path, mark, _ in walk(config, NOWHERE, ""):
        yield path, origin_at(mark)


def walk(value: Any, mark: Mark, path: str) -> Iterator[tuple[str, Mark, Any]]:
    """Yield the key path, mark and value of each nested value, depth first.

    Args:
        value: A dict, list or tuple; other values have no nested values.
        mark: The mark for nested values without a mark.
        path: The key path of ``value``.
    """
    if isinstance(value, ConfigDict):
        parts = [(key, marks_of(value).get(key, mark), item) for key, item in dict.items(value)]
    elif isinstance(value, list | tuple):
        size = len(value)
        parts = [(index, _item(mark, index, size), item) for index, item in enumerate(value)]
    else:
        return
    for key, place, item in parts:
        here = join(path, key)
        yield here, place, item
        yield from walk(item, place, here)
