/* SPDX-License-Identifier: MIT */
/*
 * url.h: each form of URL, with options and without, against the host, path and query that requests
 * go to; keys that are literal on buckets and refused on plain http; what is no URL.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "driver/http/url.h"

#define S "https://"
#define H "http://"

#define LETTERS_50 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx"

struct url_case {
    const char *url;
    const char *key;
    const char *want; /* DIALECT scheme://host/path?query [region=] [account=] [flags] */
    struct http_endpoint endpoint;
};

/* Parses, makes and describes; "EINVAL" if one of them refuses, with a sentence. */
static const char *describe(const char *url_text, const char *key,
                            const struct http_endpoint *endpoint)
{
    static const char *const dialects[] = {"http", "s3", "gcs", "azure"};
    static char out[1024];
    char memory[1024], why[160] = "";
    struct http_url url;
    struct http_address address;
    struct http_place place;
    struct http_text text;
    int status = http_url_parse(url_text, &url, why, sizeof(why));
    int used;

    if (status == 0) {
        status = http_address_make(&url, endpoint, &address, why, sizeof(why));
        http_url_finish(&url);
    }
    if (status < 0) {
        assert_int_equal(status, -EINVAL);
        assert_true(strlen(why) > 10);
        return "EINVAL";
    }
    http_text_init(&text, memory, sizeof(memory));
    status = http_address_object(&address, key, &text, &place);
    assert_int_equal(status, http_key_check(&address, key));
    if (status < 0) {
        http_address_finish(&address);
        return "key";
    }
    used = snprintf(out, sizeof(out), "%s %s://%s%s%s%s", dialects[address.dialect],
                    http_address_scheme(&address), place.host, place.path, place.query ? "?" : "",
                    place.query ? place.query : "");
    used += snprintf(out + used, sizeof(out) - (size_t)used, "%s%s%s%s%s%s%s",
                     address.region[0] ? " region=" : "", address.region,
                     address.account[0] ? " account=" : "", address.account,
                     address.virtual_host ? " vhost" : "", address.express ? " express" : "",
                     address.signed_query ? " signed" : "");
    assert_true(used < (int)sizeof(out));
    http_address_finish(&address);
    return out;
}

static void check(const struct url_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_string_equal(describe(cases[i].url, cases[i].key, &cases[i].endpoint),
                            cases[i].want);
}

#define CHECK(cases) check(cases, sizeof(cases) / sizeof((cases)[0]))

static void s3_buckets(void **state)
{
    static const struct url_case cases[] = {
        {"s3://bucket/a/b", "k/x",
         "s3 " S "bucket.s3.us-east-1.amazonaws.com/a/b/k/x "
         "region=us-east-1 vhost"},
        {"S3A://bucket", "", "s3 " S "bucket.s3.us-east-1.amazonaws.com/ region=us-east-1 vhost"},
        {"s3://bucket/a/",
         "k",
         "s3 " S "bucket.s3.eu-west-1.amazonaws.com/a/k "
         "region=eu-west-1 vhost",
         {.region = "eu-west-1"}},
        {"s3://bu.cket/a", "", "s3 " S "s3.us-east-1.amazonaws.com/bu.cket/a region=us-east-1"},
        {"s3://Bucket/a", "", "s3 " S "s3.us-east-1.amazonaws.com/Bucket/a region=us-east-1"},
        {"s3://bucket",
         "k",
         "s3 " S "s3.us-east-1.amazonaws.com/bucket/k region=us-east-1",
         {.virtual_host = HTTP_NO}},
        {"s3://bucket",
         "k",
         "s3 " S "bucket.s3.dualstack.cn-north-1.amazonaws.com.cn/k "
         "region=cn-north-1 vhost",
         {.region = "cn-north-1", .dualstack = true}},
        {"s3://name--usw2-az1--x-s3",
         "k",
         "s3 " S "name--usw2-az1--x-s3.s3express-usw2-az1.us-west-2.amazonaws.com/k "
         "region=us-west-2 vhost express",
         {.region = "us-west-2"}},
        {"s3://bucket", "k", "EINVAL", {.express = true}},
        {"s3://" LETTERS_50 LETTERS_50 "--use1-az4--x-s3", "k", "EINVAL", {.endpoint = NULL}},
        {"s3://" LETTERS_50 "." LETTERS_50 "." LETTERS_50 "." LETTERS_50 "--use1-az4--x-s3", "k",
         "EINVAL", {.endpoint = NULL}},
        {"/vsis3/bucket/a b", "",
         "s3 " S "bucket.s3.us-east-1.amazonaws.com/a%20b "
         "region=us-east-1 vhost"},
        {"s3://",
         "k",
         "s3 " S "other.s3.us-east-1.amazonaws.com/k region=us-east-1 vhost",
         {.bucket = "other"}},
    };

    (void)state;
    CHECK(cases);
}

