"""Secrets of a config stay out of logs, dumped configs, checkpoints and trackers."""

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine_config import Config
from engine_fileio import BaseStorageBackend, get_file_backend, register_backend
from engine_logging import MMLogger
from engine_registry import Registry
from engine_runner import Runner
from engine_runner.cli import main
from engine_utils import mask_secrets, mask_text
from engine_visualization import Visualizer

SECRETS = ("s3cr3t", "t0ken", "p4ss")
DATA = {
    "storage": {
        "backend_args": {"aws_secret_access_key": "s3cr3t", "token": "t0ken", "region_name": "eu"}
    },
    "ann_file": "https://me:p4ss@example.org/labels.json?sig=t0ken&page=1",
    "pad_token": "<pad>",
}


def test_secrets_are_masked_by_key_and_other_values_stay() -> None:
    masked = mask_secrets(DATA)

    assert masked == {
        "storage": {
            "backend_args": {"aws_secret_access_key": "***", "token": "***", "region_name": "eu"}
        },
        "ann_file": "https://***@example.org/labels.json?sig=***&page=1",
        "pad_token": "<pad>",
    }
    assert DATA["storage"]["backend_args"]["token"] == "t0ken"  # type: ignore[index]  # of a dict


@pytest.mark.parametrize(
    "value",
    [
        {"num_tokens": 3, "cls_token": "[CLS]", "tokenizer": {"type": "BPE"}, "key": "loss"},
        {"init_kwargs": {"project": "p", "tags": ("a",)}, "with_token": True, "password": ""},
        [{"url": "s3://bucket/a@2x.png"}, "a://b/c?d=e"],
    ],
    ids=["model", "service", "addresses"],
)
def test_values_without_secrets_are_returned_unchanged(value: Any) -> None:
    assert mask_secrets(value) is value


def test_secret_that_is_a_dict_or_a_list_is_masked_in_all_parts() -> None:
    given = {"backend_args": {"headers": {"X-Key": "a"}, "credentials": ["b", 1]}}

    assert mask_secrets(given) == {
        "backend_args": {"headers": {"X-Key": "***"}, "credentials": ["***", 1]}
    }


def test_secret_that_a_backend_declares_is_masked() -> None:
    @register_backend("declares", force=True)
    class Declares(BaseStorageBackend):
        secrets = ("license_plate",)

        def get(self, filepath: Any) -> bytes:
            return b""

        def get_text(self, filepath: Any) -> str:
            return ""

    given = {"backend_args": {"license_plate": "s3cr3t"}, "license_plate": "shown"}

    assert mask_secrets(given) == {
        "backend_args": {"license_plate": "***"},
        "license_plate": "shown",
    }


def test_text_is_masked_in_each_format() -> None:
    text = "password = 'a'\n\"secret_key\": \"b\", token='c', pad_token='d'"

    masked = mask_text(text)

    assert masked == "password = '***'\n\"secret_key\": \"***\", token='***', pad_token='d'"
    assert mask_text(masked) == masked


