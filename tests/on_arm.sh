#!/usr/bin/env bash
# The kernels for CPUs on 64-bit ARM, on an x86 machine: their tests under QEMU, in an ARM Python with an ARM PyTorch.
# Needs Debian or Ubuntu, root, and `make venv`; a few minutes, and 1 GB in FOLDER.
#
#     tests/on_arm.sh FOLDER [pytest's arguments]
#
# It says whether they are right, not how fast they are. Programs that begin others hang in QEMU now and then: kill it,
# and say it again.
set -euo pipefail
[ $# -gt 0 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 2; }
folder=$(realpath -m "$1"); shift
cd "$(dirname "$0")/.."
here=.venv/bin/python root=$folder/root site=$folder/site

if [ ! -e "$folder/.done" ]; then
    mkdir -p "$folder"/{lists/partial,archives/partial,bin,wheels} "$root" "$site"
    apt-get update -qq && apt-get install -yqq --no-install-recommends qemu-user-static g++-aarch64-linux-gnu
    ln -sf "$(command -v aarch64-linux-gnu-g++)" "$folder/bin/g++"

    : > "$folder/status"  # nothing is installed there yet
    apt=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::Lists="$folder/lists"
         -o Dir::State::status="$folder/status" -o Dir::Cache::archives="$folder/archives")
    "${apt[@]}" update
    "${apt[@]}" install -y --download-only --no-install-recommends python3 libgomp1 libstdc++6
    for package in "$folder"/archives/*.deb; do dpkg -x "$package" "$root"; done

    python=$(basename "$(realpath "$root/usr/bin/python3")")
    needed=(torch==2.9.1  # later ones on PyPI want CUDA; pip would ask what this machine needs, hence all by name
            filelock fsspec jinja2 markupsafe mpmath networkx numpy safetensors sympy typing-extensions
            opencv-python-headless pillow pytest iniconfig packaging pluggy pygments hypothesis sortedcontainers)
    $here -m pip download -q --no-deps --only-binary=:all: --python-version "${python#python}" --implementation cp \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux_2_17_aarch64 \
        --platform manylinux2014_aarch64 -d "$folder/wheels" "${needed[@]}"
    for wheel in "$folder"/wheels/*.whl; do $here -m zipfile -e "$wheel" "$site"; done
    touch "$folder/.done"
fi

[ $# -gt 0 ] || set -- tests/model/test_*cpu_kernels.py tests/model/test_{hiera_block,patch_embedding}.py \
    tests/model/test_network.py::test_a_step_is_what_pytorchs_operations_compute
export PATH="$folder/bin:$PATH" PYTHONHOME="$root/usr" PYTHONPATH="$PWD:$PWD/tests:$site" XDG_CACHE_HOME="$folder/cache"
export PYTHONDONTWRITEBYTECODE=1 QEMU_LD_PREFIX="$root"
exec qemu-aarch64-static -cpu cortex-a76 "$root/usr/bin/python3" -m pytest -p no:cacheprovider --noconftest "$@"