static void s3_servers(void **state)
{
    static const struct url_case cases[] = {
        {"s3://bucket/a",
         "k",
         "s3 " H "127.0.0.1:9000/bucket/a/k region=us-east-1",
         {.endpoint = H "127.0.0.1:9000/"}},
        {"s3://bucket",
         "k",
         "s3 " S "[::1]/base/bucket/k region=x",
         {.endpoint = S "[::1]:443/base", .region = "x"}},
        {"s3://bucket",
         "k",
         "s3 " H "bucket.localhost:8014/k region=us-east-1 vhost",
         {.endpoint = H "localhost:8014", .virtual_host = HTTP_YES}},
        {"s3://bucket",
         "k",
         "s3 " H "bucket.localhost:8014/k region=us-east-1 vhost",
         {.endpoint = H "bucket.localhost:8014", .virtual_host = HTTP_YES}},
        {"s3://bucket",
         "k",
         "s3 " S "server.example/bucket/k region=us-east-1",
         {.endpoint = "Server.example"}},
        {"s3://bucket",
         "k",
         "s3 " H "server.example:81/bucket/k region=us-east-1",
         {.endpoint = "server.example:81", .endpoint_plain = true}},
        {"s3://bucket", "k", "EINVAL", {.endpoint = H "server.example", .https_only = true}},
        {"s3://bucket", "k", "EINVAL", {.endpoint = H "user@server.example"}},
        {"s3://bucket", "k", "EINVAL", {.endpoint = H "server.example:99999"}},
        {"s3://bucket", "k", "EINVAL", {.endpoint = S "server.example/?x=y"}},
        {"s3://bucket", "k", "EINVAL", {.endpoint = H "server.example/\xc3\xa9"}},
        {"s3://bucket", "k", "EINVAL", {.endpoint = H "[::1]", .virtual_host = HTTP_YES}},
        {"s3://bu|cket--z--x-s3", "k", "EINVAL"},
        {"s3://bucket", "k", "EINVAL", {.endpoint = ""}},
        {"s3://bu_c ket", "k", "EINVAL", {.endpoint = S "h", .virtual_host = HTTP_YES}},
    };

    (void)state;
    CHECK(cases);
}

static void s3_addresses(void **state)
{
    static const struct url_case cases[] = {
        {S "s3.eu-west-1.amazonaws.com/bucket/a%20b/c", "k",
         "s3 " S "s3.eu-west-1.amazonaws.com/bucket/a%20b/c/k region=eu-west-1"},
        {S "bucket.s3.eu-west-1.amazonaws.com/a%2Fb", "k",
         "s3 " S "bucket.s3.eu-west-1.amazonaws.com/a/b/k region=eu-west-1 vhost"},
        {S "bu.cket.s3.amazonaws.com/a", "",
         "s3 " S "bu.cket.s3.us-east-1.amazonaws.com/a region=us-east-1 vhost"},
        {S "s3-us-west-2.amazonaws.com/bucket", "k",
         "s3 " S "s3.us-west-2.amazonaws.com/bucket/k region=us-west-2"},
        {S "bucket.s3.dualstack.us-west-2.amazonaws.com/", "k",
         "s3 " S "bucket.s3.dualstack.us-west-2.amazonaws.com/k region=us-west-2 vhost"},
        {S "s3.cn-north-1.amazonaws.com.cn/bucket/", "k",
         "s3 " S "s3.cn-north-1.amazonaws.com.cn/bucket/k region=cn-north-1"},
        {S "bucket.s3-accelerate.amazonaws.com/a", "k",
         "s3 " S "bucket.s3-accelerate.amazonaws.com/a/k region=us-east-1 vhost"},
        {S "n--z1--x-s3.s3express-z1.us-west-2.amazonaws.com/a", "k",
         "s3 " S "n--z1--x-s3.s3express-z1.us-west-2.amazonaws.com/a/k "
         "region=us-west-2 vhost express"},
        {S "account.eu.r2.cloudflarestorage.com/bucket/a", "k",
         "s3 " S "account.eu.r2.cloudflarestorage.com/bucket/a/k region=auto"},
        {S "s3.eu-west-1.amazonaws.com/bucket/k?versionId=1", "",
         "s3 " S "s3.eu-west-1.amazonaws.com/bucket/k?versionId=1 region=eu-west-1"},
        {S "bucket.s3.amazonaws.com/a%20b?X-Amz-Signature=1", "",
         "http " S "bucket.s3.amazonaws.com/a%20b?X-Amz-Signature=1 signed"},
        {S "bucket.s3.amazonaws.com/a?AWSAccessKeyId=2&Signature=1", "",
         "http " S "bucket.s3.amazonaws.com/a?AWSAccessKeyId=2&Signature=1 signed"},
        {S "s3.eu-west-1.amazonaws.com/", "k", "EINVAL"},
        {S "bucket.s3.amazonaws.com:8443/a", "k", "http " S "bucket.s3.amazonaws.com:8443/a/k"},
        {S "ec2.amazonaws.com/x", "k", "http " S "ec2.amazonaws.com/x/k"},
        {S "bucket.s3-us-gov-west-1.amazonaws.com/a", "k",
         "s3 " S "bucket.s3.us-gov-west-1.amazonaws.com/a/k region=us-gov-west-1 vhost"},
        {S "bucket.s3-accelerate.dualstack.amazonaws.com/a", "k",
         "s3 " S "bucket.s3-accelerate.dualstack.amazonaws.com/a/k region=us-east-1 vhost"},
        {S "b.s3.eu-west-1.amazonaws.com/a",
         "k",
         "s3 " S "s3.eu-west-1.amazonaws.com/b/a/k region=eu-west-1",
         {.virtual_host = HTTP_NO}},
    };

    (void)state;
    CHECK(cases);
}

