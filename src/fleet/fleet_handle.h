/* The state of a connection to a registry, for the files that use libmongoc. */
#ifndef SLUICE_FLEET_HANDLE_H
#define SLUICE_FLEET_HANDLE_H

#include <mongoc/mongoc.h>

#include "fleet/fleet_document.h"

enum { FLEET_DATABASE_SIZE = 64, FLEET_COLLECTION_SIZE = 256 };

struct fleet_store {
    mongoc_client_t *client;
    mongoc_collection_t *documents;
    mongoc_collection_t *proxies;
    struct fleet_reader *reader;
    char ns[FLEET_DATABASE_SIZE + FLEET_COLLECTION_SIZE];
    char database[FLEET_DATABASE_SIZE];
    char collection[FLEET_COLLECTION_SIZE];
    /* the change stream's; NULL and 0 without one */
    mongoc_client_session_t *session;
    int64_t cursor;
    uint32_t server;
};

#endif
