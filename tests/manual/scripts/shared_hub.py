"""Share a message hub between the modules of a task (manual, 7061)."""

from typing import Any

from engine_logging import MessageHub


class LogProcessor:
    """Print what the others publish."""

    def __init__(self, name: str) -> None:
        self.message_hub = MessageHub.get_instance(name)

    def run(self) -> None:
        """Print."""
        print(f"Learning rate is {self.message_hub.get_scalar('train/lr').current()}")
        print(f"loss is {self.message_hub.get_scalar('train/loss').current()}")
        print(f"meta is {self.message_hub.get_info('meta')}")


class LrUpdater:
    """Publish the learning rate."""

    def __init__(self, name: str) -> None:
        self.message_hub = MessageHub.get_instance(name)

    def run(self) -> None:
        """Publish."""
        self.message_hub.update_scalar("train/lr", 0.001)


class MetaUpdater:
    """Publish the task."""

    def __init__(self, name: str) -> None:
        self.message_hub = MessageHub.get_instance(name)

    def run(self) -> None:
        """Publish."""
        self.message_hub.update_info("meta", {"experiment": "digits.py", "repo": "engine"})


class LossUpdater:
    """Publish the loss."""

    def __init__(self, name: str) -> None:
        self.message_hub = MessageHub.get_instance(name)

    def run(self) -> None:
        """Publish."""
        self.message_hub.update_scalar("train/loss", 0.1)


class ToyRunner:
    """Run the modules."""

    def __init__(self, name: str) -> None:
        self.log_processor = LogProcessor(name)
        self.updaters: list[Any] = [LossUpdater(name), MetaUpdater(name), LrUpdater(name)]

    def run(self) -> None:
        """Run them in order."""
        for updater in self.updaters:
            updater.run()
        self.log_processor.run()


if __name__ == "__main__":
    ToyRunner("toy_task").run()
