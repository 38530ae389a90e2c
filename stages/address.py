"""Where weights are: FILE, or FILE#NAME for the model called NAME in a file that holds several."""

import glob
import shlex
from dataclasses import dataclass
from pathlib import Path

IN_FOLDERS = ("model.safetensors", "pytorch_model.bin")  # as libraries of the hub save a model in a folder


def split(text: str) -> tuple[str, str]:
    """Splits FILE#NAME into (FILE, NAME); a file or pattern whose own name holds # gives (itself, "")."""
    file, _, name = text.rpartition("#")
    itself = Path(text).expanduser()
    if not file or itself.exists() or glob.glob(str(itself), recursive=True):
        return text, ""
    return file, name


@dataclass(frozen=True)
class Address:
    """The place of weights. file: the file that holds them; name: the model in it, "" if the user gave none;
    key, given: the key in the configuration, and the files or patterns that are given there.
    """

    file: Path
    name: str = ""
    key: str = "model.weights"
    given: tuple[str, ...] = ()

    def override(self, name: str) -> str:
        """Returns what to type for the model called `name`. Hydra takes # for a comment unless the value has quotes."""
        files = [split(file)[0] for file in self.given or (str(self.file),)]
        quoted = ['"{}#{}"'.format(file.replace('"', r"\""), name) for file in files]
        value = quoted[0] if len(quoted) == 1 else f"[{','.join(quoted)}]"
        return shlex.quote(f"{self.key}={value}")
