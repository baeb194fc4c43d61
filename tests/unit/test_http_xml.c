/* SPDX-License-Identifier: MIT */
/*
 * xml.h: error bodies of S3, STS and Azure; listings of S3, GCS and Azure, whole, byte by byte and
 * cut off anywhere; entities, endless listings and oversized bodies are refused.
 *
 * LSIO_ROWS: H28
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver/http/xml.h"
#include "lsio/lsio.h"

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

static int parse_error(const char *text, struct xml_error *error)
{
    return xml_error_parse(text, strlen(text), error);
}

static void errors(void **state)
{
    struct xml_error error;

    (void)state;
    assert_int_equal(parse_error(HEAD
                                 "<Error><Code>PermanentRedirect</Code><Message>a &amp; b\n"
                                 "c</Message><Endpoint>b.s3.example.com</Endpoint><Region>eu-1"
                                 "</Region><Other><Code>x</Code></Other><RequestId>R1</RequestId>"
                                 "</Error>",
                                 &error),
                     0);
    assert_string_equal(error.code, "PermanentRedirect");
    assert_string_equal(error.message, "a & b c");
    assert_string_equal(error.endpoint, "b.s3.example.com");
    assert_string_equal(error.region, "eu-1");
    assert_string_equal(error.request_id, "R1");
    assert_int_equal(parse_error("<ErrorResponse xmlns=\"x\"><Error><Code>ExpiredTokenException"
                                 "</Code></Error></ErrorResponse>",
                                 &error),
                     0);
    assert_string_equal(error.code, "ExpiredTokenException");
    assert_int_equal(
        parse_error("\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>"
                    "BlobNotFound</Code></Error>",
                    &error),
        0);
    assert_string_equal(error.code, "BlobNotFound");
    /* Cut off: what came first is kept. */
    assert_int_equal(parse_error("<Error><Code>NoSuchKey</Code><Mess", &error), LSIO_E_PROTOCOL);
    assert_string_equal(error.code, "NoSuchKey");
    assert_int_equal(parse_error("", &error), LSIO_E_PROTOCOL);
    assert_int_equal(parse_error("<html><body>502", &error), LSIO_E_PROTOCOL);
    assert_string_equal(error.code, "");
    assert_int_equal(parse_error("<html>502</html>", &error), 0);
    assert_string_equal(error.code, "");
}

/* ---------------------------------------------------------------------------------- listings -- */

/* Entries as lines. */
struct lines {
    char text[4096];
    size_t used;
    int stop_at; /* end the page after so many entries; 0: never */
    int count;
};

static int add_line(const struct http_list_entry *entry, void *data)
{
    struct lines *lines = data;
    int length = snprintf(lines->text + lines->used, sizeof(lines->text) - lines->used,
                          "%s%s %llu %lld %s %s\n", entry->is_prefix ? "P " : "", entry->key,
                          (unsigned long long)entry->size, (long long)entry->mtime_ns, entry->etag,
                          entry->version);

    lines->used += (size_t)length;
    assert_true(lines->used < sizeof(lines->text));
    return ++lines->count == lines->stop_at ? 77 : 0;
}

/* Feeds a page in pieces of `piece` bytes. */
static int read_page(struct xml_list *list, const char *page, size_t count, size_t piece,
                     struct lines *lines)
{
    int status = xml_list_begin(list);

    memset(lines, 0, offsetof(struct lines, stop_at));
    lines->count = 0;
    for (size_t at = 0; status == 0 && at < count; at += piece)
        status = xml_list_feed(list, page + at, count - at < piece ? count - at : piece);
    return status < 0 ? status : xml_list_end(list, add_line, lines);
}

static int read_one(enum http_dialect dialect, const char *page, struct lines *lines)
{
    struct xml_list *list;
    int status;

    assert_int_equal(xml_list_create(dialect, &list), 0);
    status = read_page(list, page, strlen(page), 1 << 20, lines);
    xml_list_destroy(list);
    return status;
}

/* As S3 answers, but with what decides the encoding at the end, as some servers have it. */
static const char s3_page[] = HEAD
    "<ListBucketResult xmlns=\"urn:s3\"><Name>b</Name><Prefix>a</Prefix><KeyCount>4</KeyCount>"
    "<IsTruncated>true</IsTruncated><NextContinuationToken>t/+1</NextContinuationToken>"
    "<Contents><Key>a/b+c%2Bd%C3%A9</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified>"
    "<ETag>&quot;e1&quot;</ETag><Size>12</Size><StorageClass>STANDARD</StorageClass></Contents>"
    "<Contents><Key>a/dir/</Key><Size>0</Size></Contents>"
    "<Contents><Key>a/z</Key><LastModified>yesterday</LastModified><ETag>e2</ETag>"
    "<Size>9223372036854775799</Size><Owner><ID>x</ID></Owner></Contents>"
    "<CommonPrefixes><Prefix>a/m%26/</Prefix></CommonPrefixes>"
    "<EncodingType>url</EncodingType></ListBucketResult>";

