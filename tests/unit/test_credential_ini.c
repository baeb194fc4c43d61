/* SPDX-License-Identifier: MIT */
/* ini.c: the dialect of AWS's files - sections, nested blocks, comments, odd spacing, broken lines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "driver/http/ini.h"

static int note(void *data, const char *section, const char *block, const char *key,
                const char *value)
{
    char *seen = data;
    size_t used = strlen(seen);

    if (key)
        snprintf(seen + used, 1024 - used, "%s.%s%s%s=%s|", section, block ? block : "",
                 block ? "/" : "", key, value);
    else
        snprintf(seen + used, 1024 - used, "[%s]|", section);
    return key && strcmp(key, "stop") == 0 ? -7 : 0;
}

static void parses_to(const char *text, int status, const char *want)
{
    char copy[1024], seen[1024] = "";

    snprintf(copy, sizeof(copy), "%s", text);
    assert_int_equal(ini_parse(copy, note, seen), status);
    assert_string_equal(seen, want);
}

static void ini(void **state)
{
    (void)state;
    parses_to("", 0, "");
    parses_to("[a]\nk=v\n", 0, "[a]|a.k=v|");
    parses_to("[a]\nk=v", 0, "[a]|a.k=v|");
    parses_to("\xEF\xBB\xBF[a]\r\nKey \t= v w \r\n", 0, "[a]|a.key=v w|");
    parses_to("[ profile  x ]\nk==v=\n", 0, "[profile  x]|profile  x.k==v=|");
    parses_to("[a] # words\n[b];x\n", 0, "[a]|[b]|");
}

static void comments(void **state)
{
    (void)state;
    parses_to("# [x]\n; [y]\n[a]\n#k=v\nk=v # w\nl=v#w\nm=v\t;w\nn=#1\no= #1\n", 0,
              "[a]|a.k=v|a.l=v#w|a.m=v|a.n=#1|a.o=|");
}

static void blocks(void **state)
{
    (void)state;
    /* What is indented belongs to the line before it: to a block, if that has no value. */
    parses_to("[a]\ns3 =\n  K = v \n\tl = w # x\nm = x\n  continued = y\n", 0,
              "[a]|a.s3=|a.s3/k=v|a.s3/l=w|a.m=x|");
    parses_to("[a]\ns3 = # words\n\n# words\n  ; words\n \r\n  k = v\r\nsts =\n  k = w\n", 0,
              "[a]|a.s3=|a.s3/k=v|a.sts=|a.sts/k=w|");
    parses_to("[a]\n  aws_access_key_id = indented\ns3 =\n  [b]\n  k = v\n", 0,
              "[a]|a.s3=|a.s3/k=v|");
    parses_to("[a]\ns3 =\n[b]\n  k = v\n", 0, "[a]|a.s3=|[b]|");
    parses_to("[a]\ns3 =\nwords\n  k = v\n[c\n  l = w\n", 0, "[a]|a.s3=|");
}

static void broken(void **state)
{
    (void)state;
    parses_to("k=v\n[a]\nwords\n=v\n", 0, "[a]|a.=v|");
    parses_to("[a]\nk=v\n[b\nk=w\n[c]\nk=x\n", 0, "[a]|a.k=v|[c]|c.k=x|");
    parses_to("[]\nk=v\n", 0, "[]|.k=v|");
    parses_to("[a]\nstop=1\nk=v\n", -7, "[a]|a.stop=1|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ini),
        cmocka_unit_test(comments),
        cmocka_unit_test(blocks),
        cmocka_unit_test(broken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
