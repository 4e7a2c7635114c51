#include "certificates.h"

#include <dirent.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct signer {
    X509 *certificate;
    EVP_PKEY *key;
};

static void must(int ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "certificates: %s failed\n", what);
    exit(1);
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    must(extension != NULL && X509_add_ext(certificate, extension, -1) == 1, "an extension");
    X509_EXTENSION_free(extension);
}

/* issuer NULL: self-signed, an authority. san NULL: none. */
static struct signer make(const char *name, const char *san, const struct signer *issuer,
                          long days_left)
{
    static long serial = 1;
    struct signer made = {X509_new(), EVP_EC_gen("P-256")};
    must(made.certificate != NULL && made.key != NULL, "a key");
    X509 *certificate = made.certificate;
    X509_NAME *subject = X509_get_subject_name(certificate);
    (void)X509_set_version(certificate, X509_VERSION_3);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    (void)X509_gmtime_adj(X509_getm_notBefore(certificate), -30L * 86400);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), days_left * 86400);
    (void)X509_set_pubkey(certificate, made.key);
    static const char *const fields[] = {"O", "OU", "CN"};
    const char *const values[] = {"mongosluice", "tests", name};
    for (size_t i = 0; i < 3; i++)
        (void)X509_NAME_add_entry_by_txt(subject, fields[i], MBSTRING_UTF8,
                                         (const unsigned char *)values[i], -1, -1, 0);
    X509 *signing = issuer != NULL ? issuer->certificate : certificate;
    (void)X509_set_issuer_name(certificate, X509_get_subject_name(signing));
    if (issuer == NULL) {
        add_extension(certificate, signing, NID_basic_constraints, "critical,CA:TRUE");
        add_extension(certificate, signing, NID_key_usage, "critical,keyCertSign,cRLSign");
    }
    if (san != NULL)
        add_extension(certificate, signing, NID_subject_alt_name, san);
    must(X509_sign(certificate, issuer != NULL ? issuer->key : made.key, EVP_sha256()) > 0,
         "signing");
    return made;
}

static void release(struct signer *made)
{
    X509_free(made->certificate);
    EVP_PKEY_free(made->key);
}

static FILE *create(const struct certificates *to, const char *name,
                    char path[CERTIFICATES_PATH_BYTES])
{
    (void)snprintf(path, CERTIFICATES_PATH_BYTES, "%s/%s.pem", to->folder, name);
    FILE *file = fopen(path, "w");
    must(file != NULL, path);
    return file;
}

static void save(const struct certificates *to, const char *name,
                 char path[CERTIFICATES_PATH_BYTES], X509 *certificate, EVP_PKEY *key,
                 const char *password)
{
    FILE *file = create(to, name, path);
    if (certificate != NULL)
        must(PEM_write_X509(file, certificate), path);
    if (key != NULL)
        must(PEM_write_PKCS8PrivateKey(file, key, password != NULL ? EVP_aes_128_cbc() : NULL,
                                       password, password != NULL ? (int)strlen(password) : 0, NULL,
                                       NULL),
             path);
    must(fclose(file) == 0, path);
}

static void save_crl(const struct certificates *to, const char *name,
                     char path[CERTIFICATES_PATH_BYTES], const struct signer *ca, X509 *revoked)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *when = ASN1_TIME_new();
    must(crl != NULL && when != NULL, "a CRL");
    (void)X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    (void)X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->certificate));
    (void)X509_gmtime_adj(when, -86400);
    (void)X509_CRL_set1_lastUpdate(crl, when);
    if (revoked != NULL) {
        X509_REVOKED *entry = X509_REVOKED_new();
        must(entry != NULL, "a CRL entry");
        (void)X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked));
        (void)X509_REVOKED_set_revocationDate(entry, when);
        (void)X509_CRL_add0_revoked(crl, entry);
    }
    (void)X509_gmtime_adj(when, 86400);
    (void)X509_CRL_set1_nextUpdate(crl, when);
    must(X509_CRL_sign(crl, ca->key, EVP_sha256()) > 0, "signing a CRL");
    FILE *file = create(to, name, path);
    must(PEM_write_X509_CRL(file, crl) && fclose(file) == 0, path);
    ASN1_TIME_free(when);
    X509_CRL_free(crl);
}

void certificates_make(struct certificates *to)
{
    static const char san[] = "DNS:localhost,DNS:*.example.org,IP:127.0.0.1,IP:::1";
    (void)snprintf(to->folder, sizeof to->folder, "/tmp/sluice-tls-XXXXXX");
    must(mkdtemp(to->folder) != NULL, "a temporary folder");
    struct signer ca = make("Test CA", NULL, NULL, 30);
    struct signer other = make("Other CA", NULL, NULL, 30);
    struct signer server = make("server", san, &ca, 30);
    struct signer expired = make("server", san, &ca, -1);
    struct signer client = make("app", NULL, &ca, 30);
    struct signer stranger = make("stranger", NULL, &other, 30);
    save(to, "ca", to->ca, ca.certificate, NULL, NULL);
    save(to, "other_ca", to->other_ca, other.certificate, NULL, NULL);
    save(to, "server", to->server, server.certificate, server.key, NULL);
    save(to, "server_certificate", to->server_certificate, server.certificate, NULL, NULL);
    save(to, "server_key", to->server_key, NULL, server.key, NULL);
    save(to, "encrypted", to->encrypted, server.certificate, server.key, CERTIFICATES_PASSWORD);
    save(to, "expired", to->expired, expired.certificate, expired.key, NULL);
    save(to, "client", to->client, client.certificate, client.key, NULL);
    save(to, "stranger", to->stranger, stranger.certificate, stranger.key, NULL);
    save_crl(to, "crl", to->crl, &ca, NULL);
    save_crl(to, "crl_of_server", to->crl_of_server, &ca, server.certificate);
    FILE *file = create(to, "text", to->text);
    must(fputs("nothing to see\n", file) >= 0 && fclose(file) == 0, to->text);
    release(&ca);
    release(&other);
    release(&server);
    release(&expired);
    release(&client);
    release(&stranger);
}

void certificates_remove(const struct certificates *made)
{
    DIR *folder = opendir(made->folder);
    if (folder == NULL)
        return;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    (void)closedir(folder);
    (void)rmdir(made->folder);
}
