#include "schema/problem_relay.h"

#include <stdio.h>

void problem_relay_report(void *arg, const struct schema_problem *problem)
{
    struct problem_relay *relay = arg;
    char pointer[320];
    (void)snprintf(pointer, sizeof pointer, "%s%s", relay->prefix, problem->pointer);
    if (relay->problems++ == 0)
        (void)error_set(relay->err, problem->code, "%s%s%s", pointer, pointer[0] == 0 ? "" : ": ",
                        problem->message);
    if (relay->report != NULL)
        relay->report(relay->arg, &(struct schema_problem){.code = problem->code,
                                                           .pointer = pointer,
                                                           .message = problem->message});
}

bool problem_relay_field(struct problem_relay *relay, const char *field, int code,
                         const char *message)
{
    char pointer[128];
    (void)snprintf(pointer, sizeof pointer, "%s%s", field[0] == 0 ? "" : "/", field);
    problem_relay_report(relay, &(struct schema_problem){code, pointer, message});
    return false;
}
