#!/usr/bin/env python3
"""Writes an image as `docker save` does, without Docker: archive.py NAME:TAG ARCHIVE CONFIG LAYER...

CONFIG is the image's configuration as JSON (User, Env, Entrypoint, Cmd, Labels, ...). A LAYER is a tar file, taken as
it is, or a folder, whose files all become root's. The same input gives the same bytes: times are SOURCE_DATE_EPOCH,
which is 0 unless set. Every container runtime reads such archives: docker load, ctr images import, kind load.
"""

import datetime
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))


def architecture():
    """What OCI calls this machine's architecture; dpkg uses the same words for all but one."""
    name = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()
    return {"armhf": "arm"}.get(name, name)


def clean(entry):
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = EPOCH
    return entry


def add_folder(archive, folder, name=""):
    for item in sorted(os.scandir(folder), key=lambda each: each.name):
        path = os.path.join(name, item.name)
        archive.add(item.path, path, recursive=False, filter=clean)
        if item.is_dir(follow_symlinks=False):
            add_folder(archive, item.path, path)


def layer_file(source):
    """The layer as an open tar file, and its digest."""
    if os.path.isdir(source):
        file = tempfile.TemporaryFile()
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            add_folder(archive, source)
    else:
        file = open(source, "rb")
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256") if hasattr(hashlib, "file_digest") else hashlib.sha256(file.read())
    file.seek(0)
    return file, digest.hexdigest()


def add_bytes(archive, name, data):
    entry = clean(tarfile.TarInfo(name))
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def main():
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    name, target, config, *sources = sys.argv[1:]
    layers = [layer_file(source) for source in sources]
    created = datetime.datetime.fromtimestamp(EPOCH, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    image = json.dumps({
        "architecture": architecture(),
        "os": "linux",
        "created": created,
        "config": json.loads(config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for _, digest in layers]},
        "history": [{"created": created, "comment": "ci/images"} for _ in layers],
    }).encode()
    image_file = hashlib.sha256(image).hexdigest() + ".json"
    layer_names = [f"{digest}/layer.tar" for _, digest in layers]
    manifest = json.dumps([{"Config": image_file, "RepoTags": [name], "Layers": layer_names}]).encode()

    with tempfile.NamedTemporaryFile(dir=os.path.dirname(os.path.abspath(target)), delete=False) as unfinished:
        with tarfile.open(fileobj=unfinished, mode="w", format=tarfile.PAX_FORMAT) as archive:
            add_bytes(archive, image_file, image)
            for (file, _), layer_name in zip(layers, layer_names):
                entry = clean(tarfile.TarInfo(layer_name))
                entry.size = os.fstat(file.fileno()).st_size
                archive.addfile(entry, file)
            add_bytes(archive, "manifest.json", manifest)
    os.chmod(unfinished.name, 0o644)
    shutil.move(unfinished.name, target)


main()
