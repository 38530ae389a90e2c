"""Checks before any work that W&B will find the key of an account, without network and without importing W&B."""

import configparser
import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from conf.errors import BadInput

HOST = "https://api.wandb.ai"


def check_account(mode: str, environment: Mapping[str, str] = os.environ) -> None:
    """Raises BadInput if runs are tracked online and W&B can't find a key in the environment, its settings or the netrc
    file."""
    if mode != "online" or any(environment.get(name) for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")):
        return
    settings = _settings(environment)
    host = urlsplit(environment.get("WANDB_BASE_URL") or settings.get("base_url") or HOST).netloc
    if settings.get("api_key") or settings.get("identity_token_file") or _in_netrc(host, environment):
        return
    raise BadInput(
        f"wandb.mode=online needs an account at {host}, and no key was found: run `wandb login`, set "
        f"WANDB_API_KEY, or set wandb.mode=offline, which needs no account"
    )


def _settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the settings of the user and of the folder; those of the folder take precedence."""
    parser = configparser.ConfigParser(interpolation=None)
    user = Path(environment.get("WANDB_CONFIG_DIR") or "~/.config/wandb").expanduser()
    try:
        parser.read([user / "settings", Path(environment.get("WANDB_DIR") or ".", "wandb", "settings")])
    except (configparser.Error, UnicodeDecodeError):
        return {}
    return dict(parser["default"]) if parser.has_section("default") else {}


def _in_netrc(host: str, environment: Mapping[str, str]) -> bool:
    files = [Path(environment["NETRC"])] if environment.get("NETRC") else [Path("~/.netrc"), Path("~/_netrc")]
    for file in (place.expanduser() for place in files):
        try:
            if file.exists():
                return bool((netrc.netrc(file).authenticators(host) or ("", "", ""))[2])
        except (netrc.NetrcParseError, OSError, UnicodeDecodeError):
            return False
    return False
