"""The code on the pages runs: the blocks of a page, in order, in one folder, as one script.

- ```` ```python ```` blocks are the code of one session.
- A block with ``file=NAME`` in its info string, such as ```` ```yaml file=data.yaml ````, is
  written to that file at its place.
- The commands of a ```` ```bash run ```` block run at their place, in the same folder.
- The commands of a ```` ```bash ```` block do not run. test_page_names.py parses them.
"""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from conftest import Scripts
    from tests.workspace.conftest import Page

DATA: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}
KINDS = {"", "python", "bash", "bash run", "console", "text", *DATA}


def test_blocks_of_a_page_run_in_order(
    page_with_code: "Page",
    tmp_path: Path,
    scripts: "Scripts",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)  # for the command `engine`
    page = page_with_code.path
    script = tmp_path / f"{page.parent.name}_{page.stem}.py"
    script.write_text(page_with_code.as_script())

    if page_with_code.is_without_torch:
        code, output = run_without_torch(script)
    else:
        done = scripts.run(script, folder=tmp_path)
        code, output = done.returncode, done.stdout

    assert code == 0, output[-6000:]


def run_without_torch(script: Path) -> tuple[int, str]:
    command = [sys.executable, "-W", "error::DeprecationWarning:__main__", str(script)]
    done = subprocess.run(
        command,
        cwd=script.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    return done.returncode, done.stdout


def test_blocks_of_a_page_are_of_kinds_that_are_checked(page: "Page") -> None:
    blocks = [block for block in page.blocks() if not block.info.startswith("{")]
    unchecked = [
        f"{page.name}:{block.line - 1}: {block.info!r}"
        for block in blocks
        if block.info not in KINDS and not block.file
    ]

    assert unchecked == []


def test_fences_of_a_page_begin_their_line(page: "Page") -> None:
    indented = [
        f"{page.name}:{number}"
        for number, line in enumerate(page.prose.splitlines(), 1)
        if line.lstrip().startswith("```")
    ]

    assert indented == [], "the block is not found, and so it does not run"


def test_data_blocks_of_a_page_parse(page: "Page") -> None:
    for block in page.blocks():
        if block.language in DATA:
            DATA[block.language](block.text)


def test_every_package_has_an_example(packages: "tuple[object, ...]", root: Path) -> None:
    pages = {path: path.read_text() for path in root.glob("packages/*/README.md")}

    bare = [str(path) for path, text in pages.items() if "\n```python\n" not in text]

    assert len(pages) == len(packages)
    assert bare == []


PAGE = """# A page

```python file=places/toy.py
PLACE = "written first"
```

```python
from places.toy import PLACE
print(PLACE)
```

```bash run
echo "$(cat places/toy.py | wc -l) line"
ls missing
```

```python
print("does not run")
```
"""


def test_page_runs_in_order_up_to_the_first_failure(
    page_of: "Callable[[str], Page]", tmp_path: Path
) -> None:
    script = tmp_path / "page.py"
    script.write_text(page_of(PAGE).as_script())

    code, output = run_without_torch(script)

    assert code == 1
    assert output.splitlines()[:2] == ["written first", "1 line"]
    assert f'{script}", line 12' in output  # the line of the block in the page
    assert "does not run" not in output.splitlines()
