#!/bin/sh
# fetch.sh VERSION SHA256 FOLDER TARGET: has Maven bring Keycloak's distribution, and refuses any other than the known one.
set -eu
version=$1 sha256=$2 folder=$3 target=$4
found=$folder/keycloak-quarkus-dist-$version.tar.gz
mvn --batch-mode --no-transfer-progress --quiet "-Dmaven.repo.local=$folder/repository" \
  org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
  "-Dartifact=org.keycloak:keycloak-quarkus-dist:$version:tar.gz" "-DoutputDirectory=$folder"
echo "$sha256  $found" | sha256sum --check --strict --quiet
mv "$found" "$target"
