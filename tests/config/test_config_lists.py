"""Edit lists of a base without repeating them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine_config import Config, ConfigKeyError, ConfigTypeError, parse_overrides

Write = Callable[[str, str], Path]

BASE = """\
pipeline = [
    dict(type='Load'),
    dict(type='Resize', scale=(1, 2), keep=True),
    dict(type='Flip', p=0.5),
    dict(type='Flip', p=0.1),
    dict(type='Pack'),
]
numbers = (1, 2, 3)
nested = dict(heads=[dict(type='A')])
"""


@pytest.fixture
def edit(write: Write) -> Callable[[str], Config]:
    write("base.py", BASE)

    def read(text: str) -> Config:
        return Config.fromfile(write("c.py", f"_base_ = 'base.py'\n{text}\n"))

    return read


Edit = Callable[[str], Config]


def kinds(items: list[Any]) -> list[str]:
    return [item["type"] for item in items]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("_append_=[dict(type='X')]", ["Load", "Resize", "Flip", "Flip", "Pack", "X"]),
        ("_prepend_=[dict(type='X')]", ["X", "Load", "Resize", "Flip", "Flip", "Pack"]),
        ("_remove_='Resize'", ["Load", "Flip", "Flip", "Pack"]),
        ("_remove_=['Resize', 2, -1]", ["Load", "Flip"]),
        ("_insert_={'Pack': dict(type='X')}", ["Load", "Resize", "Flip", "Flip", "X", "Pack"]),
        (
            "_insert_={1: [dict(type='X'), dict(type='Y')]}",
            ["Load", "X", "Y", "Resize", "Flip", "Flip", "Pack"],
        ),
        ("_insert_after_={0: dict(type='X')}", ["Load", "X", "Resize", "Flip", "Flip", "Pack"]),
        ("_replace_={'Load': dict(type='X')}", ["X", "Resize", "Flip", "Flip", "Pack"]),
        ("_update_={2: dict(type='X')}", ["Load", "Resize", "X", "Flip", "Pack"]),
        (
            "_remove_='Load', _append_=[dict(type='Y')], _insert_={0: dict(type='X')}",
            ["X", "Resize", "Flip", "Flip", "Pack", "Y"],
        ),
    ],
)
def test_list_is_edited(edit: Edit, change: str, expected: list[str]) -> None:
    assert kinds(edit(f"pipeline = dict({change})").pipeline) == expected


def test_update_merges_into_the_item(edit: Edit) -> None:
    cfg = edit("pipeline = dict(_update_={'Resize': dict(scale=(3, 3))})")
    assert cfg.pipeline[1] == {"type": "Resize", "scale": (3, 3), "keep": True}
    cfg = edit("pipeline = dict(_update_={'Resize': dict(_delete_=True, type='R')})")
    assert cfg.pipeline[1].type == "R"


def test_tuples_and_nested_lists_are_edited(edit: Edit) -> None:
    cfg = edit("numbers = dict(_append_=[4], _remove_=0)\nnested = dict(heads=dict(_append_=[5]))")
    assert cfg.numbers == (2, 3, 4)
    assert cfg.nested.heads == [{"type": "A"}, 5]


def test_json_edits_with_text_indices(write: Write) -> None:
    write("base.py", BASE)
    text = '{"_base_": "base.py", "pipeline": {"_update_": {"2": {"p": 1}}, "_remove_": ["Load"]}}'
    cfg = Config.fromfile(write("c.json", text))
    assert cfg.pipeline[1] == {"type": "Flip", "p": 1}


def test_list_edits_of_several_files_are_combined(edit: Edit, write: Write) -> None:
    edit("numbers = dict(_append_=[4])")
    top = write("top.py", "_base_ = 'c.py'\nnumbers = dict(_prepend_=[0])\n")
    assert Config.fromfile(top).numbers == (0, 1, 2, 3, 4)


def test_edited_list_keeps_its_origins(edit: Edit) -> None:
    cfg = edit("pipeline = dict(\n    _remove_='Load',\n    _append_=[\n        dict(type='X')])")
    lines = [
        (Path(o.file).name, o.line) for o in map(cfg.origin, ["pipeline.0", "pipeline.4.type"])
    ]
    assert lines == [("base.py", 3), ("c.py", 5)]


def test_command_line_edits_lists(edit: Edit) -> None:
    cfg = edit("")
    cfg.merge_from_dict(parse_overrides(["pipeline._remove_=Load,Pack", "numbers._append_=[4]"]))
    assert kinds(cfg.pipeline) == ["Resize", "Flip", "Flip"]
    assert cfg.numbers == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ("pipeline = dict(_remove_='Flip')", ConfigKeyError, "the type of the items 2, 3; give an"),
        ("pipeline = dict(_remove_='Flop')", ConfigKeyError, "their types are Load, Resize, Flip"),
        ("pipeline = dict(_remove_=9)", ConfigKeyError, "none of the 5 items is 9"),
        ("numbers = dict(_remove_='x')", ConfigKeyError, "none of the 3 items is 'x'"),
        ("pipeline = dict(_append_=1)", ConfigTypeError, "_append_ must be a list of items, got 1"),
        (
            "pipeline = dict(_update_=[1])",
            ConfigTypeError,
            "_update_ must be {index or type: …}",
        ),
        ("numbers = dict(_update_={0: dict(a=1)})", ConfigTypeError, "cannot be merged into 1"),
        ("numbers = dict(_append_=[1], x=2)", ConfigTypeError, "'x' cannot stand beside"),
        ("nested = dict(_append_=[1])", ConfigTypeError, "but the base value is {'heads'"),
        ("new = dict(_append_=[1])", ConfigTypeError, "but there is no base value"),
        ("new = dict(a=[dict(_append_=[1])])", ConfigTypeError, "but there is no base value"),
    ],
)
def test_wrong_list_edit_raises_with_file_line_and_key(
    edit: Edit, change: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        edit(f"\n{change}")
    assert message in str(caught.value)
    assert f"c.py:3: {change.split(' ')[0]}" in str(caught.value)
