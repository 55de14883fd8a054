"""A zip of pictures -> a folder of them in the cache folder, unpacked once, within limits."""

import errno
import hashlib
import os
import pathlib
import shutil
import stat
import zipfile

from .cache import cache_folder
from .decoding import SUFFIXES
from .files import first_line, locked

__all__ = ["unpack"]

LISTS = {".txt", ".csv"}          # unpacked beside the pictures: CelebA's attributes
MAX_MEMBERS = 1_000_000
MAX_RATIO = 100                   # the unpacked size may be this many times the size of the zip,
FREE_BYTES = 1 << 30              # or 1 GB, whichever is more


def unpack(archive: str | os.PathLike) -> pathlib.Path:
    """Unpack the pictures and lists of a zip, once, into the cache folder -> the folder they are in.

    Links, hidden files and all other files are left in the zip. Raises ValueError for a file that is no whole zip, has
    members that would be written elsewhere (zip-slip), or is larger unpacked than the limits allow; FileNotFoundError
    for a missing zip or one without pictures; OSError if the disk is full or the cache folder cannot be written.
    """
    archive = pathlib.Path(archive).expanduser().resolve()
    info = archive.stat()
    identity = f"{archive} {info.st_size} {info.st_mtime_ns}".encode("utf-8", "surrogateescape")
    target = cache_folder() / f"{archive.stem}-{hashlib.sha256(identity).hexdigest()[:12]}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = open(f"{target}.lock", "w")
    except OSError as error:
        raise OSError(error.errno, f"{str(archive)!r} cannot be unpacked into {str(target.parent)!r} "
                      f"({error.strerror}): set the variable BVAE_CACHE to a folder that can be written") from error
    with locked(lock, "another process is unpacking it: waiting"):
        if not target.is_dir():
            _extract(archive, target)
    return target


def _extract(archive: pathlib.Path, target: pathlib.Path) -> None:
    """Unpack a zip into the folder ``target``, which is there in whole or not at all. The caller holds the lock."""
    partial = target.with_name(f"{target.name}.part")
    shutil.rmtree(partial, ignore_errors=True)         # of a process that was killed
    try:
        with _opened(archive) as file:
            members = _checked(file, archive)
            partial.mkdir()
            _check_room(members, archive, partial)
            for member in members:
                _extract_member(file, member, archive, partial)
        os.rename(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _opened(archive: pathlib.Path) -> zipfile.ZipFile:
    """Open a zip; raise ValueError if it is none."""
    try:
        return zipfile.ZipFile(archive)
    except OSError:
        raise
    except Exception as error:                         # a damaged directory makes zipfile raise whatever it stumbles on
        raise ValueError(f"{str(archive)!r} cannot be unpacked ({first_line(error)}): was it uploaded or downloaded in "
                         "full?") from error


def _checked(file: zipfile.ZipFile, archive: pathlib.Path) -> list[zipfile.ZipInfo]:
    """The members to unpack; raise ValueError if the zip is not to be trusted, FileNotFoundError without pictures."""
    count = len(file.infolist())
    if count > MAX_MEMBERS:
        raise ValueError(f"{str(archive)!r} has {count:,} members, more than the limit of {MAX_MEMBERS:,}")
    members = [member for member in file.infolist() if _is_wanted(member)]
    for member in members:
        parts = _parts(member)
        if ".." in parts or parts[0] == "" or ":" in parts[0]:
            raise ValueError(f"{str(archive)!r} is not to be trusted: its member {member.filename!r} would be written "
                             "elsewhere")
    if len({member.filename for member in members}) < len(members):
        raise ValueError(f"{str(archive)!r} holds two files of one name: unpack it by hand, and give the folder")
    if not any(_suffix(member) in SUFFIXES for member in members):
        nested = sum(_suffix(member) == ".zip" for member in file.infolist())
        hint = f", but {nested} zips: unpack it by hand, and give the folder" if nested else ""
        raise FileNotFoundError(f"no pictures in {str(archive)!r}{hint}")
    size, limit = sum(member.file_size for member in members), max(FREE_BYTES, MAX_RATIO * archive.stat().st_size)
    if size > limit:
        raise ValueError(f"{str(archive)!r} would unpack to {size / 1e9:.2f} GB, more than the limit of "
                         f"{limit / 1e9:.2f} GB for a zip of its size: if you trust it, unpack it by hand, and give "
                         "the folder")
    return members


def _is_wanted(member: zipfile.ZipInfo) -> bool:
    """Whether a member is a picture or a list, neither a link nor hidden."""
    if _suffix(member) not in SUFFIXES | LISTS or stat.S_ISLNK(member.external_attr >> 16):
        return False
    return not any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in _parts(member))


def _parts(member: zipfile.ZipInfo) -> list[str]:
    """The folders and the name in a member's path; some programs write it with backslashes."""
    return member.filename.replace("\\", "/").split("/")


def _suffix(member: zipfile.ZipInfo) -> str:
    """The suffix of a member's name in lower case, with its dot."""
    return os.path.splitext(member.filename)[1].lower()


def _check_room(members: list[zipfile.ZipInfo], archive: pathlib.Path, folder: pathlib.Path) -> None:
    """Raise OSError if the members do not fit on the disk."""
    size, free = sum(member.file_size for member in members), shutil.disk_usage(folder).free
    if size > free:
        raise OSError(errno.ENOSPC, f"no room to unpack {str(archive)!r}: {size / 1e9:.2f} GB into "
                      f"{str(folder.parent)!r}, where {free / 1e9:.2f} GB are free; set BVAE_CACHE to a folder with "
                      "room")


def _extract_member(file: zipfile.ZipFile, member: zipfile.ZipInfo, archive: pathlib.Path,
                    folder: pathlib.Path) -> None:
    """Unpack one member; raise OSError if the disk is full, ValueError for anything wrong with the member."""
    try:
        file.extract(member, folder)
    except Exception as error:                         # of zipfile, of each compression, of the file system
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(errno.ENOSPC, f"the disk is full: {str(archive)!r} does not fit into {str(folder.parent)!r}; "
                          "set BVAE_CACHE to a folder with room") from error
        raise ValueError(f"{str(archive)!r} cannot be unpacked: its member {member.filename!r} is damaged or cannot be "
                         f"written ({first_line(error)}). Was the zip uploaded or downloaded in full?") from error
