#ifndef LIMITS_H
#define LIMITS_H
#include <stdint.h>

#define REGISTERS 32
#define BAUD 115200u

uint8_t crc(const uint8_t *data, uint32_t length);
int modbus(const uint8_t *request, uint32_t length, uint8_t *reply);
void log_line(const char *text);
int sample(int channel);
int sample_slow(int channel);

static inline uint32_t clamp(uint32_t value, uint32_t most)
{
    if (value > most)
        return most;
    return value;
}
#endif
