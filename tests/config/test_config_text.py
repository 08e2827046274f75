"""Print configs as text that reads back equal."""

import ast
import collections
import enum
import io
import json
import math
import numbers
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine_config import Config, ConfigDict, LazyObject
from engine_config.write._dump import text_as

MANY = settings(max_examples=120)

awkward = st.sampled_from(
    [
        "",
        "'",
        '"',
        "'''",
        "{{fileDirname}}",
        "{{ _base_.a }}",
        "{{$HOME:x}}",
        "{",
        "}}",
        "\n\r\t\\",
        "\u2028",
        "\x00",
        "�",
        "🙂",
        "{x7b",
        "\\x7b",
        "#",
        "_engine_use_0_",
        "globals()",
    ]
)
COMMANDS = {"_delete_", "_append_", "_insert_", "_insert_after_", "_prepend_", "_remove_"}
COMMANDS |= {"_replace_", "_update_", "_base_", "filename", "text", "pretty_text"}
texts = st.one_of(st.text(max_size=20), st.lists(awkward, max_size=4).map("".join))


class Color(enum.Enum):
    """An enum, which is written with an import of its class."""

    RED = 1


hashable = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    texts,
    st.binary(max_size=5),
    st.just(...),
)
scalars = st.one_of(
    hashable,
    st.complex_numbers(allow_nan=False),
    st.sampled_from([len, dict, collections.deque, range(3), Color.RED]),
)
keys = st.one_of(
    texts,
    st.sampled_from(["type", "self", "class", "None", "__debug__", "\ufb01", "a b", "é"]),
    hashable,
    st.tuples(hashable, hashable),
).filter(lambda key: key not in COMMANDS)
values = st.recursive(
    st.one_of(scalars, st.frozensets(hashable, max_size=3), st.sets(hashable, max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=12),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
    ),
    max_leaves=15,
)
ALLOWED = st.one_of(
    st.sampled_from(
        [
            "a",
            "b",
            "dict",
            "float",
            "set",
            "globals",
            "frozenset",
            "class",
            "a-b",
            "len",
            "deque",
            "é",
            "",
            "_x",
            "True",
            "print",
            "complex",
            "items",
            "1",
        ]
    ),
    texts.filter(lambda key: not key.startswith("__")),
)
configs = st.dictionaries(
    ALLOWED.filter(lambda key: key not in COMMANDS),
    values,
    max_size=5,
)


@MANY
@given(configs)
def test_pretty_text_reads_back_equal(data: dict[str, Any]) -> None:
    cfg = Config(data)
    text = cfg.pretty_text
    again = Config.fromstring(text, ".py")
    assert again == cfg
    assert again.to_dict() == data
    assert _types(again.to_dict()) == _types(data)
    assert again.pretty_text == text


@MANY
@given(configs)
def test_pretty_text_can_be_read_without_execute(data: dict[str, Any]) -> None:
    cfg = Config(data)
    assert Config.fromstring(cfg.pretty_text, ".py", execute=False) == cfg


