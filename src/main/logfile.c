#include "main/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Threads may be writing to the old file: its descriptor is kept and made to mean the new one. */
static int log_fd = -1;

bool logfile_open(const struct config *config, struct error *err)
{
    const char *path = config->log.file;
    if (path[0] == 0) {
        log_configure(STDOUT_FILENO, config->log.format, config->log.level);
        return true;
    }
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return error_set(err, ERROR_BAD_VALUE, "cannot open the log file %s: %s (option log.file)",
                         path, strerror(errno));
    if (log_fd < 0) {
        log_fd = fd;
    } else {
        (void)dup3(fd, log_fd, O_CLOEXEC);
        close(fd);
    }
    log_configure(log_fd, config->log.format, config->log.level);
    return true;
}
