/* The certificates that the proxy sends: their validity, and changes of their files. */
#ifndef SLUICE_MAIN_CERTIFICATES_H
#define SLUICE_MAIN_CERTIFICATES_H

#include <sys/stat.h>

#include "admin/admin.h"
#include "session/session_settings.h"
#include "upstream/uri.h"

/* Lists the certificates of the settings; leaves `problem` as it is. `admin` may be NULL. */
void certificates_list(const struct session_settings *settings, const struct admin_settings *admin,
                       const struct uri *uri, struct admin_certificates *out);

/* Reports each certificate that is not valid yet, has expired or expires soon: in less than 14 days
 * and a fifth of its lifetime. `now_s`: since 1970. */
void certificates_each_warning(const struct admin_certificates *certificates, int64_t now_s,
                               void (*report)(void *arg, const struct admin_certificate *one,
                                              const char *warning),
                               void *arg);

/* A number that differs when other certificates have a warning, or another one. */
unsigned certificates_count_warnings(const struct admin_certificates *certificates, int64_t now_s);

/* Notices changes of the files. One thread. */
enum { CERTIFICATE_FILES_MAX = 9 };
struct certificate_watch {
    size_t count;
    struct {
        char path[512];
        struct stat seen;
        bool exists;
    } files[CERTIFICATE_FILES_MAX];
    int64_t again_ms; /* when to read the files once more; 0: no more */
    bool reported;    /* the failure since the last change */
    bool applied;     /* the files, since the last change */
};

/* Notes the present state of all files of TLS and of the admin token. */
void certificate_watch_begin(struct certificate_watch *watch, const struct config *config,
                             const struct uri *uri);
/* True if the files should be read: they changed, or the last change was just before, when the
 * other file of a pair may have been the old one. */
bool certificate_watch_is_due(struct certificate_watch *watch, int64_t now_ms);
/* The files were read and are used now. True for the first time after a change. */
bool certificate_watch_note_applied(struct certificate_watch *watch);
/* True if a failure to read them should be reported now: the files have been at rest for a while.
 */
bool certificate_watch_should_report(struct certificate_watch *watch);

#endif
