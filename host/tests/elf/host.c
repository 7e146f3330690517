/* The fixtures' protocol code on this machine, as an adapter of `patchlane replay`: host INPUTS OUTPUTS.
   What an input names is a frame without its check, which the transport adds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What lies around the registers is known: an over-read shows the same each time. */
static volatile unsigned char before[4096];
#include "modbus.c"
static volatile unsigned char behind[4096];

uint8_t crc(const uint8_t *data, uint32_t length)
{
    uint8_t sum = 0x5a;
    while (length--)
        sum = (uint8_t)(sum << 1 ^ sum >> 7 ^ *data++);
    return sum;
}

void log_line(const char *text)
{
    (void)text;
}

int sample(int channel)
{
    return 0x40 + channel;
}

static void answer(FILE *out, unsigned number, const char *digits)
{
    uint8_t request[64] = {0}, reply[1024] = {0};
    uint32_t length = (uint32_t)strlen(digits) / 2;
    for (uint32_t i = 0; i < length && i < 63; i++) {
        char pair[3] = {digits[2 * i], digits[2 * i + 1], 0};
        request[i] = (uint8_t)strtoul(pair, 0, 16);
    }
    request[length] = crc(request, length);
    int count = modbus(request, length + 1, reply);
    if (count < 0) {
        fprintf(out, "%u text refused %d\n", number, count);
    } else {
        fprintf(out, "%u hex ", number);
        for (int i = 0; i < count; i++)
            fprintf(out, "%02x", reply[i]);
        fputc('\n', out);
    }
    fflush(out);
}

int main(int argc, char **argv)
{
    FILE *in = argc == 3 ? fopen(argv[1], "r") : 0, *out = argc == 3 ? fopen(argv[2], "w") : 0;
    if (!in || !out)
        return 2;
    memset((void *)before, 0x5e, sizeof before);
    memset((void *)behind, 0x5e, sizeof behind);
    pid_t device = fork();
    if (device == 0) {
        unsigned number;
        char digits[128];
        while (fscanf(in, "%u hex %120s", &number, digits) == 2)
            answer(out, number, digits);
        fflush(out);
        _exit(feof(in) ? 0 : 3);
    }
    int how = 0;
    if (device < 0 || waitpid(device, &how, 0) != device)
        return 4;
    if (WIFSIGNALED(how)) {
        unsigned answered = 0;
        FILE *again = fopen(argv[2], "r");
        for (int c; again && (c = fgetc(again)) != EOF;)
            answered += c == '\n';
        fseek(out, 0, SEEK_END);
        fprintf(out, "%u gone signal %d\n", answered + 1, WTERMSIG(how));
        return 0;
    }
    return WEXITSTATUS(how);
}
