#include "main/own_upstream.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* NULL if the text is no numeric address. */
static struct addrinfo *read_numeric(const char *host)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *address = NULL;
    return getaddrinfo(host, NULL, &hints, &address) == 0 ? address : NULL;
}

static bool is_wildcard(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static bool is_same(const struct addrinfo *a, const struct addrinfo *b)
{
    if (a->ai_family != b->ai_family)
        return false;
    if (a->ai_family == AF_INET6)
        return memcmp(&((const struct sockaddr_in6 *)a->ai_addr)->sin6_addr,
                      &((const struct sockaddr_in6 *)b->ai_addr)->sin6_addr,
                      sizeof(struct in6_addr)) == 0;
    return ((const struct sockaddr_in *)a->ai_addr)->sin_addr.s_addr ==
           ((const struct sockaddr_in *)b->ai_addr)->sin_addr.s_addr;
}

/* True if the address belongs to this machine: a socket can have it. */
static bool is_local(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool local = fd >= 0 && bind(fd, address->ai_addr, address->ai_addrlen) == 0;
    if (fd >= 0)
        close(fd);
    return local;
}

static bool numeric_is_ours(const char *listen, const char *host)
{
    struct addrinfo *theirs = read_numeric(host);
    struct addrinfo *ours =
        read_numeric(strcasecmp(listen, "localhost") == 0 ? "127.0.0.1" : listen);
    bool found = theirs != NULL && ((ours != NULL && is_same(theirs, ours)) ||
                                    (is_wildcard(listen) && is_local(theirs)));
    if (theirs != NULL)
        freeaddrinfo(theirs);
    if (ours != NULL)
        freeaddrinfo(ours);
    return found;
}

static bool host_is_ours(const char *listen, const char *host)
{
    char name[256] = "";
    if (strcasecmp(listen, host) == 0)
        return true;
    if (strcasecmp(host, "localhost") == 0)
        return numeric_is_ours(listen, "127.0.0.1") || numeric_is_ours(listen, "::1");
    if (gethostname(name, sizeof name - 1) == 0 && strcasecmp(host, name) == 0)
        return is_wildcard(listen);
    return numeric_is_ours(listen, host);
}

struct own_upstream {
    const struct config *config;
    char found[300]; /* "": none */
};

static void look(void *arg, const char *host, uint16_t port)
{
    struct own_upstream *own = arg;
    const struct config_address *listen = &own->config->listen;
    char path[300];
    config_unix_socket_path(own->config, listen->port, path, sizeof path);
    if (own->found[0] != 0 || listen->port == 0)
        return;
    if (host[0] == '/') {
        if (path[0] != 0 && strcmp(path, host) == 0)
            (void)snprintf(own->found, sizeof own->found, "%s", host);
    } else if (port == listen->port && host_is_ours(listen->host, host)) {
        (void)snprintf(own->found, sizeof own->found, "%.250s:%u", host, port);
    }
}

bool own_upstream_check(const struct config *config, const struct uri *uri, struct error *err)
{
    struct own_upstream own = {.config = config};
    char reason[512];
    uri_each_host(uri, look, &own);
    if (own.found[0] == 0)
        return true;
    (void)snprintf(reason, sizeof reason,
                   "%s is the proxy's own address (option listen); name the database's address, or "
                   "let the proxy listen on another port",
                   own.found);
    return config_refuse(config, "upstream", reason, err);
}
