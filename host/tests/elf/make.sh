#!/bin/sh
# Makes the ELF files here from src/ and changes/: base, one for each change, and `moved`, where only places differ.
# They are committed, so that tests need no cross compiler. Made with Debian 12's gcc-arm-none-eabi (12.2.1),
# gcc-riscv64-unknown-elf (12.2.0):
#   apt-get install gcc-arm-none-eabi gcc-riscv64-unknown-elf git && host/tests/elf/make.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# compiler, options, linker script, extra linker options, output
build() {
    compiler=$1 options=$2 script=$3 output=$4
    shift 4
    # shellcheck disable=SC2086
    "$compiler" $options -Os -g -ffreestanding -fno-inline-functions-called-once -ffunction-sections -fdata-sections \
        "-ffile-prefix-map=$work=/fw" -nostdlib -Wl,--gc-sections "-T$here/$script" "$@" src/modbus.c src/main.c \
        -o "$here/$output" -lgcc
}

both() {
    build arm-none-eabi-gcc "-mcpu=cortex-m3 -mthumb" arm.ld "arm-$1.elf" -Wl,-q $2
    build riscv64-unknown-elf-gcc "-march=rv32imac_zicsr -mabi=ilp32" riscv.ld "riscv-$1.elf" -Wl,-q $2
}

for change in base moved "$here"/changes/*.diff; do
    name=$(basename "$change" .diff)
    rm -rf "$work/src" && cp -r "$here/src" "$work/src"
    cd "$work"
    extra=
    case $name in
    base) ;;
    # Code before everything else: all that follows lies elsewhere.
    moved) printf '__attribute__((section(".text.0"), used)) void pad(void) { __asm__ volatile(".fill 1022, 1, 0"); }\n' \
        >src/pad.c && extra=src/pad.c ;;
    *) git apply -p1 --unidiff-zero "$change" ;;
    esac
    both "$name" "$extra"
done

# Two with a dependency that cargo unpacked, one release after the other.
for name in base fix; do
    release=modbus-1.0.0
    [ "$name" = base ] || release=modbus-1.0.1
    rm -rf "$work/src" "$work/dep" && cp -r "$here/src" "$work/src" && mkdir "$work/dep" && cp -r "$here/src" "$work/dep/src"
    cd "$work/dep"
    [ "$name" = base ] || git apply -p1 --unidiff-zero "$here/changes/fix.diff"
    cd "$work"
    arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -Os -g -ffreestanding -fno-inline-functions-called-once -ffunction-sections \
        -fdata-sections "-ffile-prefix-map=$work=/fw" \
        "-ffile-prefix-map=$work/dep=/home/dev/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/$release" -nostdlib -Wl,--gc-sections -Wl,-q "-T$here/arm.ld" "$work/dep/src/modbus.c" src/main.c \
        -o "$here/arm-dependency-$name.elf" -lgcc
done

# Two with texts that end with each other.
cd "$here"
for name in tails tails-more; do
    define=
    [ "$name" = tails ] || define=-DMORE
    # shellcheck disable=SC2086
    arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -Os -g -ffreestanding -fno-inline -ffunction-sections \
        "-ffile-prefix-map=$here=/fw" -nostdlib -Wl,-q -Wl,-e,reset -Tarm.ld $define src/tails.c -o "arm-$name.elf"
done

# Two with code that is left out, in a flash that begins at 0.
sed 's/ORIGIN = 0x00020000/ORIGIN = 0/' arm.ld >"$work/zero.ld"
for name in dead dead-fix; do
    define=
    [ "$name" = dead ] || define=-DFIX
    # shellcheck disable=SC2086
    arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -Os -g -ffreestanding -fno-inline -ffunction-sections \
        "-ffile-prefix-map=$here=/fw" -nostdlib -Wl,-q -Wl,-e,reset -Wl,--gc-sections "-T$work/zero.ld" $define src/dead.c \
        -o "arm-$name.elf"
done

# The same in one section that begins at 0.
sed -e '/\.vectors :/d' -e 's/KEEP(\*(\.text\.0))/KEEP(*(.vectors))/' "$work/zero.ld" >"$work/one.ld"
for name in one one-fix; do
    define=
    [ "$name" = one ] || define=-DFIX
    # shellcheck disable=SC2086
    arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -Os -g -ffreestanding -fno-inline -ffunction-sections \
        "-ffile-prefix-map=$here=/fw" -nostdlib -Wl,-q -Wl,-e,reset -Wl,--gc-sections "-T$work/one.ld" $define src/dead.c \
        -o "arm-$name.elf"
done

# What has no new symbol (src/odd.c): base, and one thing each.
odd() {
    output=$1 flag=$2 feature=$3
    shift 3
    arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -Os -g -ffreestanding -fno-inline -ffunction-sections \
        "-ffile-prefix-map=$here=/fw" -nostdlib -Wl,-q -Wl,-e,reset "-Wl,--defsym=FEATURE=$feature" -Tarm.ld \
        "-DFLAG=\"$flag\"" "$@" src/odd.c -o "arm-odd$output.elf"
}
odd "" 0 0
odd -symbol 0 1
odd -word 0xffffffff 0
odd -handler 0 0 -DHANDLER
odd -nameless 0 0 -DNAMELESS
odd -veneer 0 0 -DVENEER
