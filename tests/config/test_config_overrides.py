"""Merge options of a command line, and dicts with dotted keys."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine_config import (
    Config,
    ConfigError,
    ConfigKeyError,
    ConfigParseError,
    ConfigTypeError,
    DictAction,
    parse_overrides,
)

Write = Callable[[str, str], Path]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-3", -3),
        ("0.1", 0.1),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e-3", 0.001),
        ("inf", float("inf")),
        ("true", True),
        ("False", False),
        ("None", None),
        ("none", None),
        ("Adam", "Adam"),
        ("", ""),
        ("1_000", "1_000"),
        ("v1.2", "v1.2"),
        ("don't", "don't"),
        ("a=b", "a=b"),
        ("s3://b/c?d=[1]", "s3://b/c?d=[1]"),
        ("'1'", "1"),
        ('"a,b"', "a,b"),
        ("a,b", ["a", "b"]),
        ("1,2.5,x", [1, 2.5, "x"]),
        ("1,", [1]),
        ("[a,b]", ["a", "b"]),
        ("[1, 1, 1]", [1, 1, 1]),
        ("[]", []),
        ("()", ()),
        ("(1,)", (1,)),
        ("(1)", (1,)),
        ("(0.9,0.99)", (0.9, 0.99)),
        ("[(a,b),(c,d)]", [("a", "b"), ("c", "d")]),
        ("(a,b),(c,d)", [("a", "b"), ("c", "d")]),
        ("[[1,[2]],'x,y',None]", [[1, [2]], "x,y", None]),
        ("{'type': 'X', 'n': [1]}", {"type": "X", "n": [1]}),
        ("[{'a': 1}, true]", [{"a": 1}, True]),
        ("[a-z]+", "[a-z]+"),
        ("(a)(b)", "(a)(b)"),
        ("[']', (a)]", ["]", ("a",)]),
    ],
)
def test_override_values_are_parsed(text: str, value: object) -> None:
    result = parse_overrides([f"k={text}"])["k"]
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    "item",
    [
        "novalue",
        "=1",
        "a..b=1",
        ".a=1",
        "a=[1",
        "a=(1]",
        "a=[1]]",
        "a='x",
        "a={b: 1}",
        "a=" + "[" * 2000 + "]" * 2000,
    ],
)
def test_malformed_override_raises_with_its_text(item: str) -> None:
    with pytest.raises(ConfigParseError) as caught:
        parse_overrides(["fine=1", item])
    assert repr(item) in str(caught.value)


def test_overrides_are_a_list_of_texts() -> None:
    with pytest.raises(TypeError, match=r"write \['a=1'\]"):
        parse_overrides("a=1")
    with pytest.raises(TypeError, match="an item must be a key=value text, got 3"):
        parse_overrides([3])  # type: ignore[list-item]  # the mistake under test


def test_parse_overrides_keeps_the_last_of_equal_keys() -> None:
    assert parse_overrides(["a=1", "b=2", "a=3"]) == {"b": 2, "a": 3}


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    return parser


def test_dict_action_merges_repeated_options(parser: argparse.ArgumentParser) -> None:
    arguments = ["--cfg-options", "optimizer.type=Adam", "x=1", "--cfg-options", "m.c=[1, 1, 1]"]
    expected = {"optimizer.type": "Adam", "x": 1, "m.c": [1, 1, 1]}
    assert parser.parse_args(arguments).cfg_options == expected
    assert parser.parse_args(arguments[:2]).cfg_options == {"optimizer.type": "Adam"}
    assert parser.parse_args([]).cfg_options is None


def test_dict_action_reports_malformed_options(
    parser: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parser.parse_args(["--cfg-options", "x"])
    assert "argument --cfg-options: 'x' is not of the form key=value" in capsys.readouterr().err


@pytest.fixture
def cfg() -> Config:
    return Config(
        {
            "model": {"type": "CustomModel", "in_channels": [1, 2, 3], "init": None},
            "optimizer": {"type": "SGD", "lr": 0.01, "betas": (0.9, 0.99)},
            "pipeline": [{"type": "LoadImage"}, {"type": "LoadAnnotations"}],
        }
    )


@pytest.mark.parametrize(
    ("options", "key", "expected"),
    [
        ({"optimizer.lr": 0.1}, "optimizer", {"type": "SGD", "lr": 0.1, "betas": (0.9, 0.99)}),
        ({"optimizer": {"_delete_": True, "type": "Adam"}}, "optimizer", {"type": "Adam"}),
        ({"a.b.c": 1}, "a", {"b": {"c": 1}}),
        ({"a.b": 1, "a.c": {"d": 2}}, "a", {"b": 1, "c": {"d": 2}}),
        ({"optimizer.betas.1": 0.5}, "optimizer", {"type": "SGD", "lr": 0.01, "betas": (0.9, 0.5)}),
        (
            {"pipeline": {"0": {"type": "Self"}}},
            "pipeline",
            [{"type": "Self"}, {"type": "LoadAnnotations"}],
        ),
        (
            {"pipeline.-1.x": 3},
            "pipeline",
            [{"type": "LoadImage"}, {"type": "LoadAnnotations", "x": 3}],
        ),
        ({"pipeline.0": None, "pipeline.1": 1}, "pipeline", [None, 1]),
        ({"pipeline": []}, "pipeline", []),
        (
            {"model.init.type": "X"},
            "model",
            {"type": "CustomModel", "in_channels": [1, 2, 3], "init": {"type": "X"}},
        ),
    ],
)
def test_merge_changes_values_at_any_depth(
    cfg: Config, options: dict[str, Any], key: str, expected: object
) -> None:
    before = repr(options)
    cfg.merge_from_dict(options)
    assert cfg[key] == expected
    assert repr(options) == before


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"pipeline.2.type": 1}, ConfigKeyError, "pipeline has 2 elements, there is no index 2"),
        ({"pipeline.x": 1}, ConfigTypeError, "pipeline is a list; write an index instead of 'x'"),
        ({"optimizer.lr.x": 1}, ConfigTypeError, "because optimizer.lr is 0.01, not a dict"),
        (
            {"a": 1, "a.b": 2},
            ConfigKeyError,
            "one option sets this key, another one",
        ),
        ({"pretty_text.a": 1}, ConfigKeyError, "reserved"),
    ],
)
def test_merge_of_a_wrong_option_does_not_change_the_config(
    cfg: Config, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    before = cfg.to_dict()
    with pytest.raises(error, match=message.replace(".", r"\.")):
        cfg.merge_from_dict(
            {"optimizer.type": 5, "model.in_channels.0": 5, **options}, origin="--cfg"
        )
    assert cfg.to_dict() == before


def test_merge_supports_values_that_cannot_be_copied(cfg: Config) -> None:
    cfg.optimizer.params = (number for number in range(3))
    cfg.merge_from_dict({"optimizer.lr": 1})
    assert list(cfg.optimizer.params) == [0, 1, 2]


@pytest.mark.parametrize("key", ["", "a..b", ".a", "a."])
def test_option_with_an_empty_part_raises(cfg: Config, key: str) -> None:
    with pytest.raises(ConfigKeyError, match="a key must not have an empty part between dots"):
        cfg.merge_from_dict({key: 1})


def test_merge_of_another_type_raises(cfg: Config) -> None:
    with pytest.raises(TypeError, match="options must be a mapping, got list"):
        cfg.merge_from_dict(["a=1"])  # type: ignore[arg-type]  # the mistake under test


def test_option_changes_a_key_that_is_a_number() -> None:
    cfg = Config({"names": {1: "cat", 2: "dog"}})
    cfg.merge_from_dict({"names.1": "lion", "names.3": "wolf"})
    assert cfg.names == {1: "lion", 2: "dog", "3": "wolf"}


def test_merge_of_an_index_without_allow_list_keys_raises(cfg: Config) -> None:
    with pytest.raises(ConfigTypeError, match="not a dict"):
        cfg.merge_from_dict({"pipeline.0.type": "X"}, allow_list_keys=False)


def test_option_error_names_the_option(cfg: Config) -> None:
    with pytest.raises(ConfigError, match=r"^--cfg-options: optimizer\.lr\.x: cannot be set"):
        cfg.merge_from_dict({"optimizer.lr.x": 1}, origin="--cfg-options")


def test_auto_argparser_has_one_option_per_key(
    write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write("c.py", "a = 1\nb = dict(c='x', d=True, e=[1, 2])\nn = None\npercent = '5%'\n")
    monkeypatch.setattr("sys.argv", ["prog", str(path), "--a", "3"])
    parser, cfg = Config.auto_argparser("Do it")
    arguments = vars(parser.parse_args([str(path), "--a", "3", "--no-b.d", "--b.e", "[5]"]))
    del arguments["config"]
    assert arguments == {
        "a": 3,
        "b.c": None,
        "b.d": False,
        "b.e": [5],
        "n": None,
        "percent": None,
    }
    cfg.merge_from_dict({key: value for key, value in arguments.items() if value is not None})
    assert cfg.to_dict() == {
        "a": 3,
        "b": {"c": "x", "d": False, "e": [5]},
        "n": None,
        "percent": "5%",
    }
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    assert "Do it" in capsys.readouterr().out


def test_auto_argparser_rejects_abbreviations(
    write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write("c.py", "model = dict(depth=50)\n")
    monkeypatch.setattr("sys.argv", ["prog", str(path)])
    parser, _ = Config.auto_argparser()
    with pytest.raises(SystemExit):
        parser.parse_args([str(path), "--model.dept", "18"])
    assert "unrecognized arguments: --model.dept" in capsys.readouterr().err
