/* SPDX-License-Identifier: MIT */
/*
 * http-options: prints README's table of the options of http, s3, gs and az stores, from the table
 * that reads them (src/driver/http/options_table.c). tests/support/tools/readme_options.py puts it
 * into README.md, or checks that it is there.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "driver/http/options.h"

static const struct {
    unsigned stores;
    const char *name;
    const char *prefix; /* of variables */
} stores[] = {
    {HTTP_OF_ALL, "all", NULL},
    {HTTP_OF_S3, "s3", "AWS_"},
    {HTTP_OF_GCS, "gs", "GOOGLE_"},
    {HTTP_OF_AZURE, "az", "AZURE_"},
};

static void words_print(const char *words, const char *between)
{
    for (size_t length; *words; words += length + (words[length] == '|')) {
        length = strcspn(words, "|");
        printf("`%.*s`%s", (int)length, words, words[length] ? between : "");
    }
}

static void stores_print(const struct http_option *option)
{
    const char *before = "";

    for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++) {
        if ((option->stores & stores[i].stores) != stores[i].stores)
            continue;
        printf("%s%s", before, stores[i].name);
        before = ", ";
        if (i == 0)
            return;
    }
}

/* The variable that is looked at first; none for an option of LSIO's alone. */
static void variable_print(const struct http_option *option)
{
    const char *variable = option->kind == HTTP_OPTION_CREDENTIAL
                               ? credential_key_variable((enum credential_key)option->place)
                               : option->variables;
    size_t i = 1;

    if (variable) {
        printf("`%.*s`", (int)strcspn(variable, "|"), variable);
        return;
    }
    if (option->own || option->kind == HTTP_OPTION_CREDENTIAL)
        return;
    while (!(option->stores & stores[i].stores))
        i++;
    printf("`%s", stores[i].prefix);
    for (const char *at = option->names; *at && *at != '|'; at++)
        putchar(toupper((unsigned char)*at));
    putchar('`');
}

int main(void)
{
    const char *between = "";

    printf("| option | stores | variable | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < http_option_count; i++) {
        const struct http_option *option = &http_options[i];
        if (option->kind >= HTTP_OPTION_IGNORED)
            continue;
        printf("| ");
        words_print(option->names, " ");
        printf(" | ");
        stores_print(option);
        printf(" | ");
        variable_print(option);
        printf(" | ");
        for (const char *at = option->meaning; *at; at++)
            printf(*at == '|' ? "\\%c" : "%c", *at);
        printf(" |\n");
    }
    printf("\nKnown, and without effect on reading:");
    for (size_t i = 0; i < http_option_count; i++) {
        if (http_options[i].kind != HTTP_OPTION_IGNORED)
            continue;
        putchar(' ');
        words_print(http_options[i].names, " ");
    }
    printf(".\nKnown, and refused for want of support:");
    for (size_t i = 0; i < http_option_count; i++) {
        if (http_options[i].kind != HTTP_OPTION_REFUSED)
            continue;
        printf("%s ", between);
        words_print(http_options[i].names, " ");
        printf(" (use %s)", http_options[i].meaning);
        between = ",";
    }
    printf(".\n");
    return 0;
}
