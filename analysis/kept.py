"""What an analysis already holds: each measure is computed once, and kept with its files.

    measures.json   digest of the analysis; of each measure: digest (its module and code), title, caption, labels,
                    claims, files with size and sha256; of the gallery: titles and files; which measures are shown

A measure whose files are all unchanged is not computed again, neither when another one is added to a finished
analysis, nor when an interrupted one is run again. A measure that is no longer requested is kept, but not shown.
Other files in the folders belong to another analysis and are removed.
"""

from collections.abc import Iterable
from pathlib import Path

from stages.checksums import listed
from stages.files import remove
from stages.records import read_record, write_record

RECORD = "measures.json"
FOLDERS = ("samples", "tables", "figures", "gallery")


class Kept:
    """The record of an analysis. measures: name -> entry, of those it holds; gallery: its entry; shown: names of the
    requested measures."""

    def __init__(self, folder: Path, analysis: str) -> None:
        """Reads the record in `folder` and removes files of other analyses. analysis: the digest of this analysis."""
        self.folder, self._analysis = folder, analysis
        record, held = read_record(folder / RECORD) or {}, listed(folder)
        mine = record if record.get("analysis") == analysis else {}
        found = {name: entry for name, entry in mine.get("measures", {}).items() if _is_whole(entry, held)}
        self.measures: dict[str, dict] = found
        gallery = mine.get("gallery") or {}
        self.shown: list[str] = []
        self.gallery: dict | None = gallery if gallery and _is_whole(gallery, held) else None
        known = {name for entry in (*found.values(), self.gallery or {"files": {}}) for name in entry["files"]}
        for name in held.keys() - known:
            if Path(name).parts[0] in FOLDERS:
                remove(folder / name)

    def has(self, name: str, digest: str) -> bool:
        return self.measures.get(name, {}).get("digest") == digest

    def add(self, name: str, digest: str, files: Iterable[Path], **facts: object) -> None:
        """Adds a measure whose files are written. Earlier files of that name that are not among them are removed."""
        before = self.measures.pop(name, {"files": {}})
        self.measures[name] = {"digest": digest, **facts, "files": self._held(files)}
        for file in before["files"].keys() - self.measures[name]["files"].keys():
            remove(self.folder / file)
        self._write()

    def add_gallery(self, cards: list[tuple[str, Path]], samples: Path | None = None) -> None:
        """Adds the gallery. cards: title and picture (.png) of each, with an .svg beside it; samples: the file of all
        samples, for the report's picker."""
        files = [path for _, png in cards for path in (png, png.with_suffix(".svg"))]
        files += [samples] if samples else []
        titles = [(title, str(png.relative_to(self.folder))) for title, png in cards]
        self.gallery = {"cards": titles, "files": self._held(files)}
        self._write()

    def show(self, names: list[str]) -> None:
        """Sets which measures are shown, in their order; when each was computed does not matter."""
        self.measures = {name: self.measures[name] for name in dict.fromkeys([*names, *sorted(self.measures)])}
        self.shown = names
        self._write()

    def file(self, folder: str, name: str) -> Path | None:
        """Returns the file of a measure in `folder`, such as tables/ratio.csv, or None if it left none."""
        names = [file for file in self.measures[name]["files"] if Path(file).match(f"{folder}/{name}.*")]
        return self.folder / sorted(names)[0] if names else None

    @property
    def cards(self) -> list[tuple[str, Path]]:
        """The title and the picture of each sample in the gallery."""
        return [(title, self.folder / png) for title, png in (self.gallery or {"cards": []})["cards"]]

    def _held(self, files: Iterable[Path]) -> dict[str, tuple[int, str]]:
        wanted, held = {str(file.relative_to(self.folder)) for file in files}, listed(self.folder)
        return {name: held[name] for name in sorted(wanted)}

    def _write(self) -> None:
        content = {
            "analysis": self._analysis, "shown": self.shown, "measures": self.measures, "gallery": self.gallery
        }  # fmt: skip
        write_record(self.folder / RECORD, content)


def _is_whole(entry: dict, held: dict[str, tuple[int, str]]) -> bool:
    return all(held.get(name) == tuple(known) for name, known in entry["files"].items())
