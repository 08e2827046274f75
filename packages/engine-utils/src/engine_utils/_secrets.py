"""Mask passwords, keys and tokens in configs and texts."""

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any

MASK = "***"
"""The text in place of a secret."""

# Names that mean a secret wherever they stand. `pad_token` or `cls_token` of a model do not.
_NAMES = {
    "access_token",
    "account_key",
    "api_key",
    "api_token",
    "apikey",
    "auth_token",
    "authorization",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "client_secret",
    "connection_string",
    "hf_token",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "refresh_token",
    "sas_token",
    "secret",
    "secret_access_key",
    "secret_key",
    "security_token",
    "session_token",
    "wandb_api_key",
}
# Keys whose values are the arguments of a storage or a service. More names mean a secret there.
_SERVICES = {"backend_args", "file_client_args", "init_kwargs", "storage_options", "vis_backends"}
_SERVICE_WORDS = re.compile(
    r"(?:^|_)(?:token|secret|password|passwd|credentials?|cookie|authorization|access_?key(?:_id)?"
    r"|secret_?key|private_?key|api_?key|account_?key|auth)$"
)
_declared: set[str] = set()

# The user information of a URL, and the signature or token in its query.
_USER = re.compile(r"(\b[A-Za-z][\w+.-]*://)[^/\s?#@'\"]+@")
_QUERY = re.compile(
    r"([?&][\w.-]*(?:signature|token|sig|password|secret|api_?key|credential)=)[^&#\s'\"]+", re.I
)
# A name and a string in the text of a Python, JSON or YAML config.
_ASSIGNED = re.compile(
    r"""(?P<name>['"]?(?P<key>\w[\w-]*)['"]?\s*[=:]\s*)(?P<quote>['"])(?:\\.|(?!(?P=quote)).)*(?P=quote)"""
)


def declare_secrets(*names: str) -> None:
    """Add names of arguments of storages and services that `mask_secrets` masks.

    Args:
        *names: Names such as ``"license_file"``. They count inside of ``backend_args`` and the like
            only, because a model may use the same name.
    """
    _declared.update(_normal(name) for name in names)


def mask_secrets(value: Any) -> Any:
    """Return a value with ``"***"`` in place of each secret; the value itself is not changed.

    A string is a secret if its key is the name of one, such as ``password`` or
    ``aws_secret_access_key``. In ``backend_args``, ``file_client_args``, ``init_kwargs``,
    ``storage_options`` and ``vis_backends``, names such as ``token`` count, too, and those of
    `declare_secrets`. The user and password of a URL, and the signature in its query, are masked
    in every string.

    Args:
        value: Dicts, lists, tuples and strings. Other values are returned unchanged. Parts without
            a secret are the same objects.

    Example:
        >>> mask_secrets({"backend_args": {"token": "t0p", "timeout": 3}, "pad_token": "<pad>"})
        {'backend_args': {'token': '***', 'timeout': 3}, 'pad_token': '<pad>'}
        >>> mask_secrets("https://me:hunter2@host/a.pth?sig=abc&n=1")
        'https://***@host/a.pth?sig=***&n=1'
    """
    return _masked(value, service=False)


def mask_text(text: str) -> str:
    """Return the text of a config or a log with its secrets masked, as far as a text shows them.

    Example:
        >>> mask_text("data = dict(password='hunter2', root='s3://b')")
        "data = dict(password='***', root='s3://b')"
    """

    def replace(match: re.Match[str]) -> str:
        name = _normal(match["key"])
        # A text does not show whether `pad_token` is that of a model.
        if not _is_secret(name, service=not name.endswith("_token")):
            return match[0]
        return f"{match['name']}{match['quote']}{MASK}{match['quote']}"

    # Most lines of a log have no string in them.
    quoted = "'" in text or '"' in text
    return _in_url(_ASSIGNED.sub(replace, text) if quoted else text)


def _masked(value: Any, *, service: bool) -> Any:
    if isinstance(value, str):
        return _in_url(value)
    if isinstance(value, Mapping):
        return _replaced(value, lambda key, item: _entry(key, item, service=service))
    if isinstance(value, list | tuple):
        return _items(value, lambda item: _masked(item, service=service))
    return value


def _entry(key: Any, value: Any, *, service: bool) -> Any:
    name = _normal(key)
    service = service or name in _SERVICES
    if _is_secret(name, service=service):
        return _hidden(value)
    return _masked(value, service=service)


def _hidden(value: Any) -> Any:
    """Return a secret with each string in it masked."""
    if isinstance(value, str | bytes):
        return MASK if value else value
    if isinstance(value, Mapping):
        return _replaced(value, lambda _, item: _hidden(item))
    return _items(value, _hidden) if isinstance(value, list | tuple) else value


def _replaced(value: Mapping[Any, Any], change: Callable[[Any, Any], Any]) -> Mapping[Any, Any]:
    """Return a mapping with changed items; the same object if none has changed."""
    # A subclass of dict may import lazy values when they are read through its own methods.
    pairs = dict.items(value) if isinstance(value, dict) else value.items()
    changes = {key: new for key, old in pairs if (new := change(key, old)) is not old}
    if not changes:
        return value
    if not isinstance(value, dict):
        return {**value, **changes}
    changed = copy.copy(value)
    for key, new in changes.items():
        dict.__setitem__(changed, key, new)
    return changed


def _items(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return a list or tuple with changed items; the same object if none has changed."""
    items = [change(item) for item in value]
    if all(new is old for new, old in zip(items, value, strict=True)):
        return value
    if isinstance(value, list):
        return items
    return value._make(items) if hasattr(value, "_make") else tuple(items)


def _in_url(text: str) -> str:
    if "://" not in text:
        return text
    masked = _QUERY.sub(rf"\g<1>{MASK}", _USER.sub(rf"\g<1>{MASK}@", text))
    return text if masked == text else masked


def _is_secret(name: Any, *, service: bool) -> bool:
    name = _normal(name)
    if name in _NAMES:
        return True
    return service and (name in _declared or bool(_SERVICE_WORDS.search(name)))


def _normal(name: Any) -> str:
    return str(name).lower().replace("-", "_")
