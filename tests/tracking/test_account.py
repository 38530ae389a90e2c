"""An account of W&B is looked for where W&B does."""

from pathlib import Path

import pytest
from conf.account import check_account

from conf.errors import BadInput

NETRC = "machine {} login user password 0123456789\n"


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """An environment that leads to empty folders."""
    return {"NETRC": str(tmp_path / "netrc"), "WANDB_CONFIG_DIR": str(tmp_path), "WANDB_DIR": str(tmp_path)}


def test_without_a_key_online_is_refused_in_one_line(nowhere: dict[str, str]) -> None:
    with pytest.raises(
        BadInput, match=r"^wandb\.mode=online .*api\.wandb\.ai.*wandb login.*offline, which needs no account$"
    ):
        check_account("online", nowhere)
    for mode in ("offline", "disabled"):
        check_account(mode, nowhere)


def test_a_key_in_the_environment_will_do(nowhere: dict[str, str]) -> None:
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        check_account("online", nowhere | {name: "x"})


def test_a_key_in_the_netrc_file_has_to_be_that_of_the_host(nowhere: dict[str, str]) -> None:
    Path(nowhere["NETRC"]).write_text(NETRC.format("api.wandb.ai"))
    check_account("online", nowhere)
    with pytest.raises(BadInput, match=r"wandb\.mode=online needs an account at wandb\.my\.lab,"):
        check_account("online", nowhere | {"WANDB_BASE_URL": "https://wandb.my.lab"})


def test_the_host_may_be_in_the_settings(nowhere: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "settings").write_text("[default]\nbase_url = https://wandb.my.lab\n")
    Path(nowhere["NETRC"]).write_text(NETRC.format("wandb.my.lab"))
    check_account("online", nowhere)


@pytest.mark.parametrize(("file", "content"), [("settings", "no settings"), ("netrc", "machine")])
def test_files_that_cannot_be_read_hold_no_key(
    nowhere: dict[str, str], tmp_path: Path, file: str, content: str
) -> None:
    (tmp_path / file).write_text(content)
    with pytest.raises(BadInput, match="no key"):
        check_account("online", nowhere)
