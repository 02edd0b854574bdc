#!/usr/bin/env bash
# Unpacks packages of a Debian release into a folder (its whole path) without installing them: `tests/tools/unpack_debian.sh trixie FOLDER PACKAGE...`.
# For versions beside the one that this machine has; nothing happens where the folder is there or apt-get is not.
set -euo pipefail
release=$1 folder=$2
shift 2
[ ! -d "$folder" ] && command -v apt-get >/dev/null && command -v dpkg >/dev/null || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/lists/partial "$work"/cache/archives/partial "$work/root"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] http://deb.debian.org/debian $release main" >"$work/sources.list"
apt=(timeout 120 apt-get -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=-
    -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
cd "$work"
"${apt[@]}" update
"${apt[@]}" download "$@"
for package in *.deb; do dpkg -x "$package" root; done
cd - >/dev/null
mv "$work/root" "$folder"
