#!/bin/sh
# Run by mmdebstrap with the new root as $1: MLflow and its drivers, for the image's Python, as pip would lay them.
set -eu
root=$1
here=$(dirname "$0")
version=$(chroot "$root" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
site=$root/usr/local/lib/python$version/dist-packages

uv pip install --quiet --require-hashes --no-deps --link-mode=copy --python-version "$version" \
  --python-platform x86_64-manylinux_2_36 --target "$site" --requirement "$here/requirements.txt"
sed -i '1s,^#!.*,#!/usr/bin/python3,' "$site"/bin/*
mv "$site"/bin/* "$root/usr/local/bin/"
rm -rf "$site/bin" "$site"/pyarrow/include "$site"/pyarrow/src
find "$site" -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -rf {} +
ln -s /usr/bin/python3 "$root/usr/local/bin/python"
ln -s /usr/bin/python3 "$root/usr/local/bin/python3"
# The root file system is read-only where this runs: what is not compiled here is compiled at every start, and so is what
# is compared by time, since every file of an image has the time 0.
chroot "$root" python3 -m compileall -q -f -j 0 --invalidation-mode unchecked-hash \
  "/usr/local/lib/python$version/dist-packages" "/usr/lib/python$version"
rm -rf "$root"/usr/share/doc "$root"/var/cache/apt/archives
