"""What an error says, in one line."""

import re


def first_line(error: BaseException) -> str:
    """Returns the first line of the message, without the codes that colour a terminal, and the second if the first
    only announces it ("backend='inductor' raised:"); the error's kind if there is no message."""
    text = re.sub(r"\x1b\[[\d;]*m", "", str(error)).strip() or type(error).__name__
    first, *others = (line.strip() for line in text.splitlines() if line.strip())
    return f"{first} {others[0]}" if first.endswith(":") and others else first
