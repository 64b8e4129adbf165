#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

# install_packages.sh LIST…: installs those packages of the given lists that are not there yet.

set -eu

missing=
for package in $(cat "$@" | sed 's/#.*//'); do
  # A tool that is there in another way (a newer node, a rustup toolchain) will do.
  case $package in
    nodejs) command -v node >/dev/null 2>&1 && continue ;;
    npm | rustc) command -v "$package" >/dev/null 2>&1 && continue ;;
  esac
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' && continue
  missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "These packages are missing:$missing" >&2
  echo "Install them (apt-get install$missing), or run this as root." >&2
  exit 1
fi
command -v apt-get >/dev/null 2>&1 || {
  echo "These packages are missing, and there is no apt-get to install them with:$missing" >&2
  exit 1
}
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >&2
