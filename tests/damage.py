"""What disks, copies and careless hands do to files."""

from pathlib import Path


def flip(file: Path, place: int) -> None:
    """Changes one bit of the byte at `place`; negative: from the end. The size stays."""
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
