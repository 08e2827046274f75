"""``{{…}}`` in configs: parts of the bases, and names that are misspelled."""

from pathlib import Path

import pytest

from engine_config import Config, ConfigKeyError

BASE = "sizes = [10, 20, [30, 31]]\nmodel = {'a key': dict(k=1), 'lr': 0.1}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.py").write_text(BASE)
    return tmp_path


USES = [
    ("_base_.sizes[1]", 20),
    ("_base_.sizes[-1][0]", 30),
    ("_base_.sizes.0", 10),
    ("_base_['sizes']", [10, 20, [30, 31]]),
    ("_base_.model['a key'].k", 1),
    ('_base_["model"]["lr"]', 0.1),
]


@pytest.mark.parametrize(("use", "value"), USES)
def test_part_of_a_base_is_a_value_in_every_format(folder: Path, use: str, value: object) -> None:
    text = "{{ " + use + " }}"
    quote = "'" if '"' in use else '"'
    escaped = text.replace('"', '\\"')
    for name, content in (
        ("a.py", f"_base_ = 'base.py'\nx = {text}\ny = {quote}{text}{quote}\n"),
        ("a.json", f'{{"_base_": "base.py", "x": {text}, "y": "{escaped}"}}'),
        ("a.yaml", f"_base_: base.py\nx: {text}\ny: {quote}{text}{quote}\n"),
    ):
        (folder / name).write_text(content)
        cfg = Config.fromfile(folder / name)
        assert (cfg.x, cfg.y) == (value, value), name


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("_base_.sizes[7]", "the base has no 7; it is a list of 3 elements"),
        ("_base_.modle.lr", "the base has no 'modle'; it has: sizes, model; did you mean 'model'?"),
        ("_base_.model.lr.x", "the base has no 'x'; it has no keys"),
        ("_base_.sizes[i]", "must name a value of the bases by keys and indices"),
        ("_base_", "must name a value of the bases by keys and indices"),
        ("_base_.model.lr * 2", "must name a value of the bases by keys and indices"),
        ("fileBasenme", "did you mean {{fileBasename}}?"),
        ("filebasename", "did you mean {{fileBasename}}?"),
        ("fileDir", "did you mean {{fileDirname}}?"),
        ("fileBasenameNoExt", "did you mean {{fileBasenameNoExtension}}?"),
        ("fielExtname", "did you mean {{fileExtname}}?"),
        ("$HOME-DIR", "must name an environment variable"),
    ],
)
def test_use_that_names_nothing_raises_with_its_line(folder: Path, use: str, message: str) -> None:
    for name, content in (
        ("a.py", f"_base_ = 'base.py'\nx = '{{{{{use}}}}}'\n"),
        ("a.py", f"_base_ = 'base.py'\nx = {{{{{use}}}}}\n"),
        ("a.json", f'{{"_base_": "base.py",\n "x": "at {{{{{use}}}}}"}}'),
        ("a.yaml", f"_base_: base.py\nx: '{{{{ {use} }}}}'\n"),
    ):
        (folder / name).write_text(content)
        with pytest.raises(ConfigKeyError) as caught:
            Config.fromfile(folder / name)
        assert message in str(caught.value)
        assert (Path(caught.value.file or "").name, caught.value.line) == (name, 2)


TEMPLATES = [
    "{{ name }}",
    "{{filename}}",
    "{{ image.file_name }}",
    "{{img_id}}_{{suffix}}.png",
    "{{ user.base }}",
    "{{ 'fileBasenme' }}",
    "{{ items[0] | upper }}",
    "{{#if x}}{{/if}}",
    "{{}}",
]


@pytest.mark.parametrize("text", TEMPLATES)
def test_text_of_another_template_stays_text(folder: Path, text: str) -> None:
    (folder / "a.yaml").write_text(f'x: "{text}"\n')
    cfg = Config.fromfile(folder / "a.yaml")
    assert cfg.x == text
    assert text in cfg.pretty_text or "'" in text


def test_escaped_brace_keeps_the_text_in_every_format(folder: Path) -> None:
    for text in ("{{fileBasenme}}", "{{fileBasename}}", "{{_base_.sizes[1]}}"):
        written = f'"\\u007b{text[1:]}"'
        for name, content in (
            ("a.py", f"x = {written}\n"),
            ("a.json", f'{{"x": {written}}}'),
            ("a.yaml", f"x: {written}\n"),
        ):
            (folder / name).write_text(content)
            cfg = Config.fromfile(folder / name)
            assert cfg.x == text
            assert Config.fromstring(cfg.pretty_text, ".py") == cfg


def test_misspelled_name_in_a_comment_or_with_variables_disabled_is_kept(folder: Path) -> None:
    (folder / "a.py").write_text("# {{fileBasenme}} and {{_base_.sizes[i]}}\nx = 1\n")
    assert Config.fromfile(folder / "a.py").x == 1
    (folder / "a.py").write_text("x = '{{fileBasenme}}'\n")
    cfg = Config.fromfile(folder / "a.py", use_predefined_variables=False)
    assert cfg.x == "{{fileBasenme}}"
