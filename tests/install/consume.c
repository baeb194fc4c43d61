/* SPDX-License-Identifier: MIT */
/* What a program that links the installed LSIO does at least: read back what it has put in.
 * Compiles as C11 and as C++17. Exit status 0: it worked. */
#include <lsio/lsio.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
    struct lsio_context *context = NULL;
    struct lsio_store *store = NULL;
    char text[16];
    uint64_t bytes = 0;
    int status;

    memset(text, 0, sizeof(text));
    status = lsio_context_create(NULL, &context);
    if (status == 0)
        status = lsio_store_open(context, "memory://consume", NULL, 0, &store);
    if (status == 0)
        status = lsio_memory_put(store, "key", "hello world", 11);
    if (status == 0)
        status = lsio_read(context, store, "key", 6, 5, text, sizeof(text), &bytes);
    printf("lsio %s: %s, %u bytes: %s\n", lsio_version(), lsio_status_name(status), (unsigned)bytes,
           text);
    if (lsio_context_destroy(context) != 0)
        return 1;
    return status == 0 && bytes == 5 && strcmp(text, "world") == 0 ? 0 : 1;
}
