/* SPDX-License-Identifier: MIT */
/*
 * ini.h - reads the ini dialect of ~/.aws/config and ~/.aws/credentials.
 *
 *     [profile build]          sections; the blanks around and inside the name are the file's
 *     region = eu-west-1       keys come lower-cased, values without the blanks around them
 *     s3 =                     a nested block: the indented lines below it have its name
 *       addressing_style = path
 *     # and ; begin comments, in a line of their own or after a blank behind a value
 */
#ifndef LSIO_DRIVER_HTTP_INI_H
#define LSIO_DRIVER_HTTP_INI_H

#include <stddef.h>

/* Receives one property, of the section (block NULL) or of a nested block in it; with key and value
 * NULL, the beginning of a section. The strings live in the text that is parsed. A nonzero return
 * ends the parse. */
typedef int ini_fn(void *data, const char *section, const char *block, const char *key,
                   const char *value);

/* Parses `text`, NUL-terminated, which is cut into pieces on the way. Lines that make no sense are
 * skipped, as the vendor's own tools do. Returns 0 or what `each` returned. */
int ini_parse(char *text, ini_fn *each, void *data);

#endif
