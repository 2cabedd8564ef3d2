#!/bin/sh
# Installs the packages that building and testing need, if any is missing and it may: as root, or by sudo.
# Otherwise it says what to install, and fails.
set -eu

packages="ca-certificates g++ iproute2 libgtest-dev libjpeg-dev libjpeg-turbo-progs nginx-light openssl python3-dev python3-venv strace util-linux zlib1g-dev"

if ! command -v dpkg-query >/dev/null; then
  # Not Debian or Ubuntu: the build itself names what it does not find.
  exit 0
fi

missing=""
for package in $packages; do
  state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
  as_root=""
elif command -v sudo >/dev/null; then
  as_root=sudo
else
  echo "These packages are missing:$missing" >&2
  echo "Have an administrator run: apt-get install$missing" >&2
  exit 1
fi

echo "Installing:$missing"
$as_root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing
