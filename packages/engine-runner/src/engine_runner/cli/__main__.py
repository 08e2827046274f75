"""``python -m engine_runner.cli``, for launchers that start a module."""

from engine_runner.cli import main

if __name__ == "__main__":
    main()
