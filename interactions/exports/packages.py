"""Packages that only some exports need."""

from importlib.util import find_spec

from conf.errors import BadInput


def check_installed(setting: str, *packages: str) -> None:
    """Raises BadInput if one of the packages is not installed. setting: what needs them, such as to=xarray."""
    if missing := [package for package in packages if find_spec(package) is None]:
        names, are = " and ".join(missing), "are" if len(missing) > 1 else "is"
        raise BadInput(f'{setting} needs {names}, which {are} not installed: pip install ".[export]"')
