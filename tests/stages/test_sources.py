"""The source code behind a `_target_`."""

import importlib
import sys
import sysconfig
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest

from conf.errors import BadInput
from stages import sources
from stages.sources import code_fingerprint, defaults, is_own, own_code, source_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def new_process():
    sources.forget()
    yield
    sources.forget()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder in which modules are found."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def write(place, **modules):
    """a__b="text" makes a/b.py; every text ends in an error, since none of them may be run."""
    for name, text in modules.items():
        file = place / f"{name.replace('__', '/')}.py".replace("/INIT", "/__init__")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\nraise AssertionError\n")
    importlib.invalidate_caches()


def names(target, place):
    return [file.relative_to(place).as_posix() for file in own_code(target)]


def fresh(target):
    sources.forget()
    return code_fingerprint(target)


def test_the_source_is_that_of_the_longest_part_that_is_a_module(place):
    write(
        place, my_study="", pkg__INIT="", pkg__sub__INIT="", pkg__sub__mod="", ns__mod="", deep__er__mod="", network=""
    )
    assert source_of("my_study.network") == source_of("my_study") == place / "my_study.py"
    assert source_of("pkg.network") == place / "pkg" / "__init__.py"
    assert source_of("pkg.sub.mod.Class.method") == place / "pkg" / "sub" / "mod.py"
    assert source_of("pkg.sub.other.f") == place / "pkg" / "sub" / "__init__.py"
    assert source_of("ns.mod.f") == place / "ns" / "mod.py"
    assert source_of("deep.er.mod.f") == place / "deep" / "er" / "mod.py"
    assert not {"my_study", "pkg", "ns", "deep"} & sys.modules.keys()


@pytest.mark.parametrize(
    "target", ["", ".", "..", "a..b", "nothing", "no.such.thing", "sys.exit", "ns.f", "made.f", "builtins.dict"]
)
def test_no_source_where_there_is_no_file(place, monkeypatch, target):
    write(place, ns__mod="")
    monkeypatch.setitem(sys.modules, "made", type(sys)("made"))
    assert source_of(target) is None
    assert own_code(target) == []
    assert code_fingerprint(target) is None
    assert defaults(target) == {}


def test_a_folder_of_the_name_of_a_function_does_not_hide_its_module(place):
    write(place, pkg__INIT="def data(a=1): ...")
    (place / "pkg" / "data").mkdir()
    assert source_of("pkg.data") == place / "pkg" / "__init__.py"
    assert defaults("pkg.data") == {"a": 1}


@pytest.mark.parametrize("target", [
    "models.vision.conv4", "data.images.task", "run.main", "interactions.local.graph", "stages.sources.defaults",
    "torchvision.models.resnet18", "lightning.Trainer", "json.loads", "os.path.join", "collections.abc.Mapping",
])  # fmt: skip
def test_this_project_libraries_and_python_are_not_own(target):
    assert source_of(target).is_file()
    assert not is_own(source_of(target))
    assert own_code(target) == []
    assert code_fingerprint(target) is None


