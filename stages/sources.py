"""Reads the source code behind a `_target_` without running it: whether it is the user's, its content, its defaults.

A result depends on the code that made it. Libraries and this project have versions; a user's own module has none, so
its text decides a result, together with the text of all own modules that it imports. With

    my_study.py              from layers.blocks import block
                             from torch import nn
                             def network(num_classes, width=16): ...
    layers/__init__.py
    layers/blocks.py

`my_study.network` has three own files and one default, {"width": 16}. Importing them would show the same, but would
import torch as well, which takes seconds, and a complete study has to end at once. So modules are found as `import`
finds them, and parsed. Imports by a name that a module makes up while it runs are not seen.
"""

import ast
import hashlib
import importlib.util
import sys
import sysconfig
import tomllib
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from conf.errors import BadInput

PROJECT = Path(__file__).resolve().parents[1]
INSTALLED = {"site-packages", "dist-packages"}
HOPS = 8  # imports from one module to the next that are followed to a definition
Function = ast.FunctionDef | ast.AsyncFunctionDef


def source_of(target: str) -> Path | None:
    """Returns the file of the module that holds `a.b.c`: of the longest part of the name that is a module. Returns
    None if it is not found, built-in, made while running, or a folder without `__init__.py`."""
    return _module(target)[1]


def is_own(path: Path) -> bool:
    """Tells whether a source file is the user's: not of this project, the standard library or an installed package.
    A file beside run.py is the user's, and so is a package in another folder that was installed as editable."""
    places = {path.absolute(), path.resolve()}
    if any(INSTALLED & set(place.parts) for place in places):
        return False
    return not any(place.is_relative_to(other) for place in places for other in _others())


def own_code(target: str) -> list[Path]:
    """Returns the own files that a target needs, sorted: its module, all that it imports, and the packages they are
    in. A file that can't be parsed counts without its imports. Raises BadInput if a file can't be read."""
    return sorted(_own(target))


def code_fingerprint(target: str) -> str | None:
    """Describes the content of the own files, such as "2 files, sha256 9f86d081884c7d65", wherever they are; None
    without any. In one process a target always has the same answer, as imported code does not change either."""
    return _fingerprint(target, source_of(target))


def forget() -> None:
    """Forgets the answers, so that own files are read again, as in a new process."""
    _fingerprint.cache_clear()


def defaults(target: str) -> dict[str, object]:
    """Returns the defaults of a function's named arguments, or of those of a class's `__init__`, if they are
    literals (numbers, strings, lists ...). It is empty if the definition is not found, inherited, or within an `if`."""
    definition = _definition(target)
    if isinstance(definition, ast.ClassDef):
        definition = _bound(definition, "__init__")
    return _literals(definition.args) if isinstance(definition, Function) else {}


@cache
def _fingerprint(target: str, source: Path | None) -> str | None:
    """Returns the fingerprint. source: the target's file; a module of that name in another folder has its own."""
    own = sorted((module, file) for file, module in _own(target).items())
    digest = hashlib.sha256()
    for module, file in own:
        digest.update(f"{module} {file.name}\0".encode() + hashlib.sha256(_content(file)).digest())
    files = "1 file" if len(own) == 1 else f"{len(own)} files"
    return f"{files}, sha256 {digest.hexdigest()[:16]}" if own else None


def _own(target: str) -> dict[Path, str]:
    """Returns the own files that a target needs, each with its module's name."""
    found, asked, wanted = {}, set(), [target]
    while wanted:
        name = wanted.pop()
        modules = {} if name in asked else _modules(name)
        asked.add(name)
        for module, file in modules.items():
            if file and file not in found and is_own(file):
                found[file] = module
                wanted += _imports(module, file)
    return found


def _module(name: str) -> tuple[str, Path | None]:
    """Returns the longest part of a dotted name that is a module with a file, and that file."""
    return next(((module, file) for module, file in reversed(_modules(name).items()) if file), ("", None))


