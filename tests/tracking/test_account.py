"""An account of W&B is looked for where W&B does."""

import re
from pathlib import Path

import pytest

from tracking.account import host, no_key

NETRC = "machine {} login user password 0123456789\n"


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """An environment that leads to empty folders."""
    return {"NETRC": str(tmp_path / "netrc"), "WANDB_CONFIG_DIR": str(tmp_path), "WANDB_DIR": str(tmp_path)}


def test_without_a_key_one_line_says_what_to_do(nowhere: dict[str, str]) -> None:
    assert re.fullmatch(r"wandb\.mode=online .*api\.wandb\.ai.*no key.*wandb login.*WANDB_API_KEY\)", no_key(nowhere))


def test_a_key_in_the_environment_will_do(nowhere: dict[str, str]) -> None:
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        assert no_key(nowhere | {name: "x"}) == ""


def test_a_key_in_the_netrc_file_has_to_be_that_of_the_host(nowhere: dict[str, str]) -> None:
    Path(nowhere["NETRC"]).write_text(NETRC.format("api.wandb.ai"))
    assert no_key(nowhere) == ""
    elsewhere = nowhere | {"WANDB_BASE_URL": "https://wandb.my.lab"}
    assert host(elsewhere) == "https://wandb.my.lab"
    assert no_key(elsewhere).startswith("wandb.mode=online needs an account at wandb.my.lab,")


def test_the_host_may_be_in_the_settings(nowhere: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "settings").write_text("[default]\nbase_url = https://wandb.my.lab\n")
    Path(nowhere["NETRC"]).write_text(NETRC.format("wandb.my.lab"))
    assert host(nowhere) == "https://wandb.my.lab"
    assert no_key(nowhere) == ""


@pytest.mark.parametrize(("file", "content"), [("settings", "no settings"), ("netrc", "machine")])
def test_files_that_cannot_be_read_hold_no_key(
    nowhere: dict[str, str], tmp_path: Path, file: str, content: str
) -> None:
    (tmp_path / file).write_text(content)
    assert "no key" in no_key(nowhere)
