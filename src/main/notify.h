/* Messages to the service manager, as sd_notify(3) describes them: a datagram to the socket of
 * $NOTIFY_SOCKET. Without this variable the functions do nothing. Main thread. */
#ifndef SLUICE_MAIN_NOTIFY_H
#define SLUICE_MAIN_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and removes them from the environment. Call
 * it once, before other threads start. */
void notify_init(void);

/* The start is complete: the proxy accepts clients. */
void notify_ready(void);
/* Around a reload. notify_reloaded ends it, whether it succeeded or not. */
void notify_reloading(void);
void notify_reloaded(void);
void notify_stopping(void);
/* One line for people (`systemctl status`); sent only if it changed. */
void notify_status(const char *status);

/* The time between two notify_alive, in milliseconds; 0: the service manager expects none. */
int64_t notify_watchdog_ms(void);
void notify_alive(void);

#endif