/* Servers of S3 that do not follow from bucket and region are asked as they are. */
static void s3_servers_of_their_own(void **state)
{
    static const struct url_case cases[] = {
        {S "s3-fips.us-gov-west-1.amazonaws.com/bucket/a", "k",
         "s3 " S "s3-fips.us-gov-west-1.amazonaws.com/bucket/a/k region=us-gov-west-1"},
        {S "bucket.s3-fips.us-east-2.amazonaws.com/a", "k",
         "s3 " S "bucket.s3-fips.us-east-2.amazonaws.com/a/k region=us-east-2 vhost"},
        {S "bucket.s3-fips.dualstack.us-east-2.amazonaws.com/a", "k",
         "s3 " S "bucket.s3-fips.dualstack.us-east-2.amazonaws.com/a/k region=us-east-2 vhost"},
        {S "bucket.s3-fips-us-gov-west-1.amazonaws.com/a", "k",
         "s3 " S "bucket.s3-fips-us-gov-west-1.amazonaws.com/a/k region=us-gov-west-1 vhost"},
        {S "bucket.vpce-0a1b-2c.s3.eu-west-1.vpce.amazonaws.com/b/a", "k",
         "s3 " S "bucket.vpce-0a1b-2c.s3.eu-west-1.vpce.amazonaws.com/b/a/k region=eu-west-1"},
        {S "b.bucket.vpce-0a1b-2c.s3.eu-west-1.vpce.amazonaws.com/a", "k",
         "s3 " S "b.bucket.vpce-0a1b-2c.s3.eu-west-1.vpce.amazonaws.com/a/k "
         "region=eu-west-1 vhost"},
    };

    (void)state;
    CHECK(cases);
}

