import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from stages.address import Address, split


@pytest.mark.parametrize(("text", "parts"), [
    ("/a/b.pt", ("/a/b.pt", "")),
    ("/a/b.pt#student", ("/a/b.pt", "student")),
    ("/a/b.pt#.", ("/a/b.pt", ".")),
    ("/a/#1/*.pt#ema.module", ("/a/#1/*.pt", "ema.module")),
    ("timm:vit_small_patch16_224.augreg_in1k", ("timm:vit_small_patch16_224.augreg_in1k", "")),
])  # fmt: skip
def test_a_name_stands_behind_the_last_sign(text, parts):
    assert split(text) == parts


def test_files_whose_names_hold_the_sign_stay_whole(tmp_path):
    (tmp_path / "a#1.pt").touch()
    assert split(f"{tmp_path}/a#1.pt") == (f"{tmp_path}/a#1.pt", "")
    assert split(f"{tmp_path}/a#*.pt") == (f"{tmp_path}/a#*.pt", "")
    assert split(f"{tmp_path}/a#1.pt#ema") == (f"{tmp_path}/a#1.pt", "ema")
    assert split(f"{tmp_path}/a#*.pt#ema") == (f"{tmp_path}/a#*.pt", "ema")


@pytest.mark.parametrize(("given", "value"), [
    ((), "/a/b.pt#ema"),
    (("/a/*.pt",), "/a/*.pt#ema"),
    (("/a/*.pt#wrong",), "/a/*.pt#ema"),
    (('/a "b"=c.pt',), '/a "b"=c.pt#ema'),
    (("/a/1.pt", "/a/2.pt"), ["/a/1.pt#ema", "/a/2.pt#ema"]),
])  # fmt: skip
def test_what_to_type_is_read_as_it_is_meant(given, value):
    (typed,) = shlex.split(
        Address(Path("/a/b.pt"), key="interactions.checkpoints.finetune", given=given).override("ema")
    )
    (override,) = OverridesParser.create().parse_overrides([typed])
    found = override.value()
    assert override.key_or_group == "interactions.checkpoints.finetune"
    assert ([str(part) for part in found] if isinstance(found, list) else found) == value
