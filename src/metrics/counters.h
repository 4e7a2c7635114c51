/* Counters of a worker. Only its thread writes them; every thread may read them. One list names
 * them all. */
#ifndef SLUICE_METRICS_COUNTERS_H
#define SLUICE_METRICS_COUNTERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* X(identifier, displayed name). "…Now" are gauges. src/admin/metrics_page.c tells the meaning of
 * each.
 */
#define COUNTERS_LIST(X)                                                                           \
    X(CLIENTS_ACCEPTED, "clientsAccepted")                                                         \
    X(CLIENTS_REFUSED, "clientsRefused")                                                           \
    X(CLIENTS_NOW, "clientsNow")                                                                   \
    X(UPSTREAM_CONNECTS, "upstreamConnects")                                                       \
    X(UPSTREAM_CONNECT_FAILURES, "upstreamConnectFailures")                                        \
    X(UPSTREAM_NOW, "upstreamNow")                                                                 \
    X(REQUESTS, "requests")                                                                        \
    X(UPSTREAM_REQUESTS, "upstreamRequests")                                                       \
    X(REQUESTS_REFUSED, "requestsRefused")                                                         \
    X(LIMITS_REFUSED, "limitsRefused")                                                             \
    X(REPLIES, "replies")                                                                          \
    X(REQUEST_BYTES, "requestBytes")                                                               \
    X(REPLY_BYTES, "replyBytes")                                                                   \
    X(BATCHES, "mergedBatches")                                                                    \
    X(HELLOS_REWRITTEN, "hellosRewritten")                                                         \
    X(HELLOS_ANSWERED, "hellosAnswered")                                                           \
    X(AUTHENTICATIONS, "authentications")                                                          \
    X(IDENTITY_QUESTIONS, "identityQuestions")                                                     \
    X(AUTHENTICATION_FAILURES, "authenticationFailures")                                           \
    X(VERIFIER_LOGINS, "verifierLogins")                                                           \
    X(VERIFIER_REFUSALS, "verifierRefusals")                                                       \
    X(ERRORS_PROTOCOL_CLIENT, "clientProtocolErrors")                                              \
    X(ERRORS_PROTOCOL_UPSTREAM, "upstreamProtocolErrors")                                          \
    X(ERRORS_NETWORK_CLIENT, "clientNetworkErrors")                                                \
    X(ERRORS_NETWORK_UPSTREAM, "upstreamNetworkErrors")                                            \
    X(ERRORS_MEMORY, "memoryLimitErrors")                                                          \
    X(TIMEOUTS_HANDSHAKE, "handshakeTimeouts")                                                     \
    X(TIMEOUTS_IDLE, "clientIdleTimeouts")                                                         \
    X(TIMEOUTS_REQUEST, "clientRequestTimeouts")                                                   \
    X(TIMEOUTS_CONNECT, "upstreamConnectTimeouts")                                                 \
    X(TIMEOUTS_PAUSED, "queryWaitTimeouts")                                                        \
    X(TIMEOUTS_POOL, "poolWaitTimeouts")                                                           \
    X(POOL_REFUSED, "poolRefusals")                                                                \
    X(POOL_LOGINS, "poolLogins")                                                                   \
    X(POOL_FULL, "poolLoginsClosed")                                                               \
    X(POOL_REFILLS, "poolRefills")                                                                 \
    X(POOL_EMPTY, "poolClientsClosed")                                                             \
    X(POOL_CANCELLED, "poolCancels")                                                               \
    X(CLIENTS_VANISHED, "clientsVanishedInCommand")                                                \
    X(UPSTREAM_CLOSED, "upstreamClosedByServer")

#define COUNTERS_IDENTIFIER(identifier, name) COUNTER_##identifier,
enum counter { COUNTERS_LIST(COUNTERS_IDENTIFIER) COUNTER_COUNT };
#undef COUNTERS_IDENTIFIER

struct counters {
    _Atomic uint64_t values[COUNTER_COUNT];
};

/* For the owner's thread: a single writer needs no locked instruction. */
static inline void counters_add(struct counters *counters, enum counter which, uint64_t n)
{
    uint64_t now = atomic_load_explicit(&counters->values[which], memory_order_relaxed);
    atomic_store_explicit(&counters->values[which], now + n, memory_order_relaxed);
}

const char *counters_name(enum counter which);
/* For any thread: adds all values of `from` to the plain array. */
void counters_sum(const struct counters *from, uint64_t into[COUNTER_COUNT]);

#endif