/* Other services of the same domain are plain servers: no bucket is read out of their names. */
static void not_s3(void **state)
{
    static const char *const hosts[] = {
        "ap-123.s3-accesspoint.eu-west-1.amazonaws.com",
        "ap-123.s3-accesspoint-fips.us-east-1.amazonaws.com",
        "ap-123.s3-object-lambda.eu-west-1.amazonaws.com",
        "ap-123.op-01.s3-outposts.eu-west-1.amazonaws.com",
        "bucket.s3-website-us-east-1.amazonaws.com",
        "bucket.s3-website.eu-west-1.amazonaws.com",
        "alias.mrap.accesspoint.s3-global.amazonaws.com",
        "123.s3-control.eu-west-1.amazonaws.com",
        "s3express-control.us-west-2.amazonaws.com",
        "bucket.s3express-control.us-west-2.amazonaws.com",
        "n--z1--x-s3.s3express-z2.us-west-2.amazonaws.com",
        "s3express-z1.us-west-2.amazonaws.com",
        "s3-accelerate.amazonaws.com",
        "s3-accelerate.dualstack.amazonaws.com",
        "s3.dualstack.amazonaws.com",
        "s3tables.us-east-1.amazonaws.com",
        "bucket.s3.execute-api.us-east-1.amazonaws.com",
        "bucket.s3.amazonaws.com.cn",
        "bucket.s3.us-east-1.amazonaws.com.cn",
        "bucket.s3.cn-north-1.amazonaws.com",
        "accesspoint.vpce-0a1b.s3.eu-west-1.vpce.amazonaws.com",
        "vpce-0a1b.execute-api.eu-west-1.vpce.amazonaws.com",
        "s3.vpce.amazonaws.com",
        "s3..amazonaws.com",
        "s3-us-east-.amazonaws.com",
        "s3-useast-1.amazonaws.com",
        "amazonaws.com",
    };
    const struct http_endpoint none = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        char url[128], want[160];
        snprintf(url, sizeof(url), S "%s/b/a", hosts[i]);
        snprintf(want, sizeof(want), "http %s/k", url);
        assert_string_equal(describe(url, "k", &none), want);
    }
}

static void s3_endpoints_given(void **state)
{
    /* The URL's way to name the bucket is that of its own server. */
    static const struct url_case cases[] = {
        {S "bucket.s3.eu-west-1.amazonaws.com/a",
         "k",
         "s3 " H "127.0.0.1:9/bucket/a/k region=eu-west-1",
         {.endpoint = H "127.0.0.1:9"}},
        {S "bucket.s3.eu-west-1.amazonaws.com/a",
         "k",
         "s3 " H "bucket.server:9/a/k region=eu-west-1 vhost",
         {.endpoint = H "server:9", .virtual_host = HTTP_YES}},
        {S "bucket.s3-fips.us-east-2.amazonaws.com/a",
         "k",
         "s3 " H "server/bucket/a/k region=us-east-2",
         {.endpoint = H "server"}},
        {"s3://bucket", "k", "EINVAL", {.endpoint = H "127.0.0.1", .virtual_host = HTTP_YES}},
    };

    (void)state;
    CHECK(cases);
}

static void google(void **state)
{
    static const struct url_case cases[] = {
        {"gs://bucket/a", "k", "gcs " S "storage.googleapis.com/bucket/a/k region=auto"},
        {"gcs://bu.cket", "", "gcs " S "storage.googleapis.com/bu.cket/ region=auto"},
        {"/vsigs/bucket/a", "", "gcs " S "storage.googleapis.com/bucket/a region=auto"},
        {"gs://bucket",
         "k",
         "gcs " H "localhost:4443/bucket/k region=auto",
         {.endpoint = "localhost:4443", .endpoint_plain = true}},
        {S "storage.googleapis.com/bucket/a", "k",
         "gcs " S "storage.googleapis.com/bucket/a/k region=auto"},
        {S "bucket.storage.googleapis.com/a%25", "",
         "gcs " S "storage.googleapis.com/bucket/a%25 region=auto"},
        {S "storage.googleapis.com/bucket/a?X-Goog-Signature=1&b=2", "",
         "http " S "storage.googleapis.com/bucket/a?X-Goog-Signature=1&b=2 signed"},
    };

    (void)state;
    CHECK(cases);
}

