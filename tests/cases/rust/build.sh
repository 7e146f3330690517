#!/bin/sh
# Builds firmware.elf for a target, from what lies in this folder: the sources, and the crates under vendor/.
# `cargo xtask cases` sets BUILD_STD where the compiler has no `core` for the target, and CARGO_TARGET_DIR to share it.
set -eu
target=$1
if [ -n "${BUILD_STD:-}" ]; then
    # `core` asks for crates of its own, which Debian ships beside it.
    for crate in /usr/lib/rustlib/src/rust/library/vendor/*; do
        ln -sfn "$crate" "vendor/std-${crate##*/}"
    done
fi
RUSTFLAGS="-C link-arg=--emit-relocs -C link-arg=-T$target.ld -C relocation-model=static --remap-path-prefix=$PWD=/fw"
export RUSTFLAGS
# shellcheck disable=SC2086
cargo build --quiet --release --locked --offline --target "$target" ${BUILD_STD:-}
cp "${CARGO_TARGET_DIR:-target}/$target/release/firmware" firmware.elf
