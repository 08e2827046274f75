"""Add a file format, and load and dump by the suffix (manual, 5761 and 5799)."""

from typing import IO, Any

from engine_fileio import BaseFileHandler, dump, load, register_handler


@register_handler("log2")
class TxtHandler1(BaseFileHandler):
    """Text as it is."""

    def load_from_fileobj(self, file: IO[Any], **kwargs: Any) -> Any:
        """Return the text."""
        return file.read()

    def dump_to_fileobj(self, obj: Any, file: IO[Any], **kwargs: Any) -> None:
        """Write the text."""
        file.write(str(obj))

    def dump_to_str(self, obj: Any, **kwargs: Any) -> str:
        """Return the text."""
        return str(obj)


data = {"a": [1, 2]}
for name in ("test.json", "test.yaml", "test.pkl"):
    dump(data, name)
    print(name, load(name))
with open("test.json") as file:
    print("opened", load(file, file_format="json"))
dump("two words", "test.log2")
print("text", load("test.log2"))
