"""Compare versions of packages, and find the commit of the code."""

import os
import re

# A string, compiled at first use: compiling takes longer than importing the module.
_VERSION = (
    r"v?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[._-]?(?P<pre>alpha|beta|preview|pre|rc|a|b|c)[._-]?(?P<pre_number>\d*))?"
    r"(?:[._-]?(?P<post>post|rev|r)[._-]?(?P<post_number>\d*)|-(?P<implicit>\d+))?"
    r"(?:[._-]?dev[._-]?(?P<dev>\d*))?"
    r"(?:\+[a-z0-9._-]*)?"
)

# The order of the stages of one release; the final release is 0.
_STAGES = {"a": -3, "alpha": -3, "b": -2, "beta": -2}
_DEV, _CANDIDATE, _POST = -4, -1, 1


def digit_version(version_str: str, length: int = 4) -> tuple[int, ...]:
    """Convert a version to a tuple of integers that compares like the version.

    Args:
        version_str: A version such as ``"1.13.1+cu117"``; the part after ``+`` is ignored.
        length: The number of levels of the release; missing ones are 0.

    Returns:
        ``length`` integers for the release, one for the stage, and the number within the stage.
        Stages are development (-4), alpha (-3), beta (-2), candidate (-1), release (0) and
        post-release (1).

    Raises:
        TypeError: ``version_str`` is not a string.
        ValueError: It is not a version.

    Example:
        >>> digit_version("1.2.0rc1")
        (1, 2, 0, 0, -1, 1)
        >>> digit_version("1.2.0rc1") < digit_version("1.2") < digit_version("1.10")
        True
    """
    if not isinstance(version_str, str):
        raise TypeError(
            f"version_str must be a string, got {type(version_str).__name__}: {version_str!r}"
        )
    match = re.fullmatch(_VERSION, version_str.strip(), re.IGNORECASE)
    if match is None:
        raise ValueError(
            "version_str must be a version such as '1.2', '1.2.0rc1' or '1.2.0.post1+cpu', "
            f"got {version_str!r}"
        )
    release = [int(level) for level in match["release"].split(".")]
    release = [*release, *[0] * (length - len(release))][:length]
    return (*release, *_stage(match))


def _stage(match: re.Match[str]) -> tuple[int, int]:
    if match["pre"]:
        stage = _STAGES.get(match["pre"].lower(), _CANDIDATE)
        return stage, int(match["pre_number"] or 0)
    if match["post"] or match["implicit"]:
        return _POST, int(match["post_number"] or match["implicit"] or 0)
    if match["dev"] is not None:
        return _DEV, int(match["dev"] or 0)
    return 0, 0


def get_git_hash(fallback: str = "unknown", digits: int | None = None) -> str:
    """Return the hash of the commit that is checked out in the working directory.

    Args:
        fallback: Returned where there is no git, or no repository.
        digits: The number of digits; None for all.

    Raises:
        TypeError: ``digits`` is neither None nor an integer.
    """
    if digits is not None and not isinstance(digits, int):
        raise TypeError(f"digits must be None or an integer, got {type(digits).__name__}")
    import subprocess  # slow to import, and rarely needed

    try:
        finished = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return fallback
    return finished.stdout.strip()[:digits]
