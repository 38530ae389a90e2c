"""Messages of others become one line."""

import pytest

from conf.first_line import first_line

LINES = {
    "the first\nThe advice that follows.": "the first",
    "\n  the first  \n": "the first",
    "\x1b[31mred\x1b[0m\nand more": "red",
    "backend='inductor' raised:\n  No C++ compiler found\n": "backend='inductor' raised: No C++ compiler found",
    "raised:\n \nafter a blank line": "raised: after a blank line",
    "ends so:": "ends so:",
    "": "ValueError",
    " \n ": "ValueError",
}  # fmt: skip


@pytest.mark.parametrize(("message", "line"), LINES.items())
def test_an_error_is_said_in_one_line(message, line):
    assert first_line(ValueError(message)) == line
