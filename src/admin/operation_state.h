/* What an operator changes while the proxy runs: reloads and certificates. In /status, /readyz and
 * the metrics. */
#ifndef SLUICE_ADMIN_OPERATION_STATE_H
#define SLUICE_ADMIN_OPERATION_STATE_H

#include "base/json.h"

struct admin;

/* An object; nothing before the first reload. */
void operation_write_reload(const struct admin *admin, const char *name, struct json *json);
/* An array; `name`_problem is the reason why changed files are not used. */
void operation_write_certificates(const struct admin *admin, struct json *json);
void operation_write_metrics(const struct admin *admin, struct text *out);

#endif
