"""Release the loggers and hubs of each test."""

import logging
from collections.abc import Iterator

import pytest

from engine_logging import MessageHub, MMLogger


@pytest.fixture(autouse=True)
def _release_instances() -> Iterator[None]:
    level = logging.getLogger("engine").level
    yield
    for logger in list(MMLogger._instance_dict.values()):
        logger.close()
    for name in list(MessageHub._instance_dict):
        MessageHub.release_instance(name)
    logging.getLogger("engine").setLevel(level)
