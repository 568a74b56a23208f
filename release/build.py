"""Build the files of a release into dist/: python -m release.build (`make dist` runs it).

Wheel, source distribution, collection, chart and bill of materials have one version, and the same commit always gives
the same bytes. The collection and the chart are built from the unpacked source distribution, so nothing gets into them
that is not released as source. ansible-galaxy and helm write the time of the build, and the former lists files in the
order of the disk, so their archives are packed again. Without git, set SOURCE_DATE_EPOCH.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from release.changelog import changelog

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
COLLECTION = "collections/ansible_collections/nebari/mlflow"
CHART = f"{COLLECTION}/roles/server/files/mlflow"
UV = [sys.executable, "-m", "uv"]
Files = dict[str, tuple[int, bytes | None]]
"""Mode and content by name; a directory has no content."""


def epoch() -> int:
    """Return the time that all archives carry: SOURCE_DATE_EPOCH, or the time of the last commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if not given:
        log = ["git", "log", "-1", "--format=%ct"]
        given = subprocess.run(log, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return int(given)


def packed(archive: Path) -> Files:
    """Return mode and content of each file of an archive, and of each directory."""
    found: Files = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member)
            mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            found[member.name] = (mode, content.read() if content else None)
    return found


def pack(archive: Path, files: Files, time: int) -> None:
    """Write an archive whose bytes follow from the files and the time alone."""
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=time) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, (mode, content) in files.items():
            member = tarfile.TarInfo(name)
            member.mode, member.size, member.mtime = mode, len(content or b""), time
            member.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            tar.addfile(member, io.BytesIO(content or b""))


def in_order(files: Files) -> Files:
    """Sort a collection's files, also in its FILES.json, whose checksum MANIFEST.json holds."""
    listed = json.loads(files["FILES.json"][1] or b"")
    listed["files"].sort(key=lambda file: file["name"])
    text = json.dumps(listed, indent=1).encode()
    manifest = json.loads(files["MANIFEST.json"][1] or b"")
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(text).hexdigest()
    first: Files = {"MANIFEST.json": (0o644, json.dumps(manifest, indent=1).encode()), "FILES.json": (0o644, text)}
    return first | {name: file for name, file in sorted(files.items()) if name not in first}


def images(chart: dict[str, Any]) -> list[dict[str, str]]:
    """Return the chart's images as components of a bill of materials."""
    found = []
    for image in yaml.safe_load(chart["annotations"]["artifacthub.io/images"]):
        repository, _, tag = image["image"].rpartition(":")
        purl = f"pkg:oci/{repository.rpartition('/')[2]}?repository_url={repository}&tag={tag}"
        found.append({"type": "container", "bom-ref": purl, "name": repository, "version": tag, "purl": purl})
    return found


def bill_of_materials(wheel: Path, source: Path, work: Path) -> str:
    """List what the wheel brings, as installed with the versions that are tested, and the chart's images."""
    python = work / "venv/bin/python"
    subprocess.run([*UV, "venv", "--quiet", "--python", sys.executable, str(python.parents[1])], check=True)
    tested = ["--constraint", str(source / "requirements/test.txt")]
    subprocess.run([*UV, "pip", "install", "--quiet", "--python", str(python), *tested, str(wheel)], check=True)
    listing = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--spec-version", "1.6"]
    listing += ["--pyproject", str(source / "pyproject.toml"), "--mc-type", "application", str(python)]
    bill = json.loads(subprocess.run(listing, check=True, capture_output=True, text=True).stdout)
    containers = images(yaml.safe_load((source / CHART / "Chart.yaml").read_text()))
    bill["components"] += containers
    bill["dependencies"] += [{"ref": each["bom-ref"]} for each in containers]
    return json.dumps(bill, indent=2) + "\n"


def write_changelog(source: Path, time: int) -> None:
    """Write the changelog that Ansible's tools read into the collection."""
    version = yaml.safe_load((source / COLLECTION / "galaxy.yml").read_text())["version"]
    day = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")
    folder = source / COLLECTION / "changelogs"
    folder.mkdir()
    found = changelog((source / "CHANGELOG.md").read_text(), version, day)
    (folder / "changelog.yaml").write_text(yaml.safe_dump(found, width=120, sort_keys=False))


def build(work: Path) -> None:
    """Build everything."""
    time = epoch()
    os.environ["SOURCE_DATE_EPOCH"] = str(time)  # for hatchling
    shutil.rmtree(DIST, ignore_errors=True)
    lock = ["--build-constraints", str(ROOT / "requirements/build.txt")]
    subprocess.run([*UV, "build", "--quiet", *lock, "--out-dir", str(DIST), str(ROOT)], check=True)
    (DIST / ".gitignore").unlink(missing_ok=True)
    (sdist,) = DIST.glob("*.tar.gz")
    with tarfile.open(sdist) as tar:
        tar.extractall(work, filter="data")
    source = work / sdist.name.removesuffix(".tar.gz")
    for folder in (COLLECTION, CHART):
        shutil.copy(source / "LICENSE", source / folder)
    shutil.copy(source / "CHANGELOG.md", source / COLLECTION)
    write_changelog(source, time)
    galaxy = ["ansible-galaxy", "collection", "build", "--output-path", str(work), str(source / COLLECTION)]
    subprocess.run(galaxy, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(
        ["helm", "package", "--destination", str(work), str(source / CHART)], check=True, stdout=subprocess.DEVNULL
    )
    (collection,) = work.glob("nebari-mlflow-*.tar.gz")
    (chart,) = work.glob("mlflow-*.tgz")
    pack(DIST / collection.name, in_order(packed(collection)), time)
    pack(DIST / chart.name, dict(sorted(packed(chart).items())), time)
    (wheel,) = DIST.glob("*.whl")
    bill = bill_of_materials(wheel, source, work)
    (DIST / f"{sdist.name.removesuffix('.tar.gz')}.cdx.json").write_text(bill)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as work:
        build(Path(work))
    for file in sorted(DIST.iterdir()):
        print(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(ROOT)}")
