"""Run the tests of the toy library with pytest, as its developers do. Usage: FILE FOLDER."""

import sys

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
