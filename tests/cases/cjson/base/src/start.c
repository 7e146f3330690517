/* The first instructions, the line, and what newlib asks of a system. */
#include "board.h"

#include <stdint.h>
#include <sys/types.h>

extern uint32_t data_start[], data_end[], data_load[], bss_start[], bss_end[];
extern char heap_start[], stack_top[];

int main(void);
void reset(void);
void *_sbrk(ptrdiff_t more);
void _start(void);

static void fault(void)
{
    for (;;) {
    }
}

void reset(void)
{
    const uint32_t *from = data_load;
    for (uint32_t *to = data_start; to < data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = bss_start; to < bss_end;) {
        *to++ = 0;
    }
    main();
    fault();
}

#ifdef __riscv
__attribute__((naked, section(".text.start"), used)) void _start(void)
{
    __asm__("la sp, stack_top\n\tj reset");
}

#define UART ((volatile unsigned char *)0x10000000)

unsigned char board_receive(void)
{
    while (!(UART[5] & 1)) {
    }
    return UART[0];
}
#else
__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack_top, (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault, 0,
    0, 0, 0, (const void *)fault,
    (const void *)fault, 0, (const void *)fault, (const void *)fault,
};

#define UART ((volatile uint32_t *)0x4000c000)

unsigned char board_receive(void)
{
    while (UART[6] & 0x10) {
    }
    return (unsigned char)UART[0];
}
#endif

void board_send(const char *text)
{
    for (; *text; text++) {
        UART[0] = (unsigned char)*text;
    }
}

void *_sbrk(ptrdiff_t more)
{
    static char *end = heap_start;
    char *was = end;
    if ((uintptr_t)end + (uintptr_t)more > (uintptr_t)stack_top - 8192) {
        return (void *)-1;
    }
    end += more;
    return was;
}

/* newlib's stdio asks for these; nothing here writes to a file. */
int _write(int file, const char *bytes, int length);
int _read(int file, char *bytes, int length);
int _close(int file);
int _lseek(int file, int offset, int from);
int _fstat(int file, void *state);
int _isatty(int file);
int _write(int file, const char *bytes, int length) { (void)file, (void)bytes, (void)length; return -1; }
int _read(int file, char *bytes, int length) { (void)file, (void)bytes, (void)length; return -1; }
int _close(int file) { (void)file; return -1; }
int _lseek(int file, int offset, int from) { (void)file, (void)offset, (void)from; return -1; }
int _fstat(int file, void *state) { (void)file, (void)state; return -1; }
int _isatty(int file) { (void)file; return 0; }
int _getpid(void);
int _kill(int process, int signal);
void _exit(int code);
int _getpid(void) { return 1; }
int _kill(int process, int signal) { (void)process, (void)signal; return -1; }
void _exit(int code) { (void)code; fault(); for (;;) {} }
