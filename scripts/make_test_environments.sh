#!/usr/bin/env bash
# Makes the virtual environment that one half of the tests runs in.
# usage: make_test_environments.sh dev|qgis SYSTEM_PYTHON FOLDER    (dev needs HEADLAND_ENGINE)
set -euo pipefail

kind=$1 python=$2 folder=$3
requirements=$(dirname "$0")/requirements-$kind.txt
# Both would let packages from elsewhere in.
unset PYTHONPATH PYTHONHOME

pip_install() {
    "$folder/bin/python" -m pip --disable-pip-version-check --no-input install --quiet "$@"
}

case $kind in
dev)
    "$python" -m venv --clear "$folder"
    # torch is large: its environment is looked into instead of being built twice.
    site_packages='import sysconfig; print(sysconfig.get_path("purelib"))'
    "$HEADLAND_ENGINE/bin/python" -c "$site_packages" >"$("$folder/bin/python" -c "$site_packages")/engine.pth"
    pip_install --requirement "$requirements"
    "$folder/bin/python" -c 'import hypothesis, onnx, onnxruntime, pytest, torch'
    ;;
qgis)
    "$python" -m venv --clear --system-site-packages "$folder"
    numpy_version=$("$python" -c 'import numpy; print(numpy.__version__)')
    pip_install --requirement "$requirements" --constraint <(echo "numpy==$numpy_version")
    # GDAL and QGIS are built against the system's numpy; a newer one in front of it breaks them.
    "$folder/bin/python" -c 'import osgeo.gdal_array, pytest_qgis, qgis.core'
    ;;
*)
    echo "unknown environment: $kind" >&2
    exit 2
    ;;
esac