def test_what_lies_beside_the_project_is_own(tmp_path, monkeypatch):
    for file in ("my_study.py", "mine/__init__.py", "tests/studies.py", "data.py", "../other/data/images.py"):
        assert is_own(ROOT / file), file
    for file in ("run.py", "data/mine.py", "interactions/local/mine.py"):
        assert not is_own(ROOT / file), file
    for folder in (sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"), "/opt/python3/dist-packages"):
        assert not is_own(Path(folder, "mine", "__init__.py"))
    (tmp_path / "link").symlink_to(ROOT / "models")
    assert not is_own(tmp_path / "link" / "vision.py")
    monkeypatch.chdir(ROOT)
    assert is_own(Path("my_study.py"))
    assert not is_own(Path("models/vision.py"))


def test_a_copy_of_the_project_without_its_pyproject(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").touch()
    sources._others.cache_clear()
    monkeypatch.setattr(sources, "PROJECT", tmp_path)
    try:
        assert not is_own(tmp_path / "models" / "vision.py")
        assert is_own(tmp_path / "my_study.py")
    finally:
        sources._others.cache_clear()


def test_editable_packages_of_the_user_are_own(place, tmp_path_factory, monkeypatch):
    """setuptools installs them with a finder that knows where they are."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write(elsewhere, src__INIT="from .nets import network", src__nets="")
    write(place, my_study="import installed.nets")

    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
            file = elsewhere / "src" / "__init__.py"
            return spec_from_file_location(name, file) if name == "installed" else None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    expected = [elsewhere / "src" / "__init__.py", elsewhere / "src" / "nets.py"]
    assert own_code("installed.network") == expected
    assert own_code("my_study.f") == sorted([*expected, place / "my_study.py"])


STUDY = {
    "my_study": "import torch\nimport helper\nfrom pkg.sub.mod import thing as other\ndef f(): import late",
    "helper": "from json import loads\nimport my_study",
    "late": "",
    "unused": "",
    "pkg__INIT": "",
    "pkg__sub__INIT": "from . import star",
    "pkg__sub__mod": "from .. import up\nfrom .near import (x,\n y)\nfrom ..other import deep\nfrom ... import beyond",
    "pkg__sub__near": "if False:\n    import pkg.alone",
    "pkg__sub__star": "from pkg.all import *",
    "pkg__all": "def this_is_no_python(",
    "pkg__up": "",
    "pkg__other__INIT": "",
    "pkg__other__deep": "import models.vision",
    "pkg__alone": "",
    "pkg__unused": "",
}


def test_own_code_is_all_that_is_imported_and_own(place):
    write(place, **STUDY)
    expected = [
        *("helper.py", "late.py", "my_study.py", "pkg/__init__.py", "pkg/all.py", "pkg/alone.py"),
        *("pkg/other/__init__.py", "pkg/other/deep.py"),
        *(f"pkg/sub/{name}.py" for name in ("__init__", "mod", "near", "star")),
        "pkg/up.py",
    ]
    assert names("my_study.f", place) == expected
    assert fresh("my_study.f").startswith("13 files, sha256 ")


def test_an_import_of_a_package_is_not_one_of_its_modules(place):
    write(place, one="import pkg", two="import pkg.a as b", three="from pkg import a", four="from pkg import *",
          pkg__INIT="", pkg__a="")  # fmt: skip
    assert names("one.f", place) == ["one.py", "pkg/__init__.py"]
    assert names("four.f", place) == ["four.py", "pkg/__init__.py"]
    assert names("two.f", place) == ["pkg/__init__.py", "pkg/a.py", "two.py"]
    assert names("three.f", place) == ["pkg/__init__.py", "pkg/a.py", "three.py"]


def test_strange_escapes_are_not_warned_of(place, recwarn):
    write(place, my_study="x = '\\d'")
    assert names("my_study.f", place) == ["my_study.py"]
    assert not recwarn.list


def test_files_that_are_no_python_count_without_their_imports(place):
    write(place, broken="import helper\ndef f(:", helper="")
    assert names("broken.f", place) == ["broken.py"]
    before = fresh("broken.f")
    (place / "broken.py").write_bytes(b"import helper\0")
    assert names("broken.f", place) == ["broken.py"]
    assert fresh("broken.f") != before
    (place / "broken.py").write_bytes("# coding: latin-1\nimport helper # é".encode("latin-1"))
    assert names("broken.f", place) == ["broken.py", "helper.py"]


@pytest.mark.parametrize("file", ["my_study.py", "helper.py", "pkg/sub/__init__.py", "pkg/alone.py", "pkg/all.py"])
def test_any_edit_of_own_code_counts_be_it_a_comment(place, file):
    write(place, **STUDY)
    before = fresh("my_study.f")
    (place / file).write_text((place / file).read_text() + "# a comment\n")
    assert fresh("my_study.f") != before
    (place / file).write_text((place / file).read_text().removesuffix("# a comment\n"))
    assert fresh("my_study.f") == before


def test_edits_elsewhere_do_not_count(place):
    write(place, **STUDY)
    before = fresh("my_study.f")
    write(place, unused="x = 1", pkg__unused="x = 1", new="")
    assert fresh("my_study.f") == before == fresh("my_study.other")


def test_renamed_and_swapped_modules_count(place):
    write(place, my_study="import a, b", a="x = 1", b="x = 2")
    before = fresh("my_study.f")
    write(place, a="x = 2", b="x = 1")
    assert fresh("my_study.f") != before
    write(place, a__INIT="x = 1", b="x = 2")
    (place / "a.py").unlink()
    importlib.invalidate_caches()
    assert names("my_study.f", place) == ["a/__init__.py", "b.py", "my_study.py"]
    assert fresh("my_study.f") != before


def test_it_does_not_matter_where_the_code_lies(tmp_path, monkeypatch):
    found = []
    for name in ("here", "some/where/else"):
        write(tmp_path / name, **STUDY)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(tmp_path / name)
            found.append(code_fingerprint("my_study.f"))
    assert found[0] == found[1] is not None
    for name, modules in {
        "near": {"my_study": "import helper", "helper": "x"},
        "far": {"my_study": "import helper"},
    }.items():
        write(tmp_path / name, **modules)
    write(tmp_path / "library", helper="x")
    found = []
    for folders in (["near"], ["far", "library"]):
        with monkeypatch.context() as patch:
            for folder in folders:
                patch.syspath_prepend(tmp_path / folder)
            found.append(fresh("my_study.f"))
    assert found[0] == found[1]


def test_in_a_process_code_has_one_fingerprint(place, tmp_path_factory, monkeypatch):
    write(place, my_study="x = 1")
    before = code_fingerprint("my_study.f")
    write(place, my_study="x = 2")
    assert code_fingerprint("my_study.f") == before
    edited = fresh("my_study.f")
    assert edited != before
    monkeypatch.syspath_prepend(other := tmp_path_factory.mktemp("other"))
    write(other, my_study="x = 3")
    assert code_fingerprint("my_study.f") not in (before, edited)


def test_a_file_that_can_not_be_read_is_refused(place, monkeypatch):
    def refuse(file):
        raise PermissionError(13, "Permission denied", str(file))

    write(place, my_study="")
    monkeypatch.setattr(Path, "read_bytes", refuse)  # to the superuser every file is readable
    with pytest.raises(BadInput, match=r"my_study\.py can't be read \(Permission denied\)"):
        code_fingerprint("my_study.f")


FUNCTION = """
SIZE = 3
def f(a, b, c=1, *rest, d, e="two", g=[1, (2.5, None)], h=-1, size=SIZE, call=dict(), inf=float("inf"), **others): ...
async def waits(a=1): ...
def only(a=1, /, b=2, *, c={"x": True}): ...
def nothing(a, *, b): ...
"""
CLASS = """
class Network:
    width = 3
    def __init__(self, width=16, *, depth: int = 2): ...
    def forward(self, x, scale=0.5): ...
    class Inner:
        def __init__(self, a=b"1"): ...
class Child(Network):
    def forward(self, x, scale=2): ...
"""


@pytest.mark.parametrize(("target", "expected"), [
    ("my_study.f", {"c": 1, "e": "two", "g": [1, (2.5, None)], "h": -1}),
    ("my_study.waits", {"a": 1}),
    ("my_study.only", {"b": 2, "c": {"x": True}}),
    ("my_study.nothing", {}),
    ("my_study.Network", {"width": 16, "depth": 2}),
    ("my_study.Network.forward", {"scale": 0.5}),
    ("my_study.Network.Inner", {"a": b"1"}),
    ("my_study.Network.width", {}),
    ("my_study.Network.nothing", {}),
    ("my_study.Child", {}),
    ("my_study.Child.forward", {"scale": 2}),
    ("my_study.f.a", {}),
    ("my_study.SIZE", {}),
    ("my_study", {}),
])  # fmt: skip
def test_defaults_are_the_literals_that_can_be_given_by_name(place, target, expected):
    write(place, my_study=FUNCTION + CLASS)
    assert defaults(target) == expected


def test_defaults_are_those_of_the_last_definition(place):
    write(
        place,
        my_study="from typing import overload\n@overload\ndef f(a=1): ...\n@overload\ndef f(a=2): ...\ndef f(a=3): ...",
    )
    assert defaults("my_study.f") == {"a": 3}


@pytest.mark.parametrize("text", [
    "def f(a=1): ...\nf = wrapped(f)",
    "def f(a=1): ...\nif True:\n    def f(a=2): ...",
    "if True:\n    def f(a=1): ...",
    "def f(a=1): ...\ntry:\n    from fast import f\nexcept ImportError as error:\n    pass",
    "def f(a=1): ...\nimport g as f",
    "def f(a=1): ...\nfor f in (): ...",
    "f = lambda a=1: a",
    "from helper import *",
    "from helper import f as g",
    "def f(a=1:",
    "",
])  # fmt: skip
def test_no_defaults_where_it_is_not_certain_which(place, text):
    write(place, my_study=text, helper="def f(a=2): ...\ndef g(a=3): ...")
    assert defaults("my_study.f") == {}


def test_imports_lead_to_the_definition(place):
    write(
        place,
        my_study="from pkg import net, other as wide\nfrom missing import gone\nfrom ..far import away",
        pkg__INIT="from .nets import net\nfrom pkg.nets import Class as other",
        pkg__nets="from .deep import net\nclass Class:\n    def __init__(self, b=9): ...\n    def f(self, a=2): ...",
        pkg__deep="def net(depth=3): ...",
        far="def away(a=1): ...",
        ring="from ring2 import f",
        ring2="from ring import f",
    )
    assert defaults("my_study.net") == defaults("pkg.net") == defaults("pkg.nets.net") == {"depth": 3}
    assert defaults("my_study.wide") == {"b": 9}
    assert defaults("my_study.wide.f") == {"a": 2}
    for target in ("my_study.gone", "my_study.away", "my_study.other", "ring.f"):
        assert defaults(target) == {}


def test_defaults_of_libraries_and_of_this_project():
    assert defaults("models.vision.conv4") == {"width": 64, "image_size": 32, "channels": 3}
    assert defaults("data.images.task") == {"skip_corrupt": False, "size": None}
    trainer = defaults("lightning.pytorch.trainer.trainer.Trainer")
    assert (trainer["accelerator"], trainer["devices"], trainer["max_epochs"]) == ("auto", "auto", None)
    assert defaults("lightning.Trainer") == defaults("lightning.pytorch.Trainer") == trainer
    assert defaults("torchvision.models.resnet.resnet18") == {"weights": None, "progress": True}
