/* Certificates for the tests, made anew in a temporary folder at each run. */
#ifndef TESTS_UNIT_NET_CERTIFICATES_H
#define TESTS_UNIT_NET_CERTIFICATES_H

#define CERTIFICATES_PATH_BYTES 256
#define CERTIFICATES_PASSWORD   "open sesame"

struct certificates {
    char folder[64];
    char ca[CERTIFICATES_PATH_BYTES];
    char other_ca[CERTIFICATES_PATH_BYTES]; /* signed none of those below */
    char server[CERTIFICATES_PATH_BYTES];   /* certificate and key; localhost, 127.0.0.1 */
    char server_certificate[CERTIFICATES_PATH_BYTES];
    char server_key[CERTIFICATES_PATH_BYTES];
    char encrypted[CERTIFICATES_PATH_BYTES];     /* as server, the key under the password */
    char expired[CERTIFICATES_PATH_BYTES];       /* as server, ended yesterday */
    char client[CERTIFICATES_PATH_BYTES];        /* CN=app,OU=tests,O=mongosluice */
    char stranger[CERTIFICATES_PATH_BYTES];      /* a client certificate of the other CA */
    char crl[CERTIFICATES_PATH_BYTES];           /* revokes nothing */
    char crl_of_server[CERTIFICATES_PATH_BYTES]; /* revokes `server` */
    char text[CERTIFICATES_PATH_BYTES];          /* no PEM at all */
};

/* Ends the test on failure. */
void certificates_make(struct certificates *made);
void certificates_remove(const struct certificates *made);

#endif
