#!/usr/bin/env bash
# Installs from the distribution what is missing: QGIS with its Python bindings, GDAL, Xvfb, venv. Debian and Ubuntu.
# Where HEADLAND_NO_SKIPS is 1, also what some tests look for and do without elsewhere: openssl, lrelease, authorities.
# usage: install_system.sh PYTHON    (QGIS's Python, /usr/bin/python3 on Debian)
set -euo pipefail

python=$1

packages=(qgis python3-qgis qgis-providers python3-gdal python3-numpy gdal-bin xvfb python3-venv fonts-dejavu-core)
programs=(qgis_process gdalinfo Xvfb)
files=()
if [ "${HEADLAND_NO_SKIPS:-}" = 1 ]; then
    packages+=(openssl qttools5-dev-tools ca-certificates)
    programs+=(openssl lrelease)
    files+=(/etc/ssl/certs/ca-certificates.crt)
fi

is_complete() {
    "$python" -c 'import ensurepip, venv, qgis.core, osgeo.gdal_array' 2>/dev/null || return 1
    local each
    for each in "${programs[@]}"; do
        command -v "$each" >/dev/null || return 1
    done
    for each in "${files[@]}"; do
        [ -e "$each" ] || return 1
    done
}

if is_complete; then
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    echo "This needs QGIS 3.22 or later with its Python bindings, GDAL, Xvfb and venv for $python; install them and" \
        "try again (only Debian and Ubuntu are set up automatically)." >&2
    exit 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Installing QGIS needs root: run this as root, or install sudo." >&2
        exit 1
    fi
    as_root=(sudo)
fi

echo "Installing QGIS and GDAL from the distribution ..."
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update
# --preserve-env would need a sudo rule of its own; env carries the setting across any sudo.
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${packages[@]}"

if ! is_complete; then
    echo "All was installed, but $python or the PATH still lacks something of it: is that the system's Python?" >&2
    exit 1
fi
