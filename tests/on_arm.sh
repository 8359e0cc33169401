#!/usr/bin/env bash
# Run the tests of the CPU kernels for 64-bit ARM on an x86 machine: under QEMU, with Python and PyTorch for ARM.
# Needs Debian or Ubuntu, root, and `make venv`; a few minutes, and 1 GB in FOLDER.
#
#     tests/on_arm.sh FOLDER [pytest's arguments]
#
# QEMU checks results, not speed. Programs that start other processes sometimes hang in it: kill the script and run it
# again.
set -euo pipefail
[ $# -gt 0 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 2; }
folder=$(realpath -m "$1"); shift
cd "$(dirname "$0")/.."
here=.venv/bin/python root=$folder/root site=$folder/site

if [ ! -e "$folder/.done" ]; then
    mkdir -p "$folder"/{lists/partial,archives/partial,bin,wheels} "$root" "$site"
    apt-get update -qq && apt-get install -yqq --no-install-recommends qemu-user-static g++-aarch64-linux-gnu
    ln -sf "$(command -v aarch64-linux-gnu-g++)" "$folder/bin/g++"

    : > "$folder/status"  # no packages are installed there yet
    apt=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::Lists="$folder/lists"
         -o Dir::State::status="$folder/status" -o Dir::Cache::archives="$folder/archives")
    "${apt[@]}" update
    "${apt[@]}" install -y --download-only --no-install-recommends python3 libgomp1 libstdc++6
    for package in "$folder"/archives/*.deb; do dpkg -x "$package" "$root"; done

    python=$(basename "$(realpath "$root/usr/bin/python3")")
    needed=(torch==2.9.1  # later ones on PyPI need CUDA; pip would resolve for this machine, hence no deps
            filelock fsspec jinja2 markupsafe mpmath networkx numpy safetensors sympy typing-extensions
            opencv-python-headless pillow pytest iniconfig packaging pluggy pygments hypothesis sortedcontainers)
    $here -m pip download -q --no-deps --only-binary=:all: --python-version "${python#python}" --implementation cp \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux_2_17_aarch64 \
        --platform manylinux2014_aarch64 -d "$folder/wheels" "${needed[@]}"
    for wheel in "$folder"/wheels/*.whl; do $here -m zipfile -e "$wheel" "$site"; done
    touch "$folder/.done"
fi

# Without the tests of the library, which start many processes.
[ $# -gt 0 ] || set -- tests/acceleration/cpu/kernels/test_[!l]*.py tests/acceleration/cpu/test_mask_decoder.py \
    tests/acceleration/cpu/test_classes.py::test_stream_equals_the_plain_network
export PATH="$folder/bin:$PATH" PYTHONHOME="$root/usr" PYTHONPATH="$PWD:$PWD/tests:$site" XDG_CACHE_HOME="$folder/cache"
export PYTHONDONTWRITEBYTECODE=1 QEMU_LD_PREFIX="$root"
exec qemu-aarch64-static -cpu cortex-a76 "$root/usr/bin/python3" -m pytest -p no:cacheprovider --noconftest \
    -p acceleration.conftest "$@"