static void azure(void **state)
{
    static const struct url_case cases[] = {
        {"az://container/a",
         "k",
         "azure " S "acc.blob.core.windows.net/container/a/k account=acc",
         {.account = "acc"}},
        {"azure://container", "k", "EINVAL"},
        {"adl://container",
         "k",
         "azure " S "acc.blob.core.windows.net/container/k account=acc",
         {.connection_string = "AccountName=acc;AccountKey=a==;"}},
        {"az://c",
         "k",
         "azure " H "acc.blob.example.com/c/k account=acc",
         {.connection_string = "DefaultEndpointsProtocol=http;AccountName=acc;"
                               "EndpointSuffix=example.com;"}},
        {"az://c",
         "k",
         "azure " S "blob.example.com:444/acc/c/k account=acc",
         {.connection_string = "BlobEndpoint=" S "blob.example.com:444/acc/;AccountName=acc"}},
        {"abfss://c@acc.dfs.core.windows.net/a", "k",
         "azure " S "acc.blob.core.windows.net/c/a/k account=acc"},
        {"abfs://c@acc.blob.core.windows.net", "k",
         "azure " S "acc.blob.core.windows.net/c/k account=acc"},
        {"abfs://c/a",
         "k",
         "azure " S "acc.blob.fabric.microsoft.com/c/a/k account=acc",
         {.account = "acc", .fabric = true}},
        {"abfs://c@acc/a", "k", "EINVAL"},
        {"abfs://c@a|cc.dfs.core.windows.net/a", "k", "EINVAL"},
        {"az://c/a",
         "k",
         "azure " H "127.0.0.1:10000/devstoreaccount1/c/a/k "
         "account=devstoreaccount1",
         {.emulator = true}},
        {"az://c/a",
         "k",
         "azure " H "127.0.0.1:10000/devstoreaccount1/c/a/k "
         "account=devstoreaccount1",
         {.connection_string = "UseDevelopmentStorage=true"}},
        {"az://c",
         "k",
         "azure " H "localhost:1/acc/c/k account=acc",
         {.emulator = true, .account = "acc", .endpoint = H "localhost:1"}},
        {"az://c",
         "k",
         "azure " H "localhost:1/acc/c/k account=acc",
         {.emulator = true, .account = "acc", .endpoint = H "localhost:1/acc"}},
        {S "acc.blob.core.windows.net/c/a%20b", "k",
         "azure " S "acc.blob.core.windows.net/c/a%20b/k account=acc"},
        {S "acc.dfs.core.windows.net/c/a", "k",
         "azure " S "acc.blob.core.windows.net/c/a/k account=acc"},
        {S "acc.blob.core.windows.net/c/a?sv=1&sig=x%2B", "k",
         "azure " S "acc.blob.core.windows.net/c/a/k?sv=1&sig=x%2B account=acc signed"},
        {S "onelake.dfs.fabric.microsoft.com/c/a", "k",
         "azure " S "onelake.blob.fabric.microsoft.com/c/a/k account=onelake"},
        {"/vsiaz/c/a",
         "k",
         "azure " S "acc.blob.core.windows.net/c/a/k account=acc",
         {.account = "acc"}},
        {"az://c", "k", "EINVAL", {.account = "a/b"}},
        {"az://$root/",
         "k",
         "azure " S "acc.blob.core.windows.net/%24root/k account=acc",
         {.account = "acc"}},
    };

    (void)state;
    CHECK(cases);
}

/* A host is one account's. */
static void azure_accounts_agree(void **state)
{
    static const struct url_case cases[] = {
        {"abfss://c@acc.dfs.core.windows.net", "k", "EINVAL", {.account = "other"}},
        {S "acc.blob.core.windows.net/c", "k", "EINVAL", {.account = "other"}},
        {"abfss://c@acc.dfs.core.windows.net",
         "k",
         "EINVAL",
         {.connection_string = "AccountName=other;AccountKey=a==;"}},
        {"az://c",
         "k",
         "EINVAL",
         {.account = "acc", .connection_string = "AccountName=other;AccountKey=a==;"}},
        {"abfss://c@ACC.dfs.core.windows.net/a",
         "k",
         "azure " S "acc.blob.core.windows.net/c/a/k account=acc",
         {.account = "acc"}},
    };

    (void)state;
    CHECK(cases);
}

static void plain_http(void **state)
{
    static const struct url_case cases[] = {
        {H "Host:80", "", "http " H "host/"},
        {H "host", "a", "http " H "host/a"},
        {S "host:443/a", "b/c", "http " S "host/a/b/c"},
        {S "host:8443/a/", "b c", "http " S "host:8443/a/b%20c"},
        {S "host:/a%2fb?x=%2f&y#part", "k", "http " S "host/a%2fb/k?x=%2f&y"},
        {S "host?x", "", "http " S "host/?x"},
        {S "host/a b/\xc3\xa9|", "", "http " S "host/a%20b/%C3%A9%7C"},
        {H "[2001:db8::1]:8080/a", "", "http " H "[2001:db8::1]:8080/a"},
        {"/vsicurl/" S "host/a?b=c", "", "http " S "host/a?b=c"},
        {S "host/a", "../b", "key"},
        {S "host/a", "b/./c", "key"},
        {S "host/a", "b/%2e%2E", "key"},
        {S "host/a", "/b", "key"},
        {S "host/a", "b/...", "http " S "host/a/b/..."},
        {S "host/a/../b", "", "EINVAL"},
        {S "host/%2e/b", "", "EINVAL"},
        {S "user:pw@host/", "", "EINVAL"},
        {S "host/a?b c\"", "", "http " S "host/a?b%20c%22"},
        {S "ho st/", "", "EINVAL"},
        {S "", "", "EINVAL"},
        {S "host:0/", "", "EINVAL"},
        {S "host:65536/", "", "EINVAL"},
        {S "host:8x/", "", "EINVAL"},
        {S "[::1/", "", "EINVAL"},
        {S "[::1]x/", "", "EINVAL"},
        {S "host/\r\nHost: b", "", "EINVAL"},
        {"ftp://host/a", "", "EINVAL"},
        {"host", "", "EINVAL"},
        {"s3://user@bucket/a", "", "EINVAL"},
        {"s3://bucket/a\nb", "", "EINVAL"},
        {H "host/", "", "EINVAL", {.https_only = true}},
    };

    (void)state;
    CHECK(cases);
}

