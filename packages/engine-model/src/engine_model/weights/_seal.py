"""Detect damaged checkpoints: size and checksum of a file, in the comment of its zip archive.

The format of `torch.save` is a zip archive, which may end with a comment. Readers of the format,
`torch.load` included, skip the comment. So the checksum is written in one step with the file, and
stays with it when the file is copied. ``unzip -z epoch_1.pth`` prints it.
"""

import re
import zlib
from typing import IO, Any

_END = b"PK\5\6"  # the end of a zip archive: 22 bytes, of which the last two count the comment's
_END_SIZE = 22
_MARK = b"engine-checkpoint "
_COMMENT = re.compile(_MARK + rb"size (\d{20}) crc32 ([0-9a-f]{8})")
_COMMENT_SIZE = len(_MARK) + len("size  crc32 ") + 20 + 8
_CHUNK = 1 << 20


class SealedFile:
    """A binary file that is written once, from its start, and ends with its own checksum.

    CRC-32 finds each damage of up to 32 bits in a row, and any other one but for one in four
    billion. A save to a local disk takes about a quarter longer with it: 24 % for 400 MB, 23 %
    for 100 MB, and 30 % to memory (medians of 8 pairs on a busy machine of two cores).

    Args:
        file: The file, opened for writing and seeking, and empty.

    Example:
        >>> import io, torch
        >>> file = io.BytesIO()
        >>> sealed = SealedFile(file)
        >>> torch.save({"epoch": 3}, sealed)
        >>> sealed.seal()
        >>> _ = file.seek(0)
        >>> damage_of(file), torch.load(file)
        (None, {'epoch': 3})
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._start = file.tell()
        self._size = self._crc = 0
        self._tail = b""

    def write(self, data: Any) -> int:
        """Write bytes, or a buffer of them, and return their number."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _CHUNK):
            chunk = view[start : start + _CHUNK]
            self._crc = zlib.crc32(chunk, self._crc)
            self._file.write(chunk)
        self._size += len(view)
        self._tail = (self._tail + bytes(view[-_END_SIZE:]))[-_END_SIZE:]
        return len(view)

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()

    def seal(self) -> None:
        """Write size and checksum of what was written as the comment of the zip archive.

        Raises:
            ValueError: What was written is not a zip archive without a comment.
        """
        if not (self._tail.startswith(_END) and self._tail.endswith(b"\0\0")):
            raise ValueError("the file must be a zip archive without a comment, as of torch.save")
        self._file.seek(self._start + self._size - 2)
        self._file.write(_COMMENT_SIZE.to_bytes(2, "little"))
        self._file.write(_MARK + b"size %020d crc32 %08x" % (self._size, self._crc))


def damage_of(file: IO[bytes]) -> str | None:
    """Return what is wrong with a file that `SealedFile` wrote, or None.

    A file without a checksum, of an older version or another program, is not judged.

    Args:
        file: A file that can seek; it is at its start before and after.
    """
    start = file.tell()
    try:
        return _damage(file, start)
    finally:
        file.seek(start)


def _damage(file: IO[bytes], start: int) -> str | None:
    size = file.seek(0, 2) - start
    ending = _END_SIZE + _COMMENT_SIZE
    file.seek(start + max(0, size - ending))
    tail = file.read(ending)
    end = tail.rfind(_END)
    counted = int.from_bytes(tail[end + _END_SIZE - 2 : end + _END_SIZE], "little")
    # Either of two signs suffices, as the other one may be what is damaged.
    if not (tail[_END_SIZE:].startswith(_MARK) or (end >= 0 and counted == _COMMENT_SIZE)):
        return None
    comment = _COMMENT.fullmatch(tail[_END_SIZE:])
    if comment is None or end != 0 or counted != _COMMENT_SIZE:
        return "its end is damaged"
    saved_size = int(comment[1])
    if saved_size != size - _COMMENT_SIZE:
        return f"it has {size - _COMMENT_SIZE} bytes, but {saved_size} were saved"
    # The checksum is that of the archive as torch wrote it, without a comment.
    found = zlib.crc32(b"\0\0", _checksum(file, start, saved_size - 2))
    return None if found == int(comment[2], 16) else "its bytes are not those that were saved"


def _checksum(file: IO[bytes], start: int, size: int) -> int:
    file.seek(start)
    crc = 0
    while size and (chunk := file.read(min(size, _CHUNK))):
        crc = zlib.crc32(chunk, crc)
        size -= len(chunk)
    return crc
