"""Files and archives of data sets, from their official addresses: whole or not at all."""

import tempfile
from pathlib import Path

from torchvision.datasets import utils
from torchvision.datasets.utils import download_url, extract_archive

from conf.errors import BadInput
from conf.network import reachable
from stages.progress import Bar

utils.tqdm = Bar  # of what torchvision downloads


def get_folder(title: str, url: str, folder: Path, download: bool, md5: str | None = None) -> None:
    """Makes sure that `folder`, which the archive at `url` holds, is there: whole or not at all."""
    archive = folder.parent / url.rsplit("/", 1)[-1]
    if folder.exists():
        return
    if not download:
        raise BadInput(
            f"{title} is not there: {folder} is wanted; get it with data.download=true, "
            f"or unpack {url} in {folder.parent}"
        )
    if not archive.exists():
        download_file(url, folder.parent, md5)
    with tempfile.TemporaryDirectory(suffix=".tmp", dir=folder.parent) as beside:
        try:
            extract_archive(str(archive), beside)
            Path(beside, folder.name).rename(folder)
        except Exception as error:  # tar, zip and gzip each have kinds of their own
            raise BadInput(f"{title}: {archive} can't be unpacked ({error}): delete it and start again") from None


def download_file(url: str, folder: Path, md5: str | None = None) -> None:
    """Puts the file at `url` into `folder`: whole or not at all."""
    name = url.rsplit("/", 1)[-1]
    if not reachable(url):
        raise BadInput(f"there is no network to {url}: wait for it, or put it by hand as {folder / name}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(suffix=".tmp", dir=folder) as beside:
        try:
            download_url(url, beside, name, md5)
            Path(beside, name).rename(folder / name)
        except Exception as error:  # of network, server, checksum and disk
            raise BadInput(f"{url} can't be downloaded ({error}): start again, or put it as {folder / name}") from None