def _types(value: Any) -> Any:
    """Return the types in a value, because equality ignores them: True == 1 == 1.0."""
    value = value.resolve() if isinstance(value, LazyObject) else value
    if isinstance(value, dict):
        return {key: _types(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return (type(value), [_types(item) for item in value])
    return repr(value) if isinstance(value, float) else type(value)


plain_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(
            st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"], exclude_characters="\ufeff"),
            max_size=12,
        ).filter(lambda text: "{{" not in text),
        st.sampled_from(["1e-3", "2020-01-01", "12:30", "yes", "~", "null", "0x1", "1_0", "- a"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text("abc_- ", min_size=1, max_size=5), inner, max_size=4),
    ),
    max_leaves=12,
)


@MANY
@given(st.dictionaries(st.sampled_from(["a", "b", "c d"]), plain_values))
@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_data_formats_read_back_equal(suffix: str, data: dict[str, Any]) -> None:
    cfg = Config(data)
    assert Config.fromstring(text_as(cfg._cfg_dict, suffix, None), suffix) == cfg


def test_long_values_are_split_over_lines() -> None:
    layers = [{"type": "Conv", "channels": number, "norm": {"type": "BN"}} for number in range(3)]
    cfg = Config({"model": {"type": "Net", "layers": layers, "name": "n" * 20}, "b": 1})
    assert cfg.pretty_text == (
        "model = dict(\n"
        "    type='Net',\n"
        "    layers=[\n"
        "        dict(type='Conv', channels=0, norm=dict(type='BN')),\n"
        "        dict(type='Conv', channels=1, norm=dict(type='BN')),\n"
        "        dict(type='Conv', channels=2, norm=dict(type='BN')),\n"
        "    ],\n"
        "    name='nnnnnnnnnnnnnnnnnnnn',\n"
        ")\n"
        "b = 1\n"
    )


def test_lines_keep_to_the_width() -> None:
    cfg = Config(
        {"anchors": list(range(1000, 1300)), "deep": {"a": {"b": {"c": [{"x": "y" * 30}] * 4}}}}
    )
    assert max(map(len, cfg.pretty_text.splitlines())) <= 100


def test_classes_are_imported_at_the_top() -> None:
    cfg = Config(
        {"a": {"type": collections.OrderedDict}, "deque": collections.deque, "c": collections.deque}
    )
    text = cfg.pretty_text
    assert "from collections import OrderedDict\n" in text
    assert Config.fromstring(text, ".py", lazy_import=False).a.type is collections.OrderedDict


def test_value_without_a_literal_becomes_its_repr() -> None:
    cfg = Config({"a": {"f": lambda: 0, "s": io.StringIO()}})
    again = Config.fromstring(cfg.pretty_text, ".py")
    assert again.a.f.startswith("<function")
    assert again.a.s.startswith("<_io.StringIO")


@numbers.Integral.register
class Index:
    """An integer that is not an ``int``, like those of NumPy."""

    def __init__(self, value: int) -> None:
        self._value = value

    def __int__(self) -> int:
        return self._value


def test_not_a_number_is_written() -> None:
    assert math.isnan(Config.fromstring(Config({"a": math.nan}).pretty_text, ".py").a)


class Point(NamedTuple):
    x: int
    y: int


def test_subclasses_of_plain_types_are_written_as_their_base() -> None:
    class Name(str):
        __slots__ = ()

    class Number(float):
        __slots__ = ()

    class Items(list[int]):
        pass

    assert Config({"a": Name("x"), "b": Number(0.5)}).pretty_text == "a = 'x'\nb = 0.5\n"
    sequences = Config({"a": Point(1, 2), "b": Items([1, 2])})
    assert sequences.pretty_text == "a = (1, 2)\nb = [1, 2]\n"
    assert Config.fromstring(sequences.pretty_text, ".py") == sequences


def test_numbers_of_other_libraries_are_written_as_numbers() -> None:
    cfg = Config({"a": Fraction(1, 2), "b": [Index(3)]})
    assert cfg.pretty_text == "a = 0.5\nb = [3]\n"
    assert text_as(cfg._cfg_dict, ".json", None) == '{"a": 0.5, "b": [3]}'


def test_text_is_the_same_for_equal_sets() -> None:
    first, second = {"b", "a", "c"}, {"c", "b", "a"}
    assert Config({"a": first}).pretty_text == Config({"a": second}).pretty_text


def test_text_is_valid_python_for_a_big_number() -> None:
    cfg = Config({"a": 10**5000})
    ast.parse(cfg.pretty_text)
    assert Config.fromstring(cfg.pretty_text, ".py").a == 10**5000


def test_json_and_yaml_write_the_closest_type() -> None:
    cfg = Config(
        {
            "a": (1, {3, 2}, PurePosixPath("/x")),
            "type": collections.OrderedDict,
            "lazy": [LazyObject("torch.nn", "ReLU")],
        }
    )
    assert json.loads(text_as(cfg._cfg_dict, ".json", None)) == {
        "a": [1, [2, 3], "/x"],
        "type": "collections.OrderedDict",
        "lazy": ["torch.nn.ReLU"],
    }


def test_diff_shows_what_differs() -> None:
    first, second = Config({"a": 1, "b": 2}), Config({"a": 1, "b": 3})
    assert Config.diff(first, second).splitlines()[-2:] == ["-b = 2", "+b = 3"]
    assert Config.diff(first, Config(ConfigDict(a=1, b=2))) == ""


@pytest.mark.parametrize("empty", [[], {}, ()], ids=["list", "dict", "tuple"])
def test_empty_value_behind_a_long_key_is_printed_on_one_line(empty: Any) -> None:
    values = {"data": {"x" * 90: empty, "not a name " * 9: empty}}

    text = Config(values).pretty_text

    assert Config.fromstring(text, ".py").to_dict() == values
