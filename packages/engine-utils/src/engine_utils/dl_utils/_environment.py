"""Report the machine and the libraries that a result was computed with."""

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

_OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python")
_SECONDS = 10


def collect_env() -> dict[str, str | bool | int]:
    """Collect the versions and devices that are needed to repeat a run on another machine.

    The compilers are run with ``--version``. Only torch and numpy are imported.
    ``numpy_random_seed`` is the first number of the state of the global generator.

    Returns:
        A dict with these keys, in this order: ``sys.platform``, ``Python``, ``CUDA available``,
        ``numpy_random_seed``, with CUDA one key per kind of device (``GPU 0,1``), ``CUDA_HOME``
        and ``NVCC``, with another accelerator ``Accelerator``, then ``GCC``, ``MSVC`` (Windows
        only), ``PyTorch``, ``PyTorch compiling details``, ``TorchVision`` and ``OpenCV`` (if
        installed) and ``Engine``.

    Example:
        >>> report = collect_env()
        >>> f"torch {report['PyTorch']} on {report['sys.platform']}"
        'torch ... on ...'
    """
    report: dict[str, str | bool | int] = {
        "sys.platform": sys.platform,
        "Python": sys.version.replace("\n", ""),
        "CUDA available": torch.cuda.is_available(),
        "numpy_random_seed": _numpy_seed(),
    }
    report |= _cuda() if torch.cuda.is_available() else _other_accelerator()
    report["GCC"] = _first_line("gcc", "--version") or "n/a"
    if os.name == "nt":
        report["MSVC"] = _first_line("cl") or "n/a"
    report["PyTorch"] = str(torch.__version__)
    report["PyTorch compiling details"] = torch.__config__.show()
    if version := _version("torchvision"):
        report["TorchVision"] = version
    if version := next(filter(None, map(_version, _OPENCV)), None):
        report["OpenCV"] = version
    report["Engine"] = _version("engine-utils") or "unknown"
    return report


def _numpy_seed() -> int:
    # numpy does not keep the seed. Right after np.random.seed(n) the state begins with n.
    state = np.random.get_state(legacy=False)
    key = state["state"]["key"] if isinstance(state, dict) else state[1]
    return int(key[0])


def _cuda() -> dict[str, str]:
    devices: dict[str, list[str]] = {}
    for index in range(torch.cuda.device_count()):
        devices.setdefault(torch.cuda.get_device_name(index), []).append(str(index))
    report = {f"GPU {','.join(indices)}": name for name, indices in devices.items()}
    if (home := _cuda_home()) is not None:
        report["CUDA_HOME"] = str(home)
        lines = _output(str(home / "bin" / "nvcc"), "-V").splitlines()
        report["NVCC"] = lines[-1] if lines else "n/a"
    return report


def _cuda_home() -> Path | None:
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if folder := os.environ.get(variable):
            return Path(folder)
    if compiler := shutil.which("nvcc"):
        return Path(compiler).parent.parent
    usual = Path("/usr/local/cuda")
    return usual if usual.exists() else None


def _other_accelerator() -> dict[str, str]:
    if not torch.accelerator.is_available():
        return {}
    device = torch.accelerator.current_accelerator()
    return {"Accelerator": f"{device} ({torch.accelerator.device_count()})"}


def _first_line(*command: str) -> str:
    return next(iter(_output(*command).splitlines()), "").strip()


def _output(*command: str) -> str:
    """Return the output of a program, or an empty string if it is missing or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    # cl.exe prints its version to the standard error.
    return done.stdout.strip() or done.stderr.strip()


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
