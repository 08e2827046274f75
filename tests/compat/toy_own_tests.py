"""Run the tests of the toy library with pytest, as its developers do. Usage: FILE FOLDER."""

import os
import sys

import pytest

os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"

if __name__ == "__main__":
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
