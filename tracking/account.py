"""Finds the W&B server and the key of an account where W&B itself looks for them, without network and without
importing W&B."""

import configparser
import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

HOST = "https://api.wandb.ai"


def host(environment: Mapping[str, str] = os.environ) -> str:
    """Returns the address of the server."""
    return environment.get("WANDB_BASE_URL") or _settings(environment).get("base_url") or HOST


def no_key(environment: Mapping[str, str] = os.environ) -> str:
    """Says that W&B can't find a key in the environment, its settings or the netrc file; returns "" if it can."""
    if any(environment.get(name) for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")):
        return ""
    settings, server = _settings(environment), urlsplit(host(environment)).netloc
    if settings.get("api_key") or settings.get("identity_token_file") or _in_netrc(server, environment):
        return ""
    return f"wandb.mode=online needs an account at {server}, and no key was found (`wandb login`, or WANDB_API_KEY)"


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
