"""One rank of a run that logs; started by test_logger.py."""

import logging
import sys

from engine_logging import MMLogger, print_log

logger = MMLogger.get_instance(
    "run", log_file=sys.argv[1], log_level=sys.argv[2], distributed=sys.argv[3] == "distributed"
)
logger.info("hello")
logging.getLogger("engine.optim").error("from a library")
print_log("and this", logger="current", level=logging.ERROR)
