"""W&B mirrors a run: when its process or its disk has gone, the run goes on."""

import pytest
from wandb.sdk.mailbox import MailboxClosedError

from tracking.tracker import not_vital


@pytest.mark.parametrize(
    ("error", "said"),
    [(ConnectionResetError("gone"), "gone"), (MailboxClosedError(), "MailboxClosedError"), (OSError("full"), "full")],
)
def test_errors_of_wandb_are_said(capsys, error, said):
    with not_vital("a row"):
        raise error
    assert capsys.readouterr().out == f"W&B: a row not logged: {said}\n"


def test_other_errors_are_not_hidden():
    with pytest.raises(ValueError, match="ours"), not_vital("a row"):
        raise ValueError("ours")