def test_run_writes_no_secret_and_resumes_with_those_of_its_config(
    toy_run: Callable[..., Runner], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = Config({"data": DATA}, filename=str(tmp_path / "own.py"))
    toy_run(cfg=config, experiment_name="first").train()
    resumed = toy_run(
        cfg=config,
        experiment_name="second",
        resume=True,
        train_cfg={"by_epoch": True, "max_epochs": 3},
    )

    resumed.train()

    files = [path for path in (tmp_path / "work").rglob("*") if path.is_file()]
    texts = [path.read_bytes() for path in files]
    assert not [
        file
        for file, text in zip(files, texts, strict=True)
        for secret in SECRETS
        if secret.encode() in text
    ]
    assert any(path.suffix == ".pth" for path in files)
    assert resumed.iter == 12
    assert resumed.cfg.data.storage.backend_args.token == "t0ken"
    log = "".join(path.read_text() for path in (tmp_path / "work").rglob("*.log"))
    assert "the config has changed" not in log
    checkpoint = torch.load(tmp_path / "work/epoch_3.pth", weights_only=False)
    assert "token='***'" in checkpoint["meta"]["cfg"]


def test_masked_secret_is_not_used() -> None:
    with pytest.raises(ValueError, match=r"aws_secret_access_key of backend_args .* set it again"):
        get_file_backend("s3://b/k", backend_args={"aws_secret_access_key": "***"})


def test_log_masks_the_password_of_a_url(tmp_path: Path) -> None:
    logger = MMLogger.get_instance("masks", log_file=tmp_path / "run.log")

    logger.info("load https://me:p4ss@host/a.pth?X-Amz-Signature=t0ken")
    logging.getLogger("engine.fileio").warning("read %s", "s3://me:p4ss@bucket/key")

    text = logger.log_files[0].read_text()
    assert "https://***@host/a.pth?X-Amz-Signature=***" in text
    assert "p4ss" not in text


@pytest.mark.parametrize(
    ("options", "shows"), [([], False), (["--origins"], False), (["--secrets"], True)]
)
def test_config_command_shows_secrets_only_if_asked(
    options: list[str],
    shows: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "own.json").write_text(json.dumps({"data": DATA}))
    monkeypatch.setattr(sys, "argv", ["engine", "config", str(tmp_path / "own.json"), *options])

    with pytest.raises(SystemExit):
        main()

    assert all((secret in capsys.readouterr().out) is shows for secret in SECRETS[:1])


def test_errors_of_a_build_mask_the_config() -> None:
    registry = Registry("parts")

    @registry.register_module()
    class Fails:
        def __init__(self, backend_args: Any = None, password: int = 0) -> None:
            raise ValueError("no disk")

    storage = {"token": "t0ken", "endpoint_url": "https://me:p4ss@host"}
    for config in (
        {"type": "Fails", "backend_args": storage},
        {"type": "Fails", "password": "s3cr3t"},
        {"type": "Fails", "passwort": 1, "backend_args": storage},
        [{"type": "Fails", "backend_args": storage}],
    ):
        with pytest.raises((ValueError, TypeError)) as raised:
            registry.build(config)
        assert "***" in str(raised.value)
        assert not [secret for secret in SECRETS if secret in str(raised.value)]


@pytest.mark.parametrize(
    "setting",
    [
        {"custom_hooks": [{"backend_args": {"token": "t0ken"}}]},
        {"default_hooks": [{"password": "s3cr3t"}]},
        {"visualizer": {"type": "Visualizer", "vis_backends": {"token": "t0ken"}}},
    ],
    ids=["hooks", "list", "backends"],
)
def test_messages_about_settings_mask_their_values(
    toy_run: Callable[..., Runner], setting: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"\*\*\*") as raised:
        toy_run(**setting)

    assert not [secret for secret in SECRETS if secret in str(raised.value)]


def test_config_that_is_given_to_the_visualizer_is_masked(tmp_path: Path) -> None:
    backends = [{"type": "LocalVisBackend"}]
    visualizer = Visualizer(name="masks", vis_backends=backends, save_dir=str(tmp_path))
    config = Config({"data": DATA})

    visualizer.add_config(config)

    texts = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert any("***" in text for text in texts)
    assert not [secret for text in texts for secret in SECRETS if secret in text]
    assert config.data.storage.backend_args.token == "t0ken"


def test_config_that_is_logged_is_masked(tmp_path: Path) -> None:
    logger = MMLogger.get_instance("masks", log_file=tmp_path / "run.log")
    config = Config({"data": DATA})

    logger.info(config.pretty_text)
    logger.info("%s", config)

    text = logger.log_files[0].read_text()
    assert "pad_token='<pad>'" in text
    assert not [secret for secret in SECRETS if secret in text]
