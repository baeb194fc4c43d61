/* SPDX-License-Identifier: MIT */
/*
 * azure_connection.h - Azure Storage connection strings.
 *
 *     status = azure_connection_parse(text, &connection);
 *     ... connection.account, .key or .sas, .endpoint
 *     azure_connection_finish(&connection);
 */
#ifndef LSIO_DRIVER_HTTP_CREDENTIAL_AZURE_CONNECTION_H
#define LSIO_DRIVER_HTTP_CREDENTIAL_AZURE_CONNECTION_H

/* What the emulators (Azurite, the older Storage Emulator) know of by default. Public. */
#define AZURE_EMULATOR_ACCOUNT "devstoreaccount1"
#define AZURE_EMULATOR_KEY                                                                         \
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

/* All owned; NULL: the string does not say. */
struct azure_connection {
    char *account;
    char *key;      /* base64 */
    char *sas;      /* without '?' */
    char *endpoint; /* of the Blob service, with the scheme, without a slash at its end */
};

/* 0, -EINVAL for text that is no connection string or has neither account nor endpoint, -ENOMEM;
 * `out` holds nothing then. Keys are taken in any case, unknown ones skipped. */
int azure_connection_parse(const char *text, struct azure_connection *out);
void azure_connection_finish(struct azure_connection *connection);

#endif