def _modules(name: str) -> dict[str, Path | None]:
    """Returns the modules on the way to `a.b.c`, each with its file: a, a.b and, if that is a module, a.b.c."""
    found, inside, parts = {}, None, name.split(".")
    for count, part in enumerate(parts, 1):
        spec = _spec(part, inside)
        if spec is None:
            break
        file = Path(spec.origin).absolute() if spec.has_location and spec.origin else None
        found[".".join(parts[:count])] = file if file and file.is_file() else None
        inside = list(spec.submodule_search_locations or ())  # empty in a module that is not a package
    return found


def _spec(name: str, inside: list[str] | None) -> ModuleSpec | None:
    """Finds a module. inside: the folders of its package, or None if it has none. They are given without the
    package's name, since Python would look that up among the imported ones."""
    if not name:
        return None
    # Packages that are installed as editable may be known to a finder of their own.
    finders = (PathFinder, *sys.meta_path) if inside is None else (PathFinder,)
    return next(filter(None, (finder.find_spec(name, inside) for finder in finders)), None)


def _imports(module: str, file: Path) -> Iterator[str]:
    """Returns the dotted names in a module's import statements; `from a import b` is a.b, module or not."""
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{_origin(node, module, file)}.{name.name}" for name in node.names)


def _origin(node: ast.ImportFrom, module: str, file: Path) -> str:
    """Returns the module that a statement in `module` imports from; "" if its dots lead out of the package."""
    package = module if file.stem == "__init__" else module.rpartition(".")[0]
    try:
        return importlib.util.resolve_name("." * node.level + (node.module or ""), package)
    except ImportError:
        return ""


def _definition(target: str, hops: int = HOPS) -> ast.AST | None:
    """Returns the function or class that a dotted name leads to, through packages that import it from their modules."""
    module, file = _module(target)
    node, names = file and _tree(file), target[len(module) + 1 :].split(".")
    while node and names:
        name = names.pop(0)
        node = _bound(node, name)
        if isinstance(node, ast.ImportFrom):
            first = next(alias.name for alias in node.names if _named(alias) == name)
            onward = ".".join([_origin(node, module, file), first, *names])
            return _definition(onward, hops - 1) if hops else None
    return node


def _bound(scope: ast.AST, name: str) -> ast.stmt | None:
    """Returns the definition, or `from a import b`, that gives a name its meaning in a module or class. Returns None
    if it is anything else, or within another statement, as its meaning is known only when the module runs."""
    for statement in reversed(scope.body if isinstance(scope, ast.Module | ast.ClassDef) else []):
        if isinstance(statement, Function | ast.ClassDef):
            if statement.name == name:
                return statement
        elif any(_named(node) == name for node in ast.walk(statement)):
            return statement if isinstance(statement, ast.ImportFrom) else None
    return None


def _named(node: ast.AST) -> str | None:
    """Returns the name to which a node gives a meaning: x in `x = 1`, in `import y as x`, in `def x`."""
    if isinstance(node, ast.Name):
        return node.id if isinstance(node.ctx, ast.Store) else None
    return getattr(node, "asname", None) or getattr(node, "name", None)


def _literals(arguments: ast.arguments) -> dict[str, object]:
    positional = [*arguments.posonlyargs, *arguments.args]
    last = positional[len(positional) - len(arguments.defaults) :]
    found = {}
    for argument, value in zip(last + arguments.kwonlyargs, arguments.defaults + arguments.kw_defaults, strict=True):
        if value and argument not in arguments.posonlyargs:
            with suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                found[argument.arg] = ast.literal_eval(value)
    return found


def _tree(file: Path) -> ast.Module:
    content = _content(file)
    try:
        with warnings.catch_warnings(action="ignore"):  # strange escapes in strings are not our concern
            return ast.parse(content)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return ast.Module([], [])


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadInput(f"{file} can't be read ({error.strerror}): it is imported by code that the run needs") from None


@cache
def _others() -> set[Path]:
    """Returns the standard library, and this project's own packages: other files beside them may be the user's."""
    try:
        packages = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    except FileNotFoundError:  # an installed copy, in a folder of installed packages
        packages = [file.parent.name for file in PROJECT.glob("*/__init__.py")]
    names = {"run.py", *(name.partition(".")[0] for name in packages)}
    library = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return library | {place.resolve() for place in library} | {PROJECT / name for name in names}
