#include "limits.h"

static uint16_t registers[REGISTERS];
static const uint16_t defaults[4] = {100, 250, 1000, 5000};

static uint16_t word(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static int read_registers(const uint8_t *request, uint8_t *reply)
{
    uint32_t from = word(request + 2);
    uint32_t count = word(request + 4);
    for (uint32_t i = 0; i < count; i++) {
        reply[3 + 2 * i] = (uint8_t)(registers[from + i] >> 8);
        reply[4 + 2 * i] = (uint8_t)registers[from + i];
    }
    return (int)(3 + 2 * count);
}

__attribute__((noinline)) static int write_register(const uint8_t *request)
{
    uint32_t at = word(request + 2);
    if (at >= REGISTERS)
        return -2;
    registers[at] = word(request + 4);
    return 6;
}

int modbus(const uint8_t *request, uint32_t length, uint8_t *reply)
{
    if (length < 8 || crc(request, length - 1) != request[length - 1]) {
        log_line("bad frame");
        return -1;
    }
    switch (request[1]) {
    case 3:
        return read_registers(request, reply);
    case 6:
        return write_register(request);
    case 8:
        registers[0] = defaults[request[2] & 3];
        return 0;
    case 17:
        reply[0] = (uint8_t)sample(1);
        return 1;
    default:
        log_line("unknown function");
        return -3;
    }
}
