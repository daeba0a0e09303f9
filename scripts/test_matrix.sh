#!/usr/bin/env bash
# Runs the tests that need QGIS on other releases of Debian, each in a chroot of its own that is made once and kept.
# usage: test_matrix.sh BUILD "RELEASE …" "TEST_FOLDER …"    (root; releases as Debian names them: trixie, testing)
#
# The engine is the pinned one where HEADLAND_TORCH_INDEX names an index of PyTorch's builds; without it Debian's own
# packages of torch and ONNX Runtime, used as an administrator's environment is: the processor's build of the pinned
# torch is not on the usual index.
set -euo pipefail

build=$1 releases=$2 test_folders=$3
checkout=$(realpath "$(dirname "$0")/..")
matrix=$build/matrix

give_up() {
    echo "$*" >&2
    exit 1
}

[ "$(id -u)" -eq 0 ] || give_up "The test matrix makes chroots, which needs root: run make test-matrix as root."
command -v debootstrap >/dev/null ||
    give_up "The test matrix needs debootstrap: install it (apt-get install debootstrap) and try again."

# In a namespace of its own: however this ends, no mount and no process is left.
if [ "${HEADLAND_MATRIX_NAMESPACE:-}" != "own" ]; then
    HEADLAND_MATRIX_NAMESPACE=own exec unshare --mount --propagation private --pid --fork --kill-child \
        "$0" "$build" "$releases" "$test_folders"
fi
# The first process of a namespace hears only what it has a trap for.
trap 'exit 130' INT TERM

# Where this machine's apt has Debian from.
archive=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
    sed -n 's,^Debian \(.*[^/]\)/*$,\1,p' | sort -u | head -n 1)
[ -n "$archive" ] ||
    give_up "apt on this machine knows no archive of Debian: name one in its sources, run apt-get update and try again."

# What pip is told here by variables holds in the chroot too, and so do the certificates of this machine.
declare -a told=() certificates=(/etc/ssl/certs)
while IFS='=' read -r name value; do
    told+=("$name=$value")
    [[ $value == /* && -e $value ]] && certificates+=("$value")
done < <(env | grep -E '^(PIP_[A-Z_]*|[A-Za-z]+_(proxy|PROXY)|SSL_CERT_(FILE|DIR)|HEADLAND_TORCH_INDEX)=' || true)

# usage: show HOST_PATH ROOT PATH    (to look at, not to change)
show() {
    if [ -d "$1" ]; then
        mkdir -p "$2$3"
    elif [ ! -e "$2$3" ]; then
        mkdir -p "$(dirname "$2$3")"
        touch "$2$3"
    fi
    mount --bind "$1" "$2$3"
    mount -o remount,bind,ro "$2$3"
}

make_chroot() {
    local release=$1 root=$2
    [ ! -e "$root" ] || return 0
    rm -rf "$root.partial"
    /usr/lib/apt/apt-helper download-file "$archive/dists/$release/Release" "$root.release" >"$root.log" 2>&1 ||
        give_up "The archive that apt is configured with cannot be reached, or has no release $release ($root.log)."
    echo "Making a chroot of $release, some minutes …"
    # The certificates' own package now: later this machine's lie over them, which it could not write to.
    debootstrap --variant=minbase --include=ca-certificates "$release" "$root.partial" "$archive" >"$root.log" 2>&1 ||
        give_up "No chroot of $release could be made; $root.log says why."
    # No service is started, no disk waited for, and an archive that lags behind still does.
    printf '#!/bin/sh\nexit 101\n' >"$root.partial/usr/sbin/policy-rc.d"
    chmod +x "$root.partial/usr/sbin/policy-rc.d"
    echo force-unsafe-io >"$root.partial/etc/dpkg/dpkg.cfg.d/headland"
    echo 'Acquire::Check-Valid-Until "false";' >"$root.partial/etc/apt/apt.conf.d/99headland"
    mv "$root.partial" "$root"
}

mount_chroot() {
    local root=$1
    mkdir -p "$root/headland" "$root/build" "$root.build"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    show "$checkout" "$root" /headland
    mount --bind "$root.build" "$root/build"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    for path in "${certificates[@]}"; do
        show "$path" "$root" "$path"
    done
}

# usage: inside ROOT COMMAND …    (nothing of this machine's environment but what was picked above)
inside() {
    local root=$1
    shift
    chroot "$root" env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
        OMP_WAIT_POLICY=PASSIVE "${told[@]}" "$@"
}

make_inside() {
    local root=$1
    shift
    inside "$root" make --no-print-directory --directory /headland BUILD=/build "$@"
}

# Each step by && : bash goes on after a failure where somebody asks whether the function succeeded.
set_up() {
    local root=$1
    install_packages "$root" && make_inside "$root" /build/stamps/system && take_debians_torch "$root" &&
        make_inside "$root" setup-qgis
}

install_packages() {
    local root=$1 packages=(make)
    [ ! -e "$root.build/packages" ] || return 0
    [ -n "${HEADLAND_TORCH_INDEX:-}" ] || packages+=(python3-torch python3-onnxruntime)
    inside "$root" apt-get update &&
        inside "$root" apt-get install --yes --no-install-recommends "${packages[@]}" &&
        touch "$root.build/packages"
}

take_debians_torch() {
    [ -z "${HEADLAND_TORCH_INDEX:-}" ] || return 0
    inside "$1" HEADLAND_ENGINE=/build/engine python3 /headland/engine/environment.py build --use-python /usr/bin/python3
}

versions() {
    inside "$1" QT_QPA_PLATFORM=offscreen python3 -c '
import platform, numpy, osgeo.gdal, qgis.core, qgis.PyQt.QtCore as core
print(f"QGIS {qgis.core.Qgis.QGIS_VERSION}, Qt {core.QT_VERSION_STR}, Python {platform.python_version()}, "
      f"numpy {numpy.__version__}, GDAL {osgeo.gdal.__version__}")' 2>/dev/null
}

# Writes a line for each step into REPORT; returns whether all went well.
run_release() {
    local root=$1 report=$2 step_log outcome is_good=true
    versions "$root" >"$report"
    for step in enhance $test_folders; do
        step_log=$root.$(basename "$step").log
        local target=(enhance)
        [ "$step" = enhance ] || target=(test-qgis "QGIS_TESTS=$step")
        echo "$(basename "$root"): $step …"
        if make_inside "$root" "${target[@]}" >"$step_log" 2>&1; then outcome=passed; else outcome="FAILED ($step_log)"; fi
        [ "$outcome" = passed ] || is_good=false
        echo "$step $outcome: $(grep -E '^(Enhanced |=+ .*[0-9] (passed|failed|error))' "$step_log" | tail -n 1)" >>"$report"
    done
    $is_good
}

mkdir -p "$matrix"
failed=()
for release in $releases; do
    root=$matrix/$release
    make_chroot "$release" "$root"
    mount_chroot "$root"
    echo "$release: packages and engine …"
    set_up "$root" >"$root.log" 2>&1 || give_up "$release could not be set up: $(tail -n 1 "$root.log") ($root.log)"
    run_release "$root" "$root.report" || failed+=("$release")
    sed "s/^/$release: /" "$root.report"
done
[ ${#failed[@]} -eq 0 ] || give_up "Not all is well on ${failed[*]}."
