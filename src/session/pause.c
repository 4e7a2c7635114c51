/* Pausing: commands that run finish, transactions that are open go on to their end, and every other
 * new command waits until the proxy is resumed. Hellos and logins pass, so that drivers do not take
 * the server for lost. */
#include <utlist.h>

#include "net/clock.h"
#include "session/session_internal.h"

bool session_pause_holds(const struct session *session, const struct request *request)
{
    enum route_kind kind = request->route->kind;
    return session->worker->paused && kind != ROUTE_HELLO && kind != ROUTE_AUTHENTICATION &&
           kind != ROUTE_STATUS && (!request->in_transaction || request->starts_transaction);
}

bool session_pause_hold(struct session *session)
{
    int64_t now_ms = clock_now_ms();
    int64_t limit_ms = session_config(session)->query_wait_timeout_ms;
    if (session->hold_since_ms == 0)
        session->hold_since_ms = now_ms;
    if (limit_ms != 0 && now_ms - session->hold_since_ms >= limit_ms)
        return false;
    session->stage = REQUEST_HELD;
    return true;
}

void session_pause_check_time(struct session *session, int64_t now_ms)
{
    int64_t limit_ms = session_config(session)->query_wait_timeout_ms;
    if (limit_ms == 0 || now_ms - session->hold_since_ms < limit_ms)
        return;
    session->stage = REQUEST_AWAITED;
    session_client_resume(session);
}

void session_pause_end(struct session_worker *worker)
{
    struct session *session = NULL;
    struct session *next = NULL;
    worker->paused = false;
    DL_FOREACH_SAFE(worker->sessions, session, next)
    {
        session->hold_since_ms = 0;
        if (session->stage != REQUEST_HELD)
            continue;
        session->stage = REQUEST_AWAITED;
        session_client_resume(session);
    }
}

static void pause_job(void *context, void *arg)
{
    struct session_worker *worker = context;
    (void)arg;
    worker->paused = !worker->draining;
}

static void resume_job(void *context, void *arg)
{
    (void)arg;
    session_pause_end(context);
}

bool session_worker_pause(struct session_worker *worker)
{
    return worker_post(worker->worker, pause_job, NULL);
}

bool session_worker_resume(struct session_worker *worker)
{
    return worker_post(worker->worker, resume_job, NULL);
}
