/* What the firmware sees of its board. */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>

/* The next byte of the line. */
unsigned char board_receive(void);
/* Sends text. */
void board_send(const char *text);

#endif