static const char s3_lines[] = "a/b c+d\xc3\xa9 12 1767323045678000000 \"e1\" \n"
                               "P a/m&/ 0 0  \n"
                               "a/z 9223372036854775799 0 \"e2\" \n";

static void s3_listing(void **state)
{
    struct xml_list *list;
    struct lines lines = {0};

    (void)state;
    for (size_t piece = 1; piece < sizeof(s3_page); piece += piece < 40 ? 1 : 97) {
        assert_int_equal(xml_list_create(HTTP_DIALECT_S3, &list), 0);
        assert_int_equal(read_page(list, s3_page, sizeof(s3_page) - 1, piece, &lines), 0);
        assert_string_equal(lines.text, s3_lines);
        assert_string_equal(xml_list_token(list), "t/+1");
        /* the same token again would never end */
        assert_int_equal(read_page(list, s3_page, sizeof(s3_page) - 1, 1 << 20, &lines),
                         LSIO_E_PROTOCOL);
        assert_int_equal(lines.count, 0);
        xml_list_destroy(list);
    }
    lines.stop_at = 2;
    assert_int_equal(read_one(HTTP_DIALECT_S3, s3_page, &lines), 77);
    assert_int_equal(lines.count, 2);
    xml_list_destroy(NULL);
}

/* From 2.6 on, expat tries a long tag that came in pieces again only after as many bytes more: what
 * follows it is seen when the page ends, here the token. */
static void deferred(void **state)
{
    char page[512];
    struct xml_list *list;
    struct lines lines = {0};

    (void)state;
    for (int spaces = 0; spaces < 160; spaces++) {
        snprintf(page, sizeof(page),
                 "<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>a</Key><Size>1"
                 "</Size></Contents%*s><NextContinuationToken>t1</NextContinuationToken>"
                 "</ListBucketResult>",
                 spaces, "");
        assert_int_equal(xml_list_create(HTTP_DIALECT_S3, &list), 0);
        assert_int_equal(read_page(list, page, strlen(page), 3, &lines), 0);
        assert_string_equal(lines.text, "a 1 0  \n");
        assert_string_equal(xml_list_token(list), "t1");
        xml_list_destroy(list);
    }
}

static void cut_anywhere(void **state)
{
    (void)state;
    for (size_t count = 0; count < sizeof(s3_page) - 1; count++) {
        struct xml_list *list;
        struct lines lines = {0};
        assert_int_equal(xml_list_create(HTTP_DIALECT_S3, &list), 0);
        assert_int_equal(read_page(list, s3_page, count, 1 << 20, &lines), LSIO_E_PROTOCOL);
        assert_int_equal(lines.count, 0);
        xml_list_destroy(list);
    }
}

/* Without <EncodingType> nothing is decoded; GCS names generations. */
static void gcs_listing(void **state)
{
    static const char page[] =
        "<ListBucketResult><Contents><Key>a%20b+c</Key><Generation>1234</Generation>"
        "<MetaGeneration>1</MetaGeneration><Size>3</Size></Contents>"
        "<IsTruncated>false</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
        "</ListBucketResult>";
    struct xml_list *list;
    struct lines lines = {0};

    (void)state;
    assert_int_equal(xml_list_create(HTTP_DIALECT_GCS, &list), 0);
    assert_int_equal(read_page(list, page, sizeof(page) - 1, 7, &lines), 0);
    assert_string_equal(lines.text, "a%20b+c 3 0  1234\n");
    assert_null(xml_list_token(list));
    xml_list_destroy(list);
}

