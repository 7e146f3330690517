#!/bin/sh
# Builds firmware.elf for a target with GCC and newlib's small variant (RISC-V: picolibc); cjson/ holds the library's sources.
set -eu
case $1 in
thumbv7m-none-eabi) prefix=arm-none-eabi options="-mcpu=cortex-m3 -mthumb --specs=nano.specs" ;;
riscv32imac-unknown-none-elf) prefix=riscv64-unknown-elf options="-march=rv32imac -mabi=ilp32 --specs=picolibc.specs" ;;
*) echo "$1 isn't known here" >&2 && exit 2 ;;
esac
# shellcheck disable=SC2086
"$prefix-gcc" $options -std=c11 -Os -g -Wall -Wextra -ffunction-sections -fdata-sections "-ffile-prefix-map=$PWD=/fw" \
    -nostartfiles -Wl,--gc-sections -Wl,-q "-T$1.ld" -Icjson src/main.c src/start.c cjson/cJSON.c cjson/cJSON_Utils.c \
    -lm -o firmware.elf
