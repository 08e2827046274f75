"""The guards around tests restore what a test has changed in the process."""

import logging
import logging.config

import pytest


@pytest.mark.parametrize("turn", ["first", "second"])
def test_loggers_are_enabled_after_a_test_that_configures_logging(
    turn: str, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("engine.of_the_guards")
    logger.warning("%s turn", turn)
    assert caplog.messages == [f"{turn} turn"]

    logging.config.dictConfig({"version": 1})

    assert logger.disabled