static void azure_listing(void **state)
{
    static const char page[] = HEAD
        "<EnumerationResults ServiceEndpoint=\"x\" ContainerName=\"c\"><Prefix>a</Prefix><Blobs>"
        "<Blob><Name>b+%20</Name><VersionId>v1</VersionId><Properties><Last-Modified>"
        "Fri, 02 Jan 2026 03:04:05 GMT</Last-Modified><Etag>0x8D1</Etag>"
        "<Content-Length>5</Content-Length><ResourceType>file</ResourceType></Properties></Blob>"
        "<Blob><Name Encoded=\"true\">a+%EF%BF%BE</Name><Properties><Content-Length>6"
        "</Content-Length></Properties></Blob>"
        "<Blob><Name>dir</Name><Properties><Content-Length>0</Content-Length>"
        "<ResourceType>directory</ResourceType></Properties></Blob>"
        "<BlobPrefix><Name>a/</Name><Properties><ResourceType>directory</ResourceType>"
        "</Properties></BlobPrefix></Blobs><NextMarker>m1</NextMarker></EnumerationResults>";
    struct xml_list *list;
    struct lines lines = {0};

    (void)state;
    assert_int_equal(xml_list_create(HTTP_DIALECT_AZURE, &list), 0);
    assert_int_equal(read_page(list, page, sizeof(page) - 1, 11, &lines), 0);
    assert_string_equal(lines.text, "a+\xef\xbf\xbe 6 0  \n"
                                    "P a/ 0 0  \n"
                                    "b+%20 5 1767323045000000000 \"0x8D1\" v1\n");
    assert_string_equal(xml_list_token(list), "m1");
    xml_list_destroy(list);
    assert_int_equal(read_one(HTTP_DIALECT_AZURE,
                              "<EnumerationResults><Blobs/><NextMarker/>"
                              "</EnumerationResults>",
                              &lines),
                     0);
    assert_int_equal(lines.count, 0);
}

static void error_instead_of_listing(void **state)
{
    static const char page[] = "<Error><Code>SlowDown</Code></Error>";
    struct xml_list *list;
    struct lines lines = {0};

    (void)state;
    assert_int_equal(xml_list_create(HTTP_DIALECT_S3, &list), 0);
    assert_int_equal(read_page(list, page, sizeof(page) - 1, 5, &lines), LSIO_E_HTTP);
    assert_string_equal(xml_list_error(list)->code, "SlowDown");
    xml_list_destroy(list);
}

static void bad_pages(void **state)
{
    static const char *const pages[] = {
        "<html/>",
        "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key/><Size>1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><Size>9999999999999999999</Size></Contents>"
        "</ListBucketResult>",
        "<ListBucketResult><CommonPrefixes/></ListBucketResult>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%zz</Key><Size>1</Size>"
        "</Contents></ListBucketResult>",
        "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a%00</Key><Size>1</Size>"
        "</Contents></ListBucketResult>",
        "<ListBucketResult></ListBucketResult><more/>",
        "<ListBucketResult><a></b></ListBucketResult>",
        "<!DOCTYPE l [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><ListBucketResult>&b;"
        "</ListBucketResult>",
        "<!DOCTYPE l SYSTEM \"file:///etc/passwd\"><ListBucketResult/>",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        struct lines lines = {0};
        assert_int_equal(read_one(HTTP_DIALECT_S3, pages[i], &lines), LSIO_E_PROTOCOL);
        assert_int_equal(lines.count, 0);
    }
}

/* Depth, texts and bodies have limits. */
static void limits(void **state)
{
    size_t count = (size_t)XML_BYTES_MAX;
    char *spaces = malloc(count);
    struct xml_list *list;
    struct lines lines = {0};
    char deep[2000];

    (void)state;
    for (size_t i = 0; i + 4 < sizeof(deep); i += 3)
        memcpy(deep + i, "<a>", 4);
    assert_int_equal(read_one(HTTP_DIALECT_S3, deep, &lines), LSIO_E_PROTOCOL);
    assert_int_equal(xml_list_create(HTTP_DIALECT_S3, &list), 0);
    memset(spaces, ' ', count);
    memcpy(spaces, "<ListBucketResult><Name>", 24);
    assert_int_equal(read_page(list, spaces, count, count, &lines), LSIO_E_PROTOCOL);
    memset(spaces, ' ', count);
    memcpy(spaces, "<ListBucketResult/>", 19);
    assert_int_equal(read_page(list, spaces, count, count, &lines), 0);
    assert_int_equal(xml_list_begin(list), 0);
    assert_int_equal(xml_list_feed(list, spaces, count), 0);
    assert_int_equal(xml_list_feed(list, spaces + count - 1, 1), LSIO_E_PROTOCOL);
    assert_int_equal(xml_list_end(list, add_line, &lines), LSIO_E_PROTOCOL);
    xml_list_destroy(list);
    free(spaces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors),        cmocka_unit_test(s3_listing),
        cmocka_unit_test(deferred),      cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(gcs_listing),   cmocka_unit_test(azure_listing),
        cmocka_unit_test(bad_pages),     cmocka_unit_test(error_instead_of_listing),
        cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
