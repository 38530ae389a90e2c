"""Downloads files and archives of data sets from their official addresses, completely or not at all."""

from pathlib import Path

from torchvision.datasets import utils
from torchvision.datasets.utils import download_url, extract_archive

from conf.errors import BadInput
from conf.network import reachable
from stages.files import folder_beside
from stages.progress import Bar
from stages.space import is_no_space

utils.tqdm = Bar  # for torchvision's downloads


def get_folder(title: str, url: str, folder: Path, download: bool, md5: str | None = None) -> None:
    """Makes sure that `folder`, which the archive at `url` holds, is complete on disk or does not exist."""
    archive = folder.parent / url.rsplit("/", 1)[-1]
    if folder.exists():
        return
    if not download:
        raise BadInput(
            f"{title} was not found: {folder} is expected; get it with data.download=true, "
            f"or unpack {url} in {folder.parent}"
        )
    if not archive.exists():
        download_file(url, folder.parent, md5)
    with folder_beside(folder) as beside:
        try:
            extract_archive(str(archive), str(beside))
            (beside / folder.name).rename(folder)
        except Exception as error:  # tar, zip and gzip each raise different kinds
            if is_no_space(error):
                raise
            raise BadInput(
                f"{title}: {archive} can't be unpacked ({error}): delete it and run the command again"
            ) from None


def download_file(url: str, folder: Path, md5: str | None = None) -> None:
    """Downloads the file at `url` into `folder`, completely or not at all."""
    name = url.rsplit("/", 1)[-1]
    if not reachable(url):
        raise BadInput(f"{url} can't be reached (no network): try again later, or put the file at {folder / name}")
    folder.mkdir(parents=True, exist_ok=True)
    with folder_beside(folder / name) as beside:
        try:
            download_url(url, str(beside), name, md5)
            (beside / name).rename(folder / name)
        except Exception as error:  # caused by network, server, checksum or disk
            if is_no_space(error):
                raise
            raise BadInput(
                f"{url} can't be downloaded ({error}): try again, or put the file at {folder / name}"
            ) from None
