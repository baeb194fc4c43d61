/* SPDX-License-Identifier: MIT */
/* azure.h - what the Azure providers share. */
#ifndef LSIO_DRIVER_HTTP_CREDENTIAL_AZURE_H
#define LSIO_DRIVER_HTTP_CREDENTIAL_AZURE_H

#include "driver/http/credential/provider.h"

/* What tokens are asked for, encoded for a query or a form. */
#define AZURE_RESOURCE "https%3A%2F%2Fstorage.azure.com"

#endif