/* On buckets a key is bytes: nothing is normalised, decoded or refused. */
static void keys_are_literal(void **state)
{
    static const struct {
        const char *key, *path;
    } cases[] = {{"a//b", "/p/a//b"},
                 {"./x", "/p/./x"},
                 {"../y", "/p/../y"},
                 {"/lead", "/p//lead"},
                 {"+=%/\xc3\xa9~ ", "/p/%2B%3D%25/%C3%A9~%20"},
                 {"a?b#c", "/p/a%3Fb%23c"},
                 {"%2F", "/p/%252F"},
                 {"a\r\nb", "/p/a%0D%0Ab"}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct http_endpoint none = {0};
        char want[160];
        snprintf(want, sizeof(want),
                 "s3 " S "bucket.s3.us-east-1.amazonaws.com%s region=us-east-1"
                 " vhost",
                 cases[i].path);
        assert_string_equal(describe("s3://bucket/p", cases[i].key, &none), want);
    }
}

static void names_in_the_bucket(void **state)
{
    static const char *const urls[] = {"s3://b/p", "s3://b/p/", "s3://b", "s3://b//"};
    static const char *const names[] = {"p/k", "p/k", "k", "/k"};
    struct http_endpoint none = {0};
    char memory[64];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct http_url url;
        struct http_address address;
        struct http_text text;
        const char *name;
        assert_int_equal(http_url_parse(urls[i], &url, NULL, 0), 0);
        assert_int_equal(http_address_make(&url, &none, &address, NULL, 0), 0);
        http_text_init(&text, memory, sizeof(memory));
        http_address_name(&address, "k", &text);
        assert_int_equal(http_text_end(&text, &name), 0);
        assert_string_equal(name, names[i]);
        assert_string_equal(http_address_bucket_path(&address), "/b"); /* too short for a host */
        http_url_finish(&url);
        http_address_finish(&address);
    }
}

static void other_region(void **state)
{
    struct http_endpoint endpoint = {.endpoint = H "127.0.0.1"};
    struct http_url url;
    struct http_address address, moved;

    (void)state;
    assert_int_equal(http_url_parse("s3://bucket/a", &url, NULL, 0), 0);
    assert_int_equal(http_address_make(&url, &endpoint, &address, NULL, 0), 0);
    assert_int_equal(http_address_in_region(&address, "eu-west-1", &moved), -EINVAL);
    http_address_finish(&address);
    endpoint.endpoint = NULL;
    assert_int_equal(http_address_make(&url, &endpoint, &address, NULL, 0), 0);
    assert_int_equal(http_address_in_region(&address, "evil.example.com/", &moved), -EINVAL);
    assert_int_equal(http_address_in_region(&address, "eu-west-1", &moved), 0);
    assert_string_equal(moved.host, "bucket.s3.eu-west-1.amazonaws.com");
    assert_string_equal(moved.prefix, "a");
    http_address_finish(&address);
    http_address_finish(&moved);
    http_url_finish(&url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s3_buckets),
        cmocka_unit_test(s3_servers),
        cmocka_unit_test(s3_addresses),
        cmocka_unit_test(s3_servers_of_their_own),
        cmocka_unit_test(s3_endpoints_given),
        cmocka_unit_test(not_s3),
        cmocka_unit_test(google),
        cmocka_unit_test(azure),
        cmocka_unit_test(azure_accounts_agree),
        cmocka_unit_test(plain_http),
        cmocka_unit_test(keys_are_literal),
        cmocka_unit_test(names_in_the_bucket),
        cmocka_unit_test(other_region),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
